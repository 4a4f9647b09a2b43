# noqa: INP001 - a program that is run by itself
"""Check the subject of a commit message: `area: summary`, at most 72 characters.

Usage: `python3 .ci/commit_subject.py FILE`; as a hook, git names the file with the message.
"""

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

LONGEST = 72
FORM = re.compile(r"[a-z0-9][a-z0-9 ,._/-]*: \S")
MADE_BY_GIT = ("Merge ", "Revert ", "fixup! ", "squash! ", "amend! ")
"""Beginnings of the subjects that git writes itself."""


def problems(message: str) -> Iterator[str]:
    """Yield what is wrong with a message, each with what is accepted."""
    lines = [line for line in message.splitlines() if not line.startswith("#")]
    subject = lines[0] if lines else ""
    if subject.startswith(MADE_BY_GIT):
        return
    if not FORM.match(subject):
        yield "write the subject as `area: summary`, the area in lower case"
    if len(subject) > LONGEST:
        yield f"the subject has {len(subject)} characters; {LONGEST} are the most"
    if subject.endswith("."):
        yield "the subject needs no full stop"
    if len(lines) > 1 and lines[1].strip():
        yield "leave the second line empty, then give the reason"


def main(arguments: Sequence[str]) -> int:
    """Return 0 where the message in the file is well formed, else 1 with its problems."""
    message = Path(arguments[0]).read_text(encoding="utf-8")
    found = list(problems(message))
    sys.stderr.writelines(f"commit message: {problem}\n" for problem in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
