"""The bearer tokens, their owners, and what each token permits."""

import hashlib
import hmac
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TypedDict

_COMMENT = "#"

_OPTIONS = "after the name, write services=NAME,NAME, and use=read or use=push"


class TokenUse(StrEnum):
    """The use that a token permits: to read held checkouts, or to push."""

    READ = "read"
    PUSH = "push"


@dataclass(frozen=True, slots=True)
class Token:
    """One bearer token; `owner` is its name in the file, or a digest if it has no name.

    Several tokens may have one owner: the old and the new one of a rotation. Only its owner may
    push the `service.name` values in `services`. If `services` is empty, it may push every service
    that no other owner has.
    """

    owner: str
    text: str = field(repr=False)
    services: frozenset[str] = frozenset()
    uses: frozenset[TokenUse] = frozenset(TokenUse)


def parse_tokens(text: str) -> tuple[Token, ...]:
    """Return the tokens of a file: one per line, optionally followed by a name.

    Raises ValueError with a message that repeats no part of the text.
    """
    tokens = tuple(_tokens(text))
    if not tokens:
        raise ValueError("is empty; it must hold the token")
    if len({token.text for token in tokens}) < len(tokens):
        raise ValueError("has a token twice; give every sender a different one")
    return tokens


def _tokens(text: str) -> Iterator[Token]:
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith(_COMMENT):
            continue
        secret, *rest = words
        if not (secret.isascii() and secret.isprintable()):
            raise ValueError(f"line {number} has a character that HTTP headers do not permit")
        name = " ".join(word for word in rest if "=" not in word)
        owner = name or hashlib.sha256(secret.encode()).hexdigest()
        try:
            yield Token(owner, secret, **_options([word for word in rest if "=" in word]))
        except ValueError:
            raise ValueError(f"line {number} has an unknown option: {_OPTIONS}") from None


class _Options(TypedDict, total=False):
    services: frozenset[str]
    uses: frozenset[TokenUse]


def _options(words: Sequence[str]) -> _Options:
    """Return the options of a line; raise ValueError for an unknown one."""
    options: _Options = {}
    for word in words:
        name, _, value = word.partition("=")
        if name == "services" and value:
            options["services"] = frozenset(filter(None, value.split(",")))
        elif name == "use":
            options["uses"] = frozenset({TokenUse(value)})
        else:
            raise ValueError(name)
    return options


def read_tokens(file: Path) -> tuple[Token, ...]:
    """Return the tokens of a file; raise ValueError if it cannot be read, or as above."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise ValueError("must be a file that the exporter can read") from None
    return parse_tokens(text)


class Keyring:
    """The tokens that the exporter accepts now."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = tuple(tokens)

    def use_tokens(self, tokens: Sequence[Token]) -> None:
        """Accept these tokens from now on, and no others."""
        self._tokens = tuple(tokens)

    @property
    def tokens(self) -> tuple[Token, ...]:
        """Return the accepted tokens."""
        return self._tokens

    def owner_of_token(self, shown: str, use: TokenUse) -> str | None:
        """Return the owner of a token that permits this use, or None for any other text.

        Takes the same time for every wrong text.
        """
        found = None
        for token in self._tokens:
            # No early end: the duration must not reveal how many tokens come before.
            if hmac.compare_digest(shown.encode(), token.text.encode()) and use in token.uses:
                found = token.owner
        return found

    def may_push(self, owner: str, service: str) -> bool:
        """Return whether an owner may push for a service: its own, or one without an owner."""
        bound = {token.owner for token in self._tokens if service in token.services}
        if bound:
            return owner in bound
        return not any(token.services for token in self._tokens if token.owner == owner)

    def is_bound(self, service: str) -> bool:
        """Return whether a line of the file reserves the service for its owner."""
        return any(service in token.services for token in self._tokens)

    def owners(self) -> frozenset[str]:
        """Return every owner of a token."""
        return frozenset(token.owner for token in self._tokens)
