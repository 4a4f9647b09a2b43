"""Name the lines at which the owners of connections are now: they keep the connections."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from poolscope_exporter.core.judging.verdicts import Blocker, Judgement, Verdict
from poolscope_exporter.core.model.checkouts import Checkout
from poolscope_exporter.core.model.now_places import KeepingLine

MAX_BLOCKERS: Final = 3
"""The most holders of locks that a diagnosis names."""


@dataclass(frozen=True, slots=True)
class KeepingLines:
    """The present lines of a pool's held checkouts, and the checkouts that hold awaited locks.

    A checkout with an unconfirmed verdict counts under its probable verdict.
    """

    by_verdict: Counter[tuple[Verdict, KeepingLine]] = field(default_factory=Counter)
    blockers: Counter[Blocker] = field(default_factory=Counter)

    def top(self, *verdicts: Verdict) -> tuple[KeepingLine, int] | None:
        """Return the most frequent line and its checkouts, of these verdicts or of all."""
        lines: Counter[KeepingLine] = Counter()
        for (verdict, line), count in self.by_verdict.items():
            if not verdicts or verdict in verdicts:
                lines[line] += count
        return max(lines.items(), key=lambda item: (item[1], str(item[0])), default=None)


def find_keeping_lines(judgements: Iterable[Judgement]) -> KeepingLines:
    """Count the lines of these checkouts, and the known checkouts that block them."""
    found = KeepingLines()
    for judgement in judgements:
        verdict, now = judgement.probable or judgement.verdict, judgement.checkout.now
        if now is not None:
            found.by_verdict[verdict, now.line] += 1
        if verdict is Verdict.BLOCKED:
            found.blockers.update(each for each in judgement.blocked_by if each.checkout)
    return found


def top_line(lines: KeepingLines, limit: int) -> Iterator[str]:
    """Yield which line keeps most connections, with its share of the pool."""
    top = lines.top()
    if top is not None:
        line, count = top
        verb = "is" if count == 1 else "are"
        yield f"{count} of {limit} connections {verb} kept by code {line}"


def line_of(lines: KeepingLines, verdict: Verdict, count: int) -> str:
    """Return what most checkouts with a verdict wait for, as the end of a sentence; may be empty.

    `count` is the number of all checkouts with this verdict.
    """
    top = lines.top(verdict)
    if top is None:
        return ""
    line, kept = top
    return f", {line}" if kept == count else f", {kept} of them {line}"


def lock_holders(lines: KeepingLines) -> Iterator[str]:
    """Yield which checkouts hold the locks, and what their owners do now."""
    for blocker, waiting in lines.blockers.most_common(MAX_BLOCKERS):
        if blocker.checkout is not None:
            state = f", {blocker.session.state}" if blocker.session else ""
            now = blocker.checkout.now
            does = "" if now is None else f", {now.line}"
            who = _owner(blocker.checkout)
            noun = "connection waits" if waiting == 1 else "connections wait"
            yield f"{waiting} {noun} for a lock that {who} holds{state}{does}"


def _owner(checkout: Checkout) -> str:
    line = checkout.code_file and f"the checkout at {checkout.code_file}:{checkout.code_line}"
    return checkout.route or line or f"backend pid {checkout.backend_pid}"
