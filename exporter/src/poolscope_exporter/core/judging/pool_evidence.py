"""Everything that speaks for or against one pool, counted: what a diagnosis is made from."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from poolscope import catalogue
from poolscope.catalogue import Effect, Evidence, Phase
from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers
from poolscope_exporter.core.judging.verdicts import Judgement, Verdict
from poolscope_exporter.core.linking.link import NoLink, Unlinked

QUEUED_S: Final = 1.0
"""A client that queues this long for a server connection finds the pooler full, not busy."""

CALM_WAIT_S: Final = 0.5
"""A caller that waits less than this waits within reason (T1)."""

CONNECTING_S: Final = 1.0
"""Opening or testing a connection is slow from here."""

SHORT_USE_S: Final = 1.0
"""Where uses are shorter than this on average, no single holder keeps the pool full."""

UNKNOWABLE = (Verdict.UNKNOWN, Verdict.UNCONFIRMED, Verdict.LOST)


@dataclass(frozen=True, slots=True)
class Destination:
    """What a pool's connections lead to: a server, or the bouncer that is named.

    `is_paused`: the bouncer hands out no server connection, because somebody told it to.
    `waiting`: clients that wait in the bouncer for a server connection, None where not known.
    """

    bouncer: str | None = None
    is_paused: bool = False
    waiting: int | None = None

    @property
    def full(self) -> str:
        """Return the sentence for no headroom."""
        if self.bouncer is None:
            return "the server admits no further session"
        return f"PgBouncer {self.bouncer} admits no further client"


DIRECT: Final = Destination()


@dataclass(frozen=True, slots=True)
class PoolEvidence:
    """The numbers of a pool, with the verdicts on its checkouts counted.

    `confirmed` and `probable` count checkouts by verdict; a probable one rests on a sample of the
    session that no later push has confirmed yet.
    """

    numbers: PoolNumbers
    confirmed: Counter[Verdict]
    probable: Counter[Verdict]
    leaks: Counter[Evidence | None]
    unknown_reasons: Counter[str]
    headroom: int | None
    queued: int
    longest_queued_s: float
    leaks_without_server: int
    destination: Destination

    @property
    def is_full(self) -> bool:
        """Return whether every connection that the pool may open is checked out."""
        used, limit = self.numbers.used, self.numbers.max
        return used is not None and limit is not None and used >= limit > 0

    @property
    def lists_holders(self) -> bool:
        """Return whether the sender says which checkouts are held."""
        return self.numbers.held_total is not None

    @property
    def waits(self) -> bool:
        """Return whether callers wait longer than is within reason.

        Where the sender does not say for how long, one that waits is enough.
        """
        if not self.numbers.pending:
            return False
        oldest_s = self.numbers.oldest_wait_s
        return not oldest_s or max(oldest_s.values()) >= CALM_WAIT_S

    @property
    def gave_up(self) -> float:
        """Return how many callers gave up in the window."""
        return self.numbers.growth.timeouts or 0.0

    @property
    def is_under_pressure(self) -> bool:
        """Return whether callers wait, gave up, or have no place left to take."""
        return self.waits or self.gave_up > 0 or self.is_full

    @property
    def out(self) -> int:
        """Return how many connections are checked out, as far as anybody reports."""
        return max(self.numbers.used or 0, self.confirmed.total())

    @property
    def unclear(self) -> int:
        """Return how many checkouts nothing is known of, or nothing certain yet."""
        return sum(self.confirmed[verdict] for verdict in UNKNOWABLE)

    @property
    def mean_use_s(self) -> float | None:
        """Return how long connections were used on average, of the uses that ended lately."""
        return self.numbers.growth.mean_s(catalogue.USE_TIME)

    @property
    def of_whom(self) -> int:
        """Return how many checkouts a trouble is held against.

        Where uses are short, what is not listed works. Where they are long, it is younger than
        what is listed and does the same: only those count of which something is known.
        """
        mean_s = self.mean_use_s
        if not self.numbers.growth.by_counter or (mean_s is not None and mean_s < SHORT_USE_S):
            return self.out
        known = self.confirmed.total() + self.probable.total()
        return max(1, known - self.unclear)

    @property
    def leaked_lately(self) -> float:
        """Return how many checkouts leaked in the window and did not come back, by the counters."""
        growth = self.numbers.growth
        back = growth.by_counter
        leaks = growth.by_value(catalogue.LEAKS).items()
        recovered = catalogue.LEAKS_RECOVERED.name
        return sum(max(0.0, count - back.get((recovered, kind), 0.0)) for kind, count in leaks)

    @property
    def waited_mostly_in_queue(self) -> bool:
        """Return whether the waits that ended were for a place, not for opening or testing."""
        growth = self.numbers.growth
        opening_s = growth.total_s(catalogue.CREATE_TIME) + growth.total_s(catalogue.PING_TIME)
        return growth.total_s(catalogue.QUEUE_TIME) > opening_s

    @property
    def connect_errors(self) -> Mapping[str, float]:
        """Return the failed attempts to open a connection, by kind."""
        return self.numbers.growth.by_value(catalogue.CONNECT_ERRORS)

    @property
    def attempts(self) -> float:
        """Return how many connections were opened, or failed to be."""
        opened = self.numbers.growth.of(catalogue.OPENED) or 0.0
        return opened + sum(self.connect_errors.values())

    @property
    def findings(self) -> Mapping[str, float]:
        """Return the counters of misuse that grew, by metric."""
        growth = self.numbers.growth
        counted = {
            metric.name: sum(growth.by_value(metric, Effect.FINDING).values())
            for metric in (
                catalogue.LEAKS,
                catalogue.NESTED_CHECKOUTS,
                catalogue.SHARED_CONNECTIONS,
            )
        }
        return {name: grown for name, grown in counted.items() if grown}

    def waiting_in(self, phase: Phase) -> tuple[int, float]:
        """Return how many callers wait in a phase, and how long the oldest does, in seconds."""
        count = self.numbers.pending_by_phase.get(phase, 0)
        return count, self.numbers.oldest_wait_s.get(phase, 0.0)

    def count_of(self, *verdicts: Verdict) -> int:
        """Return how many checkouts have one of the verdicts, also probably."""
        return sum(self.confirmed[each] + self.probable[each] for each in verdicts)

    def is_only_probable(self, *verdicts: Verdict) -> bool:
        """Return whether no checkout has one of the verdicts for sure."""
        return not any(self.confirmed[verdict] for verdict in verdicts)


def gather(
    numbers: PoolNumbers,
    judgements: Sequence[Judgement],
    headroom: int | None,
    destination: Destination,
) -> PoolEvidence:
    """Count what is known of one pool; `judgements` are its own."""
    queued = [lasted_s for each in judgements if (lasted_s := _queued_s(each)) >= QUEUED_S]
    return PoolEvidence(
        numbers=numbers,
        confirmed=Counter(j.verdict for j in judgements if j.probable is None),
        probable=Counter(j.probable for j in judgements if j.probable is not None),
        leaks=Counter(j.evidence for j in judgements if Verdict.LEAKED in (j.verdict, j.probable)),
        unknown_reasons=Counter(j.reason or "" for j in judgements if j.verdict is Verdict.UNKNOWN),
        headroom=headroom,
        queued=len(queued),
        longest_queued_s=max(queued, default=0.0),
        leaks_without_server=sum(map(_is_leak_in_pooler, judgements)),
        destination=destination,
    )


def _queued_s(judgement: Judgement) -> float:
    # A fact of the bouncer: the client waits there, whichever checkout its connection serves.
    link = judgement.link
    if not isinstance(link, NoLink) or link.reason is not Unlinked.WAITING_IN_POOLER:
        return 0.0
    return link.lasted_s or 0.0


def _is_leak_in_pooler(judgement: Judgement) -> bool:
    is_idle = judgement.reason == Unlinked.IDLE_IN_POOLER
    return is_idle and judgement.verdict is Verdict.LEAKED
