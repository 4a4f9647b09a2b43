"""Turn the notes of slow waits and uses into spans and exemplars, in the pusher's thread."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from weakref import WeakKeyDictionary

from opentelemetry import trace
from opentelemetry.trace import SpanContext, Tracer

from poolscope import catalogue
from poolscope.catalogue import Metric, Phase
from poolscope.clock import monotonic, wall_ns
from poolscope.pushing.samples import identity_attributes
from poolscope.pushing.traces.exemplars import Exemplars
from poolscope.pushing.traces.wait_spans import (
    PhasedWait,
    configured_tracer,
    make_span,
    match_phases,
)
from poolscope.recording.histogram import TracedValue
from poolscope.recording.pool import PoolIdentity, PoolStats, drained
from poolscope.recording.traces.slow_notes import NOTES_LIMIT, PhaseWait

SPANS_FOR_S: Final = 0.5
"""Time for the spans of one turn: a provider that exports each span at once may be slow."""

PHASE_KEPT_S: Final = 60.0
"""How long an ended phase is kept until its wait ends."""


class TracedNotes:
    """The notes of one process, from the hooks to the application's tracing.

    Errors of the tracing library go to `contain`. A span is only made if the caller's span is
    sampled.
    """

    def __init__(self, contain: Callable[[Exception], None], *, makes_spans: bool) -> None:
        self.exemplars = Exemplars()
        self._contain = contain
        self._makes_spans = makes_spans
        self._open_phases: WeakKeyDictionary[PoolStats, list[PhaseWait]] = WeakKeyDictionary()

    def take_notes(self, pools: Iterable[tuple[PoolIdentity, PoolStats]]) -> None:
        """Take the notes of all pools; make spans if the process has a TracerProvider."""
        noted = [(identity, stats) for identity, stats in pools if stats.slow.has_notes]
        if not noted:
            return
        turn = _Turn(self._contain, self._tracer())
        for identity, stats in noted:
            pool = identity_attributes(identity)
            self._take_exemplars(turn, pool, stats)
            for found in self._phased_waits(stats):
                self._take_wait(turn, pool, found)

    def _tracer(self) -> Tracer | None:
        try:
            return configured_tracer() if self._makes_spans else None
        except Exception as error:  # noqa: BLE001 - the application's provider may raise anything
            self._contain(error)
            return None

    def _take_exemplars(self, turn: "_Turn", pool: Mapping[str, Any], stats: PoolStats) -> None:
        for use in drained(stats.slow.uses.popleft):
            found = turn.traced_value(use.used_s, use.ended_s, use.context)
            self._keep(catalogue.USE_TIME, pool, found)
        opened = self._open_phases.setdefault(stats, [])
        for phase in drained(stats.slow.phases.popleft):
            opened.append(phase)
            if phase.phase is Phase.QUEUE:
                ended_s = phase.began_s + phase.waited_s
                found = turn.traced_value(phase.waited_s, ended_s, phase.context)
                self._keep(catalogue.QUEUE_TIME, pool, found)

    def _phased_waits(self, stats: PoolStats) -> list[PhasedWait]:
        waits = drained(stats.slow.waits.popleft)
        opened = self._open_phases.get(stats, [])
        found, left = match_phases(waits, opened, pre_ping=stats.pre_ping)
        since_s = monotonic() - PHASE_KEPT_S
        recent = [each for each in left if each.began_s + each.waited_s >= since_s]
        self._open_phases[stats] = recent[-NOTES_LIMIT:]
        return found

    def _take_wait(self, turn: "_Turn", pool: Mapping[str, Any], found: PhasedWait) -> None:
        wait = found.wait
        if wait.failure is None:
            waited_s = wait.ended_s - wait.began_s
            value = turn.traced_value(waited_s, wait.ended_s, wait.context)
            self._keep(catalogue.WAIT_TIME, pool, value)
        turn.make_span_of(found, pool)

    def _keep(self, metric: Metric, pool: Mapping[str, Any], found: TracedValue | None) -> None:
        if found is not None:
            self.exemplars.keep_exemplar(metric, pool, found)


class _Turn:
    """One turn of the pusher: its tracer, the time left for spans, and both clocks."""

    def __init__(self, contain: Callable[[Exception], None], tracer: Tracer | None) -> None:
        self._contain = contain
        self._tracer = tracer
        self._now_s, self._now_ns = monotonic(), wall_ns()

    def traced_value(self, value: float, ended_s: float, context: Any) -> TracedValue | None:
        """Return the exemplar of a value; None if its span is not sampled."""
        span = self._sampled_span(context)
        if span is None:
            return None
        return TracedValue(value, self._wall_ns(ended_s), span.trace_id, span.span_id)

    def make_span_of(self, found: PhasedWait, pool: Mapping[str, Any]) -> None:
        """Make the span of a wait; after an error or too much time, make no more in this turn."""
        wait = found.wait
        if self._tracer is None or self._sampled_span(wait.context) is None:
            return
        start_ns, end_ns = self._wall_ns(wait.began_s), self._wall_ns(wait.ended_s)
        try:
            make_span(self._tracer, found, pool, start_ns, end_ns)
        except Exception as error:  # noqa: BLE001 - the application's provider may raise anything
            self._contain(error)
            self._tracer = None
        if monotonic() - self._now_s > SPANS_FOR_S:
            self._tracer = None

    def _sampled_span(self, context: Any) -> SpanContext | None:
        try:
            found = trace.get_current_span(context).get_span_context()
            is_sampled = found.is_valid and found.trace_flags.sampled
        except Exception as error:  # noqa: BLE001 - the span may be of any tracing library
            self._contain(error)
            return None
        return found if is_sampled else None

    def _wall_ns(self, at_s: float) -> int:
        return self._now_ns - round((self._now_s - at_s) * 1e9)
