"""Read the comments of Python files that switch a lint rule off."""

import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO

from support.source.modules import Module

_NOQA = re.compile(r"#\s*(?:ruff:\s*|flake8:\s*)?noqa\b(?P<rest>.*)", re.IGNORECASE)
_WITH_REASON = re.compile(r":\s*[A-Z]+\d+(?:,\s*[A-Z]+\d+)*\s+-\s+\S+ \S")
"""Codes, a hyphen, and at least two words."""


@dataclass(frozen=True, slots=True)
class Exemption:
    """One comment that switches lint rules off, with its line."""

    path: str
    line: int
    text: str

    @property
    def has_reason(self) -> bool:
        """Tell whether the comment names its rules and gives the reason."""
        found = _NOQA.search(self.text)
        return found is not None and _WITH_REASON.match(found["rest"]) is not None

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


def exemptions(module: Module) -> Iterator[Exemption]:
    """Yield every `noqa` of a file; one inside of a string is none."""
    for token in tokenize.generate_tokens(StringIO(module.text).readline):
        if token.type == tokenize.COMMENT and _NOQA.search(token.string):
            yield Exemption(module.path, token.start[0], token.string)
