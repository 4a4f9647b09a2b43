"""Find what is hard to read in a passage, and count words."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from poolscope_generators.prose.markers import MARKERS, MAX_TITLE, MAX_WORDS, WORD, YOU
from poolscope_generators.prose.passages import Passage

_END: Final = re.compile(r"(?<=[.!?])[)\"”]?\s+(?=[A-Z0-9(\"“]|code\b|poolscope\b)")
_PER: Final = 1000


@dataclass(frozen=True, slots=True)
class Finding:
    """A marker or a long sentence in a passage, with the advice."""

    passage: Passage
    what: str
    instead: str

    def __str__(self) -> str:
        return f"{self.passage}: {self.what}: {self.instead}"


@dataclass(frozen=True, slots=True)
class Count:
    """How many words, markers and addresses of the reader some passages have."""

    words: int
    markers: int
    long_sentences: int
    you: int

    @property
    def markers_per_1000(self) -> float:
        """Return the markers per 1,000 words."""
        return self.markers * _PER / max(1, self.words)

    @property
    def you_per_1000(self) -> float:
        """Return how often the reader is addressed per 1,000 words."""
        return self.you * _PER / max(1, self.words)


def markers(passage: Passage) -> Iterator[Finding]:
    """Yield each turn of phrase to avoid."""
    for marker in MARKERS:
        for found in marker.pattern.finditer(passage.text):
            yield Finding(passage, repr(found[0]), f"write {marker.instead}")


def long_sentences(passage: Passage) -> Iterator[Finding]:
    """Yield each sentence of too many words."""
    for sentence in _END.split(passage.text):
        words = len(WORD.findall(sentence))
        if words > MAX_WORDS:
            yield Finding(passage, f"{words} words", f"split {sentence[:60]!r}…")


def long_titles(passage: Passage) -> Iterator[Finding]:
    """Yield a panel's title of too many characters."""
    length = len(passage.text)
    if passage.is_title and length > MAX_TITLE:
        advice = "write a noun phrase with its unit; the description may begin with the question"
        yield Finding(passage, f"{length} characters", f"{advice}: {passage.text!r}")


def findings(passage: Passage) -> Iterator[Finding]:
    """Yield everything that is hard to read in a passage."""
    yield from markers(passage)
    yield from long_sentences(passage)
    yield from long_titles(passage)


def count(passages: Iterable[Passage]) -> Count:
    """Return the counts over all passages."""
    words = found = long = you = 0
    for passage in passages:
        words += len(WORD.findall(passage.text))
        found += sum(1 for _ in markers(passage))
        long += sum(1 for _ in long_sentences(passage))
        you += len(YOU.findall(passage.text))
    return Count(words, found, long, you)
