"""Whole processes in ordinary and less ordinary traffic: every series that the alerts read."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from poolscope import catalogue as wire
from poolscope.catalogue import Evidence, FailureReason, InvalidationReason, Metric
from poolscope_alerts.promql import EVIDENCE, REASON, STATE, name
from poolscope_exporter.core import own_metrics as own
from support.alert_cases.case import labelled
from support.alert_cases.of_pools import POOL
from support.alert_cases.of_servers import SERVER

STEP_S = 15
Samples = Sequence[float | None]
"""A value per step; None where there is none."""


@dataclass(frozen=True)
class Process:
    """What one process does, by step: connections out, requests for one, slow ones, time-outs.

    `queued` are those of the slow ones that queue for longer than T5. `opened` of both open a
    connection meanwhile, which takes as long. The process lives from step
    `begins` to before `ends`; a restart at a step sets its counters to 0.
    """

    instance: str
    used: Callable[[int], int]
    asked: Callable[[int], int]
    max: int = 20
    slow: Callable[[int], int] = lambda _: 0
    queued: Callable[[int], int] = lambda _: 0
    opened: Callable[[int], int] = lambda _: 0
    timed_out: Callable[[int], int] = lambda _: 0
    begins: int = 0
    ends: int = 10**6
    restarts: tuple[int, ...] = ()


def series(process: Process, steps: int, **more: str) -> dict[str, str]:
    """Return all series of a process; `more` are labels that its transport adds."""
    labels = {**POOL, "service_instance_id": process.instance, **more}

    def gauge(metric: Metric, value: Callable[[int], float], **also: str) -> tuple[str, str]:
        samples = [value(step) if _lives(process, step) else None for step in range(steps)]
        return labelled(name(metric), labels, **also), text(samples)

    def counter(
        metric: Metric, growth: Callable[[int], float], suffix: str = "", **also: str
    ) -> tuple[str, str]:
        series = labelled(name(metric) + suffix, labels, **also)
        return series, text(_cumulative(process, growth, steps))

    def fast(step: int) -> float:
        return process.asked(step) - process.slow(step)

    def briefly(step: int) -> float:
        return process.slow(step) - process.queued(step)

    none: Callable[[int], float] = lambda _: 0  # noqa: E731 - the shortest name for nothing
    served = process.asked
    failures = dict.fromkeys(FailureReason, none) | {FailureReason.TIMEOUT: process.timed_out}
    pairs = [
        gauge(wire.COUNT, process.used, **{STATE: "used"}),
        gauge(wire.MAX, lambda _: process.max),
        gauge(wire.PENDING_REQUESTS, none),
        counter(wire.TIMEOUTS, process.timed_out),
        counter(wire.CHECKOUTS, served),
        counter(wire.CHECKINS, served),
        counter(wire.WAIT_TIME, served, "_count"),
        counter(wire.WAIT_TIME, fast, "_bucket", le="0.5"),
        counter(wire.QUEUE_TIME, process.slow, "_count"),
        counter(wire.QUEUE_TIME, briefly, "_bucket", le="2.0"),
        counter(wire.CREATE_TIME, process.opened, "_count"),
        counter(wire.CREATE_TIME, none, "_bucket", le="0.5"),
        counter(wire.CREATE_TIME, none, "_bucket", le="1.0"),
        counter(wire.CREATE_TIME, none, "_bucket", le="2.0"),
        counter(wire.BLOCKING_CHECKOUTS, none),
        counter(wire.NESTED_CHECKOUTS, none),
        counter(wire.SHARED_CONNECTIONS, none),
    ]
    pairs += [
        counter(wire.CHECKOUT_FAILURES, growth, **{REASON: reason})
        for reason, growth in failures.items()
    ]
    pairs += [counter(wire.INVALIDATED, none, **{REASON: why}) for why in InvalidationReason]
    for evidence in Evidence:
        pairs.append(counter(wire.LEAKS, none, **{EVIDENCE: evidence}))
        pairs.append(counter(wire.LEAKS_RECOVERED, none, **{EVIDENCE: evidence}))
    age = labelled(own.INSTANCE_LAST_PUSH_AGE.name, _process_labels(labels))
    heard = [3.0 if _lives(process, step) else None for step in range(steps)]
    oldest = labelled(own.OLDEST_CHECKOUT_AGE.name, labels)
    ages = [1.0 + step % 3 if _lives(process, step) else None for step in range(steps)]
    return dict(pairs) | {age: text(heard), oldest: text(ages)}


def server_series(steps: int) -> dict[str, str]:
    """Return a server in good health, and an exporter that may see all of it."""
    values: Mapping[str, float] = {
        labelled(own.SERVER_UP.name, SERVER): 1,
        labelled(own.SERVER_HEADROOM.name, SERVER): 60,
        labelled(own.SERVER_CONNECTIONS_LIMIT.name, SERVER, scope="server"): 97,
        labelled(own.SERVER_CONNECTIONS.name, SERVER, state="idle"): 30,
        labelled(own.SERVER_CONNECTIONS.name, SERVER, state="active"): 7,
        labelled(own.SERVER_ACTIVE_ON_CPU.name, SERVER): 3,
        labelled(own.SERVER_CPUS.name, SERVER): 8,
        labelled(own.PRIVILEGE_LEVEL.name, SERVER, level="full"): 1,
        labelled(own.PRIVILEGE_LEVEL.name, SERVER, level="own"): 0,
        labelled(own.BUILD_INFO.name, {"version": "0"}): 1,
    }
    return {each: f"{value:g}+0x{steps - 1}" for each, value in values.items()}


def text(samples: Samples) -> str:
    """Return samples as promtool reads them."""
    return " ".join("_" if sample is None else f"{sample:g}" for sample in samples)


def _lives(process: Process, step: int) -> bool:
    return process.begins <= step < process.ends


def _cumulative(process: Process, growth: Callable[[int], float], steps: int) -> Samples:
    def add(total: float, step: int) -> float:
        return 0.0 if step in process.restarts else total + growth(step)

    lived = range(process.begins, min(process.ends, steps))
    totals = list(accumulate(lived, add, initial=0.0))[1:]
    after = steps - process.begins - len(totals)
    return [*[None] * process.begins, *totals, *[None] * after]


def _process_labels(labels: Mapping[str, str]) -> dict[str, str]:
    own_labels = set(own.INSTANCE_LABELS) | (set(labels) - set(POOL))
    return {key: value for key, value in labels.items() if key in own_labels}
