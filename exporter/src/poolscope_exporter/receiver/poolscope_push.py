"""Decode the push scope of a poolscope push: its marker, the held checkouts and the waiters."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric, NumberDataPoint

from poolscope.catalogue import (
    BACKEND_PID,
    BACKEND_PIDS,
    BLOCKED_TIME,
    CALL_SITE,
    CHECKOUT_AGE,
    CHECKOUT_ENDED,
    CHECKOUT_ID,
    CHECKOUTS_HELD,
    CHECKOUTS_LISTED,
    CODE_FILE_PATH,
    CODE_FUNCTION_NAME,
    CODE_LINE_NUMBER,
    CONNECTION_AGE,
    DOING,
    EVENT_LOOP_STALL,
    EVIDENCE,
    HTTP_ROUTE,
    INHERITED_CONNECTION,
    LOCAL_ADDRESS,
    LOCAL_PORT,
    NOW_AGE,
    NOW_AT,
    NOW_CALL,
    NOW_FILE_PATH,
    NOW_FUNCTION_NAME,
    NOW_LINE_NUMBER,
    NOW_LOOKS,
    OCCUPANCY,
    OWNER_KIND,
    PEER_ADDRESS,
    PEER_PORT,
    PHASE,
    POOL_GENERATION,
    POOL_IS_GONE,
    POOL_SESSIONS,
    POOLS_MADE,
    PUSH,
    PUSH_END,
    PUSH_INTERVAL,
    PUSH_PARTIAL,
    PUSH_PRESSURE,
    PUSH_PUBLISHER,
    PUSH_VERSION,
    STALL_IS_OVER,
    TAKEN_AT,
    THREAD_NAME,
    TIMEOUT_REPORT,
    TIMEOUT_TEXT,
    TRACE_ID,
    UNIT_KIND,
    UNIT_NAME,
    WAITER_AGE,
    WAITERS_LISTED,
    WAITERS_WAITING,
    Evidence,
    OwnerKind,
    Phase,
    Publisher,
    UnitKind,
)
from poolscope_exporter.core.model.checkouts import (
    Checkout,
    HeldCheckouts,
    InheritedConnection,
    Instance,
    Pool,
    pool_of,
)
from poolscope_exporter.core.model.now_places import NowPlace
from poolscope_exporter.core.model.pushes import (
    LoopStall,
    Occupied,
    PoolGeneration,
    PoolsMade,
    TimeoutReport,
    WaitingCaller,
    WaitingCallers,
)
from poolscope_exporter.receiver.attributes import (
    Attributes,
    endpoint,
    identity_texts,
    integer,
    number_of,
    read_attributes,
    report_text,
    seconds,
    text,
)
from poolscope_exporter.receiver.refusals import DecodeRefusal

FIRST_VERSION = 1
"""The wire version of an app that sends none."""

MAX_REPORTS = 10
"""Time-out reports of one push; the app sends at most half of it."""

_Closed = TypeVar("_Closed", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class PushScope:
    """The contents of a push beside its series: its marker, held checkouts, waiting callers."""

    sequence: int
    interval_s: float | None
    is_end: bool
    is_pressed: bool
    is_partial: bool
    wire_version: int
    publisher: Publisher
    held: tuple[HeldCheckouts, ...]
    waiters: tuple[WaitingCallers, ...]
    backend_pids: Mapping[Pool, frozenset[int]]
    ended: Mapping[int, float]
    generations: Mapping[Pool, PoolGeneration]
    pools_made: Mapping[Pool, PoolsMade]
    stalls: tuple[LoopStall, ...]
    inherited: Mapping[Pool, tuple[InheritedConnection, ...]]
    occupancy: Mapping[Occupied, float]
    timeout_reports: Mapping[Pool, TimeoutReport]


def read_push_scope(
    instance: Instance, metrics: Iterable[Metric], refused: Counter[str]
) -> PushScope | None:
    """Return the contents of the push scope, or None if its push marker is missing."""
    points: dict[str, list[tuple[Attributes, float]]] = defaultdict(list)
    reports: list[NumberDataPoint] = []
    for metric in metrics:
        if metric.name == TIMEOUT_REPORT.name:
            reports.extend(metric.gauge.data_points)
        else:
            points[metric.name].extend(_numbers(metric))
    if not points[PUSH.name]:
        return None
    marker, sequence = points[PUSH.name][0]
    return PushScope(
        sequence=int(sequence),
        interval_s=seconds(marker, PUSH_INTERVAL) or None,
        is_end=marker.get(PUSH_END) is True,
        is_pressed=marker.get(PUSH_PRESSURE) is True,
        is_partial=marker.get(PUSH_PARTIAL) is True,
        wire_version=integer(marker, PUSH_VERSION) or FIRST_VERSION,
        publisher=_closed(Publisher, text(marker, PUSH_PUBLISHER)) or Publisher.EXPORTER,
        held=_held(instance, points, refused),
        waiters=_waiters(instance, points, refused),
        backend_pids=_backend_pids(instance, points[POOL_SESSIONS.name]),
        ended=_ended(points[CHECKOUT_ENDED.name]),
        generations=_generations(instance, points[POOL_GENERATION.name]),
        pools_made=_pools_made(instance, points[POOLS_MADE.name]),
        stalls=tuple(_stalls(points[EVENT_LOOP_STALL.name])),
        inherited=_inherited(instance, points[INHERITED_CONNECTION.name]),
        occupancy=_occupancy(instance, points[OCCUPANCY.name]),
        timeout_reports=_timeout_reports(instance, reports, refused),
    )


def _numbers(metric: Metric) -> Iterator[tuple[Attributes, float]]:
    for point in metric.gauge.data_points:
        if (value := number_of(point)) is not None:
            yield read_attributes(point.attributes), value


def _held(
    instance: Instance,
    points: Mapping[str, Sequence[tuple[Attributes, float]]],
    refused: Counter[str],
) -> tuple[HeldCheckouts, ...]:
    """Return the complete lists of held checkouts, by pool.

    An incomplete list must not replace the list of an earlier push: a checkout that is missing
    from it would look returned.
    """
    listed: dict[Pool, list[Checkout]] = defaultdict(list)
    for attributes, age_s in points.get(CHECKOUT_AGE.name, ()):
        checkout = _checkout(_pool(instance, attributes), attributes, age_s)
        if checkout is None:
            refused[DecodeRefusal.MALFORMED_CHECKOUT] += 1
        else:
            listed[checkout.pool].append(checkout)
    listed_counts = _by_pool(instance, points.get(CHECKOUTS_LISTED.name, ()))
    held = _by_pool(instance, points.get(CHECKOUTS_HELD.name, ()))
    return tuple(
        HeldCheckouts(pool, count, tuple(listed[pool]))
        for pool, count in held.items()
        if listed_counts.get(pool) == len(listed[pool])
    )


def _pool(instance: Instance, attributes: Attributes) -> Pool:
    return pool_of(instance, identity_texts(attributes))


def _waiters(
    instance: Instance,
    points: Mapping[str, Sequence[tuple[Attributes, float]]],
    refused: Counter[str],
) -> tuple[WaitingCallers, ...]:
    """Return the complete lists of waiting callers, by pool."""
    listed: dict[Pool, list[WaitingCaller]] = defaultdict(list)
    for attributes, age_s in points.get(WAITER_AGE.name, ()):
        waiter = _waiter(attributes, age_s)
        if waiter is None:
            refused[DecodeRefusal.MALFORMED_WAITER] += 1
        else:
            listed[_pool(instance, attributes)].append(waiter)
    listed_counts = _by_pool(instance, points.get(WAITERS_LISTED.name, ()))
    waiting = _by_pool(instance, points.get(WAITERS_WAITING.name, ()))
    return tuple(
        WaitingCallers(pool, count, tuple(listed[pool]))
        for pool, count in waiting.items()
        if listed_counts.get(pool) == len(listed[pool])
    )


def _waiter(attributes: Attributes, age_s: float) -> WaitingCaller | None:
    phase = _closed(Phase, text(attributes, PHASE))
    if phase is None or age_s < 0:
        return None
    return WaitingCaller(
        phase=phase,
        age_s=age_s,
        route=text(attributes, HTTP_ROUTE),
        code_file=text(attributes, CODE_FILE_PATH),
        code_line=integer(attributes, CODE_LINE_NUMBER),
        code_function=text(attributes, CODE_FUNCTION_NAME),
        owner_kind=_closed(OwnerKind, text(attributes, OWNER_KIND)),
        now=_now(attributes),
    )


def _now(attributes: Attributes) -> NowPlace | None:
    """Return where an owner was at the last look; None if neither its line nor its call is sent."""
    code_file, call = text(attributes, NOW_FILE_PATH), text(attributes, NOW_CALL)
    if code_file is None and call is None:
        return None
    return NowPlace(
        code_file=code_file,
        code_line=integer(attributes, NOW_LINE_NUMBER),
        code_function=text(attributes, NOW_FUNCTION_NAME),
        call=call,
        looks=integer(attributes, NOW_LOOKS) or 1,
        age_s=seconds(attributes, NOW_AGE) or 0.0,
    )


def _by_pool(instance: Instance, points: Iterable[tuple[Attributes, float]]) -> dict[Pool, int]:
    return {_pool(instance, attributes): int(value) for attributes, value in points}


def _checkout(pool: Pool, attributes: Attributes, age_s: float) -> Checkout | None:
    checkout_id = integer(attributes, CHECKOUT_ID)
    if checkout_id is None or age_s < 0:
        return None
    return Checkout(
        pool=pool,
        id=checkout_id,
        age_s=age_s,
        backend_pid=integer(attributes, BACKEND_PID),
        local=endpoint(attributes, LOCAL_ADDRESS, LOCAL_PORT),
        peer=endpoint(attributes, PEER_ADDRESS, PEER_PORT),
        connection_age_s=seconds(attributes, CONNECTION_AGE),
        route=text(attributes, HTTP_ROUTE),
        code_file=text(attributes, CODE_FILE_PATH),
        code_line=integer(attributes, CODE_LINE_NUMBER),
        code_function=text(attributes, CODE_FUNCTION_NAME),
        owner_kind=_closed(OwnerKind, text(attributes, OWNER_KIND)),
        unit_kind=_closed(UnitKind, text(attributes, UNIT_KIND)),
        unit_name=text(attributes, UNIT_NAME),
        evidence=_closed(Evidence, text(attributes, EVIDENCE)),
        trace_id=text(attributes, TRACE_ID),
        now=_now(attributes),
    )


def _backend_pids(
    instance: Instance, points: Iterable[tuple[Attributes, float]]
) -> dict[Pool, frozenset[int]]:
    found = {}
    for attributes, _ in points:
        pids = attributes.get(BACKEND_PIDS)
        if isinstance(pids, tuple):
            found[_pool(instance, attributes)] = frozenset(pids)
    return found


def _ended(points: Iterable[tuple[Attributes, float]]) -> dict[int, float]:
    sent = ((integer(attributes, CHECKOUT_ID), age_s) for attributes, age_s in points)
    return {checkout_id: age_s for checkout_id, age_s in sent if checkout_id and age_s >= 0}


def _generations(
    instance: Instance, points: Iterable[tuple[Attributes, float]]
) -> dict[Pool, PoolGeneration]:
    return {
        _pool(instance, attributes): PoolGeneration(
            int(number), attributes.get(POOL_IS_GONE) is True, text(attributes, CALL_SITE)
        )
        for attributes, number in points
        if number > 0
    }


def _pools_made(
    instance: Instance, points: Iterable[tuple[Attributes, float]]
) -> dict[Pool, PoolsMade]:
    found = {}
    for attributes, count in points:
        call_site = text(attributes, CALL_SITE)
        if call_site is not None and count > 0:
            found[_pool(instance, attributes)] = PoolsMade(call_site, int(count))
    return found


def _stalls(points: Iterable[tuple[Attributes, float]]) -> Iterator[LoopStall]:
    for attributes, lasted_s in points:
        if lasted_s > 0:
            yield LoopStall(
                lasted_s=lasted_s,
                is_over=attributes.get(STALL_IS_OVER) is True,
                blocked_s=seconds(attributes, BLOCKED_TIME) or 0.0,
                thread_name=text(attributes, THREAD_NAME),
                code_file=text(attributes, CODE_FILE_PATH),
                code_line=integer(attributes, CODE_LINE_NUMBER),
                code_function=text(attributes, CODE_FUNCTION_NAME),
            )


def _occupancy(
    instance: Instance, points: Iterable[tuple[Attributes, float]]
) -> dict[Occupied, float]:
    found = {}
    for attributes, seconds_out in points:
        if not 0 <= seconds_out < math.inf:
            continue
        names = (HTTP_ROUTE, TAKEN_AT, NOW_AT, NOW_CALL, DOING)
        texts = [text(attributes, name) or "" for name in names]
        found[Occupied(_pool(instance, attributes), *texts)] = seconds_out
    return found


def _timeout_reports(
    instance: Instance, points: Sequence[NumberDataPoint], refused: Counter[str]
) -> dict[Pool, TimeoutReport]:
    """Return the first report of each pool; a long text is read only of a bounded number."""
    found: dict[Pool, TimeoutReport] = {}
    for point in points[:MAX_REPORTS]:
        age_s, report = number_of(point), report_text(point.attributes, TIMEOUT_TEXT)
        if age_s is None or age_s < 0 or report is None:
            refused[DecodeRefusal.MALFORMED_REPORT] += 1
        else:
            pool = _pool(instance, read_attributes(point.attributes))
            found.setdefault(pool, TimeoutReport(age_s, report))
    if len(points) > MAX_REPORTS:
        refused[DecodeRefusal.TOO_MANY_REPORTS] += len(points) - MAX_REPORTS
    return found


def _inherited(
    instance: Instance, points: Iterable[tuple[Attributes, float]]
) -> dict[Pool, tuple[InheritedConnection, ...]]:
    found: dict[Pool, list[InheritedConnection]] = defaultdict(list)
    for attributes, unused_s in points:
        if unused_s >= 0:
            found[_pool(instance, attributes)].append(_inherited_connection(attributes, unused_s))
    return {pool: tuple(connections) for pool, connections in found.items()}


def _inherited_connection(attributes: Attributes, unused_s: float) -> InheritedConnection:
    return InheritedConnection(
        backend_pid=integer(attributes, BACKEND_PID),
        local=endpoint(attributes, LOCAL_ADDRESS, LOCAL_PORT),
        unused_s=unused_s,
        route=text(attributes, HTTP_ROUTE),
        code_file=text(attributes, CODE_FILE_PATH),
        code_line=integer(attributes, CODE_LINE_NUMBER),
    )


def _closed(values: type[_Closed], name: str | None) -> _Closed | None:
    """Return a member of a closed set, or None for a member that only a newer sender has."""
    try:
        return values(name) if name else None
    except ValueError:
        return None
