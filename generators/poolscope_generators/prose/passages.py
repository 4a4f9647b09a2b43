"""Take the passages that a person reads out of documents and source files."""

import ast
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from markdown_it import MarkdownIt
from markdown_it.token import Token

CODE: Final = "code"
"""What stands for a piece of code in a passage: it counts as one word."""

_BREAKS: Final = frozenset({"softbreak", "hardbreak"})
_HELP: Final = frozenset({"help", "description", "epilog"})
_ANNOTATION: Final = re.compile(r'\s+(?:summary|description): (".*")')
_CONTROL: Final = re.compile(r"\{\{ (?:if|else|end|with|range|\$\w+ :=)(?: .*?)? \}\}")
"""The parts of a template that print nothing."""

_TEMPLATE: Final = re.compile(r"\{\{.*?\}\}")
_RST_CODE: Final = re.compile(r"``[^`]+``|`[^`]+`")


@dataclass(frozen=True, slots=True)
class Passage:
    """A paragraph, list item, heading, table cell or docstring, and where it begins.

    `is_title`: the title of a dashboard's panel.
    """

    path: Path
    line: int
    text: str
    is_title: bool = False

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


def of_document(path: Path) -> Iterator[Passage]:
    """Yield the passages of a Markdown file; code, comments and addresses are left out."""
    tokens = MarkdownIt().enable("table").parse(path.read_text())
    line = 1
    for token in tokens:
        if token.map:
            line = token.map[0] + 1
        if token.type == "inline" and (text := _plain(token)):
            yield Passage(path, line, text)


def of_docstrings(path: Path) -> Iterator[Passage]:
    """Yield the paragraphs of every docstring of a Python file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for paragraph in (ast.get_docstring(node) or "").split("\n\n"):
            text = " ".join(_RST_CODE.sub(CODE, paragraph).split())
            if text:
                yield Passage(path, getattr(node, "lineno", 1), text)


def of_help(path: Path) -> Iterator[Passage]:
    """Yield the help texts of commands and options that a Python file gives to argparse."""
    for node in ast.walk(ast.parse(path.read_text())):
        for keyword in node.keywords if isinstance(node, ast.Call) else ():
            value = keyword.value
            is_text = isinstance(value, ast.Constant) and isinstance(value.value, str)
            if keyword.arg in _HELP and is_text:
                yield Passage(path, value.lineno, " ".join(ast.literal_eval(value).split()))


def of_alerts(path: Path) -> Iterator[Passage]:
    """Yield summary and description of every alert of a file of rules."""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if found := _ANNOTATION.fullmatch(line):
            text = _TEMPLATE.sub(CODE, _CONTROL.sub(" ", json.loads(found[1])))
            yield Passage(path, number, " ".join(text.split()))


def of_dashboard(path: Path) -> Iterator[Passage]:
    """Yield the description of a dashboard, and the texts of every panel."""
    board = json.loads(path.read_text())
    yield Passage(path, 0, board["description"])
    yield from _of_panels(path, board["panels"])


def _of_panels(path: Path, panels: Iterable[Any]) -> Iterator[Passage]:
    for panel in panels:
        yield Passage(path, panel["id"], panel.get("title", ""), is_title=True)
        if description := panel.get("description"):
            yield Passage(path, panel["id"], _RST_CODE.sub(CODE, description))
        if without_data := panel.get("fieldConfig", {}).get("defaults", {}).get("noValue"):
            yield Passage(path, panel["id"], without_data)
        yield from _of_panels(path, panel.get("panels", ()))


def _plain(token: Token) -> str:
    parts = []
    for child in token.children or ():
        if child.type == "text":
            parts.append(child.content)
        elif child.type == "code_inline":
            parts.append(CODE)
        elif child.type in _BREAKS:
            parts.append(" ")
    return " ".join("".join(parts).split())
