"""Know the bearer tokens and whose each is, also after their file has changed."""

import hashlib
import hmac
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from poolscope_exporter import clock

LOOK_AGAIN_S = 1.0
"""Shortest time between two looks at whether the file has changed."""

_COMMENT = "#"

_log = logging.getLogger("poolscope_exporter")

_Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Token:
    """One bearer token; `owner` is its name in the file, or a digest where it has none.

    Several tokens may have one owner: the old and the new one of a rotation.
    """

    owner: str
    text: str = field(repr=False)


def parse_tokens(text: str) -> tuple[Token, ...]:
    """Return the tokens of a file: one per line, followed by a name if it has one.

    Raises ValueError with a message that repeats nothing of the text.
    """
    tokens = tuple(_tokens(text))
    if not tokens:
        raise ValueError("is empty; it must hold the token")
    if len({token.text for token in tokens}) < len(tokens):
        raise ValueError("holds a token twice; give every sender its own")
    return tokens


def _tokens(text: str) -> Iterator[Token]:
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split(maxsplit=1)
        if not words or words[0].startswith(_COMMENT):
            continue
        secret, name = words[0], words[1].strip() if len(words) > 1 else ""
        if not (secret.isascii() and secret.isprintable()):
            raise ValueError(f"line {number} holds a character that no header can carry")
        yield Token(name or hashlib.sha256(secret.encode()).hexdigest(), secret)


def read_tokens(file: Path) -> tuple[Token, ...]:
    """Return the tokens of a file; raises ValueError where it cannot be read, or as above."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise ValueError("must be a file that the exporter can read") from None
    return parse_tokens(text)


class Keyring:
    """The tokens that open the exporter; those of a file are read again when it changes.

    A file that has become unreadable leaves the tokens as they were, and is told once.
    """

    def __init__(
        self,
        tokens: Sequence[Token],
        file: Path | None = None,
        now: Callable[[], float] = clock.monotonic,
    ) -> None:
        self._tokens = tuple(tokens)
        self._file = file
        self._now = now
        self._stamp = _stamp(file)
        self._look_again_at_s = now() + LOOK_AGAIN_S

    def owner_of_token(self, shown: str) -> str | None:
        """Return whose token this is, None for nobody's; takes equally long for every wrong one."""
        found = None
        for token in self._current():
            # No early end: the time taken must not tell how many tokens come before.
            if hmac.compare_digest(shown.encode(), token.text.encode()):
                found = token.owner
        return found

    def owners(self) -> frozenset[str]:
        """Return everybody who has a token now."""
        return frozenset(token.owner for token in self._current())

    def _current(self) -> tuple[Token, ...]:
        if self._file is not None and self._now() >= self._look_again_at_s:
            self._look_again_at_s = self._now() + LOOK_AGAIN_S
            self._read_if_changed(self._file)
        return self._tokens

    def _read_if_changed(self, file: Path) -> None:
        stamp = _stamp(file)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._tokens = read_tokens(file)
        except ValueError as exc:
            _log.warning("the token file %s %s; the tokens stay as they were", file, exc)
        else:
            _log.info("the token file %s has changed and was read again", file)


def _stamp(file: Path | None) -> _Stamp | None:
    """Return what changes when the file does; None where it is not there."""
    try:
        stat = file.stat() if file else None
    except OSError:
        return None
    return (stat.st_mtime_ns, stat.st_size, stat.st_ino) if stat else None
