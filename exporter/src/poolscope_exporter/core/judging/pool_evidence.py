"""The evidence for or against each cause of one pool's problem: the input of a diagnosis."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from poolscope import catalogue
from poolscope.catalogue import Effect, Evidence, OwnerKind, Phase
from poolscope_exporter.core.fleet.growth import WINDOW_S
from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers
from poolscope_exporter.core.fleet.process_numbers import LoopNumbers
from poolscope_exporter.core.judging.holders.keeping_lines import KeepingLines, find_keeping_lines
from poolscope_exporter.core.judging.server_load import UNKNOWN_LOAD, ServerLoad
from poolscope_exporter.core.judging.verdicts import Blocker, Judgement, Verdict
from poolscope_exporter.core.linking.link import NoLink, Unlinked

QUEUED_S: Final = 1.0
"""A client that waits this long for a server connection shows a full pooler, not a busy one."""

CALM_WAIT_S: Final = 0.5
"""A shorter wait of a caller is acceptable (T1)."""

CONNECTING_S: Final = 1.0
"""Opening or testing a connection is slow from here."""

LOOP_BLOCKED_S: Final = 1.0
"""An event loop that stopped for less than this in the window is busy, not blocked."""

SHORT_USE_S: Final = 1.0
"""If uses are shorter than this on average, no single holder keeps the pool full."""

NO_LINES: Final = KeepingLines()

UNKNOWABLE = (Verdict.UNKNOWN, Verdict.UNCONFIRMED, Verdict.LOST)


@dataclass(frozen=True, slots=True)
class Destination:
    """The target of a pool's connections: a server, or the PgBouncer named in `bouncer`.

    With `is_paused`, an administrator has paused it, so no client gets a server connection. The
    number of clients that wait there while no server connection is free is `queued`. The longest
    has waited for `longest_queued_s`.
    """

    bouncer: str | None = None
    is_paused: bool = False
    queued: int = 0
    longest_queued_s: float = 0.0

    @property
    def full(self) -> str:
        """Return the sentence for no headroom."""
        if self.bouncer is None:
            return "the server admits no further session"
        return f"PgBouncer {self.bouncer} admits no further client"


DIRECT: Final = Destination()


@dataclass(frozen=True, slots=True)
class PoolEvidence:
    """The numbers of a pool, with its checkouts counted by verdict.

    A probable verdict rests on a sample of the session that no later push has confirmed yet. The
    verdicts of checkouts that ended a moment ago, confirmed by their end, are in `ended`. New
    evidence in the window that does not count is in `unproven`, because the counters of the
    application include it. Checkouts that the application declared as long-lived, without a
    server's answer, are in `declared_unclear`. Idle connections of the pool with a lock that a
    checkout waits for are `idle_blockers`. The present lines of the holders are `lines`.
    """

    numbers: PoolNumbers
    confirmed: Counter[Verdict]
    probable: Counter[Verdict]
    ended: Counter[Verdict]
    leaks: Counter[Evidence | None]
    unknown_reasons: Counter[str]
    headroom: int | None
    queued: int
    longest_queued_s: float
    leaks_without_server: int
    destination: Destination
    unproven: Counter[Evidence | None]
    declared_unclear: int
    idle_blockers: frozenset[Blocker] = frozenset()
    lines: KeepingLines = NO_LINES
    load: ServerLoad = UNKNOWN_LOAD

    @property
    def is_full(self) -> bool:
        """Return whether every connection that the pool may open is checked out."""
        used, limit = self.numbers.used, self.numbers.max
        return used is not None and limit is not None and used >= limit > 0

    @property
    def lists_holders(self) -> bool:
        """Return whether the sender reports which checkouts are held."""
        return self.numbers.held_total is not None

    @property
    def waits(self) -> bool:
        """Return whether callers wait longer than is acceptable.

        If the sender does not report the time, a single waiting caller is enough.
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
        """Return whether callers wait, gave up, or no place is free."""
        return self.waits or self.gave_up > 0 or self.is_full

    @property
    def blocked_loops(self) -> LoopNumbers | None:
        """Return the event loops of the process if they stopped for long in the window."""
        loops = self.numbers.process.loops
        return loops if loops is not None and loops.blocked_s >= LOOP_BLOCKED_S else None

    @property
    def blocking_checkouts(self) -> float:
        """Return how many callers blocked a running event loop in the window."""
        return self.numbers.growth.blocking_checkouts or 0.0

    @property
    def is_now(self) -> bool:
        """Return whether current data, and not only counters, shows a problem of the pool."""
        is_short_of_room = self.headroom is not None and self.headroom <= 0
        known = self.confirmed + self.probable + (self.ended if self.ended_long else Counter())
        is_held_up = known.total() > known[Verdict.WORKING]
        return any((
            self.waits, self.is_full, is_short_of_room, is_held_up, self.numbers.lost_places,
            self.is_queued_in_pooler,
        ))  # fmt: skip

    @property
    def out(self) -> int:
        """Return how many connections are checked out, as far as it is reported."""
        return max(self.numbers.used or 0, self.confirmed.total())

    @property
    def unclear(self) -> int:
        """Return how many checkouts have no known or no certain state."""
        return sum(self.confirmed[verdict] for verdict in UNKNOWABLE)

    @property
    def unaccounted(self) -> int:
        """Return how many checkouts neither a server nor the application explains."""
        return self.unclear - self.declared_unclear

    @property
    def mean_use_s(self) -> float | None:
        """Return the average duration of the uses that ended recently."""
        return self.numbers.growth.mean_s(catalogue.USE_TIME)

    @property
    def of_whom(self) -> int:
        """Return the number of checkouts with which a problem's count is compared.

        If uses are short, an unlisted checkout is working. If they are long, an unlisted one is
        merely younger and does the same as the listed ones. Then only checkouts with a known state
        count.
        """
        mean_s = self.mean_use_s
        if not self.numbers.growth.by_counter or (mean_s is not None and mean_s < SHORT_USE_S):
            return self.out
        known = self.confirmed.total() + self.probable.total() + self.ended_long
        return max(1, known - self.unclear)

    @property
    def ended_long(self) -> int:
        """Return how many long uses ended recently; 0 if most uses are short, which show more."""
        mean_s = self.mean_use_s
        return self.ended.total() if mean_s is not None and mean_s >= SHORT_USE_S else 0

    @property
    def leaked_lately(self) -> float:
        """Return how many checkouts leaked in the window and were not returned, by the counters.

        Evidence that the server has refuted, or for which it was not queried, does not count.
        """
        growth = self.numbers.growth
        leaks, back = growth.by_value(catalogue.LEAKS), growth.by_counter
        recovered = catalogue.LEAKS_RECOVERED.name
        withdrawn = {
            kind: back.get((recovered, kind), 0.0) + self.unproven[Evidence(kind)] for kind in leaks
        }
        return sum(max(0.0, count - withdrawn[kind]) for kind, count in leaks.items())

    @property
    def waited_mostly_in_queue(self) -> bool:
        """Return whether the waits that ended were for a place, not for opening or testing."""
        growth = self.numbers.growth
        opening_s = growth.total_s(catalogue.CREATE_TIME) + growth.total_s(catalogue.PING_TIME)
        return growth.total_s(catalogue.QUEUE_TIME) > opening_s

    @property
    def waits_for_opening(self) -> bool:
        """Return whether slowly opening connections can be why callers wait or gave up.

        They are not the reason if all are open and in use now. If connections were used for longer
        than they took to open, a slow start is over and is not the reason either.
        """
        if not (self.waits or self.gave_up) or self.is_all_in_use:
            return False
        growth = self.numbers.growth
        return growth.total_s(catalogue.CREATE_TIME) > growth.total_s(catalogue.USE_TIME)

    @property
    def is_all_in_use(self) -> bool:
        """Return whether the pool is full, and no caller waits for opening or testing."""
        opening = sum(self.waiting_in(phase)[0] for phase in (Phase.CONNECT, Phase.PING))
        return self.is_full and bool(self.numbers.pending_by_phase) and not opening

    @property
    def connect_errors(self) -> Mapping[str, float]:
        """Return the failed attempts to open a connection, by kind."""
        return self.numbers.growth.by_value(catalogue.CONNECT_ERRORS)

    @property
    def attempts(self) -> float:
        """Return how many connections were opened or failed to open."""
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

    @property
    def inherited_checkouts(self) -> float:
        """Return how often a connection of another process was taken in the window."""
        return self.numbers.growth.of(catalogue.INHERITED_CHECKOUTS) or 0.0

    @property
    def inherited_in_use(self) -> int:
        """Return how many checked-out connections another process has too."""
        return sum(each.unused_s == 0 for each in self.numbers.inherited)

    def waiting_in(self, phase: Phase) -> tuple[int, float]:
        """Return how many callers wait in a phase, and the longest wait in seconds."""
        count = self.numbers.pending_by_phase.get(phase, 0)
        return count, self.numbers.oldest_wait_s.get(phase, 0.0)

    def count_of(self, *verdicts: Verdict) -> int:
        """Return how many checkouts have one of the verdicts, including probable ones."""
        return sum(self.confirmed[each] + self.probable[each] for each in verdicts)

    def troubled(self, *verdicts: Verdict) -> int:
        """Return the same, including the long uses that ended a moment ago."""
        ended = sum(self.ended[each] for each in verdicts) if self.ended_long else 0
        return self.count_of(*verdicts) + ended

    def is_only_probable(self, *verdicts: Verdict) -> bool:
        """Return whether no checkout has one of the verdicts with certainty."""
        return not any(self.confirmed[each] + self.ended[each] for each in verdicts)

    @property
    def is_queued_in_pooler(self) -> bool:
        """Return whether callers of this pool wait in the pooler's queue, not in the pool's.

        PgBouncer's report needs no confirmation: it is enough that callers wait here.
        """
        is_long = self.destination.longest_queued_s >= QUEUED_S
        return self.queued > 0 or (is_long and (self.waits or self.is_full))


def gather(
    numbers: PoolNumbers,
    judgements: Sequence[Judgement],
    headroom: int | None,
    destination: Destination,
    ended: Counter[Verdict],
    *,
    load: ServerLoad = UNKNOWN_LOAD,
) -> PoolEvidence:
    """Count the evidence for one pool; `judgements` are those of this pool."""
    queued = [lasted_s for each in judgements if (lasted_s := _queued_s(each)) >= QUEUED_S]
    return PoolEvidence(
        numbers=numbers,
        confirmed=Counter(j.verdict for j in judgements if j.probable is None),
        probable=Counter(j.probable for j in judgements if j.probable is not None),
        ended=ended,
        leaks=Counter(j.evidence for j in judgements if Verdict.LEAKED in (j.verdict, j.probable)),
        unknown_reasons=Counter(j.reason or "" for j in judgements if j.verdict is Verdict.UNKNOWN),
        headroom=headroom,
        queued=len(queued),
        longest_queued_s=max(queued, default=0.0),
        leaks_without_server=sum(map(_is_leak_in_pooler, judgements)),
        destination=destination,
        declared_unclear=sum(map(_is_declared_unclear, judgements)),
        load=load,
        idle_blockers=frozenset(b for j in judgements for b in j.blocked_by if b.idle_in),
        lines=find_keeping_lines(judgements),
        unproven=Counter(
            j.evidence for j in judgements if j.is_unproven and j.evidence_age_s < WINDOW_S
        ),
    )


def _is_declared_unclear(judgement: Judgement) -> bool:
    is_declared = judgement.checkout.owner_kind is OwnerKind.LONG_LIVED
    is_unclear = judgement.verdict in {Verdict.UNCONFIRMED, Verdict.UNKNOWN}
    return is_declared and is_unclear and judgement.probable is None


def _queued_s(judgement: Judgement) -> float:
    # PgBouncer reports this as a fact: the client waits, for any checkout on its connection.
    link = judgement.link
    if not isinstance(link, NoLink) or link.reason is not Unlinked.WAITING_IN_POOLER:
        return 0.0
    return link.lasted_s or 0.0


def _is_leak_in_pooler(judgement: Judgement) -> bool:
    is_idle = judgement.reason == Unlinked.IDLE_IN_POOLER
    return is_idle and judgement.verdict is Verdict.LEAKED
