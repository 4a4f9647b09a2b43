"""Make the spans of slow waits, after the waits, in the pusher's thread."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from opentelemetry import trace
from opentelemetry.trace import Status, StatusCode, Tracer

from poolscope import catalogue
from poolscope.catalogue import FailureReason, Phase
from poolscope.recording.traces.slow_notes import PhaseWait, SlowWait
from poolscope.version import __version__

_FAILED: Final = (FailureReason.TIMEOUT, FailureReason.ERROR)
"""Outcomes that give the span the status of an error: the caller still wanted a connection."""


class PhasedWait(NamedTuple):
    """A slow wait, and the phase that took most of it; None if that is unknown."""

    wait: SlowWait
    phase: Phase | None


def configured_tracer() -> Tracer | None:
    """Return a tracer of the process's TracerProvider, or None if it has none."""
    provider = trace.get_tracer_provider()
    if isinstance(provider, (trace.ProxyTracerProvider, trace.NoOpTracerProvider)):
        return None
    return provider.get_tracer(catalogue.SCOPE, __version__, schema_url=catalogue.SCHEMA_URL)


def match_phases(
    waits: Iterable[SlowWait], phases: Sequence[PhaseWait], *, pre_ping: bool
) -> tuple[list[PhasedWait], list[PhaseWait]]:
    """Return each wait with its longest phase, and the phases that belong to none of them.

    A phase belongs to a wait of the same context that contains it. Callers of one context may wait
    at the same time. Then the shortest wait that contains a phase gets it, and each wait gets one
    phase of a kind. With `pre_ping`, the time outside of the phases is the liveness check.
    """
    free: dict[int, list[PhaseWait]] = defaultdict(list)
    for each in phases:
        free[id(each.context)].append(each)
    found = []
    for wait in sorted(waits, key=_waited_s):
        times = _take_phases(wait, free.get(id(wait.context), []))
        rest_s = _waited_s(wait) - sum(times.values())
        rest = Phase.PING if pre_ping else None
        longest = max(times.items(), key=lambda pair: pair[1], default=(None, 0.0))
        found.append(PhasedWait(wait, rest if rest_s > longest[1] else longest[0]))
    return found, [each for left in free.values() for each in left]


def make_span(
    tracer: Tracer, found: PhasedWait, pool: Mapping[str, str | int], start_ns: int, end_ns: int
) -> None:
    """Make the span of a wait, as a child of the caller's; times are nanoseconds since the epoch.

    Raises what the application's provider raises.
    """
    failure = found.wait.failure
    attributes = {**pool, catalogue.OUTCOME: failure.value if failure else catalogue.ACQUIRED}
    if found.phase is not None:
        attributes[catalogue.PHASE] = found.phase.value
    span = tracer.start_span(
        catalogue.ACQUIRE_SPAN, found.wait.context, attributes=attributes, start_time=start_ns
    )
    if failure in _FAILED:
        span.set_status(Status(StatusCode.ERROR))
    span.end(end_ns)


def _waited_s(wait: SlowWait) -> float:
    return wait.ended_s - wait.began_s


def _take_phases(wait: SlowWait, free: list[PhaseWait]) -> dict[Phase, float]:
    """Return the seconds of each phase of a wait, and remove these phases from `free`."""
    found: dict[Phase, float] = {}
    for each in list(free):
        is_inside = wait.began_s <= each.began_s <= wait.ended_s - each.waited_s
        if is_inside and each.phase not in found:
            found[each.phase] = each.waited_s
            free.remove(each)
    return found
