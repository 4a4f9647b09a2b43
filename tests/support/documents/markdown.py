"""Read the blocks of our documents: commands, programs and output, each with what runs it.

A comment directly before a block says so: `<!-- file: NAME -->` (a program of the guide),
`<!-- run -->` and `<!-- run: until the end -->` (commands of the guide, played by
tests/e2e/test_documented_commands.py), `<!-- run by: TEST -->` and `<!-- not run: REASON -->`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[3]
AT_THE_ROOT = ("README.md", "CONTRIBUTING.md", "SECURITY.md")
FOLDERS = ("docs", "deploy", "dashboards", "alerts", "instrumentation", "exporter")
RUNNABLE = frozenset({"console", "python", "sh", "bash", "shell"})
_MARK = re.compile(r"\s*<!-- (file|run by|run|not run)(?:: (.*?))? -->\s*")


class Mark(Enum):
    """Who runs a block, by the words of its comment."""

    FILE = "file"
    RUN = "run"
    RUN_BY = "run by"
    NOT_RUN = "not run"


@dataclass(frozen=True, slots=True)
class Block:
    """One block of code; `argument` is what follows the mark's colon, `line` counts from 1."""

    document: str
    line: int
    language: str
    text: str
    mark: Mark | None
    argument: str

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"

    @property
    def is_runnable(self) -> bool:
        """Tell whether a reader would run it: a program, a command, or code of unknown kind."""
        return self.language in RUNNABLE


@dataclass(frozen=True, slots=True)
class Command:
    """A line that a reader types, and the lines that the document shows as its answer."""

    typed: str
    answer: tuple[str, ...]


def documents() -> list[Path]:
    """Return every document that a user or a contributor reads, the README first."""
    below = (path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.md")))
    return [*(ROOT / name for name in AT_THE_ROOT), *below]


def blocks(document: Path) -> list[Block]:
    """Return the blocks of a document in their order, indented ones (language "") included."""
    tokens = MarkdownIt().parse(document.read_text())
    name = str(document.relative_to(ROOT))
    return [
        _block(name, token, tokens[number - 1] if number else None)
        for number, token in enumerate(tokens)
        if token.type in ("fence", "code_block")
    ]


def commands(block: Block) -> Iterator[Command]:
    """Yield each `$ ` line of a block of the shell, joined with what it continues on."""
    for part in re.split(r"(?m)^\$ ", block.text)[1:]:
        typed, _, answer = re.sub(r"\\\n\s*", "", part).partition("\n")
        yield Command(typed, tuple(answer.splitlines()))


def _block(document: str, token: Token, before: Token | None) -> Block:
    assert token.map is not None
    found = None
    if before is not None and before.type == "html_block":
        found = _MARK.fullmatch(before.content.splitlines()[-1])
    return Block(
        document,
        token.map[0] + 1,
        token.info.split()[0] if token.info.strip() else "",
        token.content,
        Mark(found[1]) if found else None,
        (found[2] or "") if found else "",
    )
