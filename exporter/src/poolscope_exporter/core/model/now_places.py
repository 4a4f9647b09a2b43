"""The place in the application's code at which the owner of a connection is now."""

from dataclasses import dataclass
from typing import NamedTuple


class KeepingLine(NamedTuple):
    """A line of the application, and the call of a library that was made there; None is unknown."""

    code_file: str | None
    code_line: int | None
    call: str | None

    def __str__(self) -> str:
        """Return the call and the line in words, such as `waiting in httpx.get at pay.py:5`."""
        does = "running its own code" if self.call is None else f"waiting in {self.call}"
        return does if self.code_file is None else f"{does} at {self.code_file}:{self.code_line}"


@dataclass(frozen=True, slots=True)
class NowPlace:
    """The place of an owner at the last look before a push; None is unknown.

    The last `looks` in a row found the same place, the first of them `age_s` before the push.
    """

    code_file: str | None
    code_line: int | None
    code_function: str | None
    call: str | None
    looks: int = 1
    age_s: float = 0.0

    @property
    def line(self) -> KeepingLine:
        """Return the line that keeps the connection, without the function and the times."""
        return KeepingLine(self.code_file, self.code_line, self.call)
