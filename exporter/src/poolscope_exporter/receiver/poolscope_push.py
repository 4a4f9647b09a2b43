"""Decode what a push of poolscope says beside its series: who pushes, and who holds what."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from poolscope.catalogue import (
    BACKEND_PID,
    BACKEND_PIDS,
    CHECKOUT_AGE,
    CHECKOUT_ID,
    CHECKOUTS_HELD,
    CHECKOUTS_LISTED,
    CODE_FILE_PATH,
    CODE_FUNCTION_NAME,
    CODE_LINE_NUMBER,
    CONNECTION_AGE,
    EVIDENCE,
    HTTP_ROUTE,
    LOCAL_ADDRESS,
    LOCAL_PORT,
    OWNER_KIND,
    PEER_ADDRESS,
    PEER_PORT,
    PHASE,
    POOL_SESSIONS,
    PUSH,
    PUSH_END,
    PUSH_INTERVAL,
    PUSH_PRESSURE,
    PUSH_PUBLISHER,
    TRACE_ID,
    WAITER_AGE,
    WAITERS_LISTED,
    WAITERS_WAITING,
    Evidence,
    OwnerKind,
    Phase,
    Publisher,
)
from poolscope_exporter.core.model.checkouts import (
    Checkout,
    HeldCheckouts,
    Instance,
    Pool,
    pool_of,
)
from poolscope_exporter.core.model.pushes import WaitingCaller, WaitingCallers
from poolscope_exporter.receiver.attributes import (
    Attributes,
    endpoint,
    identity_texts,
    integer,
    number_of,
    read_attributes,
    seconds,
    text,
)
from poolscope_exporter.receiver.refusals import DecodeRefusal

_Closed = TypeVar("_Closed", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class PushScope:
    """What one push says of itself, of held checkouts and of waiting callers."""

    sequence: int
    interval_s: float | None
    is_end: bool
    is_pressed: bool
    publisher: Publisher
    held: tuple[HeldCheckouts, ...]
    waiters: tuple[WaitingCallers, ...]
    backend_pids: Mapping[Pool, frozenset[int]]


def read_push_scope(
    instance: Instance, metrics: Iterable[Metric], refused: Counter[str]
) -> PushScope | None:
    """Return what the push scope says, or None where its push marker is missing."""
    points: dict[str, list[tuple[Attributes, float]]] = defaultdict(list)
    for metric in metrics:
        points[metric.name].extend(_numbers(metric))
    if not points[PUSH.name]:
        return None
    marker, sequence = points[PUSH.name][0]
    return PushScope(
        sequence=int(sequence),
        interval_s=seconds(marker, PUSH_INTERVAL) or None,
        is_end=marker.get(PUSH_END) is True,
        is_pressed=marker.get(PUSH_PRESSURE) is True,
        publisher=_closed(Publisher, text(marker, PUSH_PUBLISHER)) or Publisher.EXPORTER,
        held=_held(instance, points, refused),
        waiters=_waiters(instance, points, refused),
        backend_pids=_backend_pids(instance, points[POOL_SESSIONS.name]),
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
    """Return the pools whose list of held checkouts arrived whole.

    A list that lost a point on its way must not replace the one we have: the checkout that is
    missing from it would look returned.
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
    """Return the pools whose list of waiting callers arrived whole."""
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
        evidence=_closed(Evidence, text(attributes, EVIDENCE)),
        trace_id=text(attributes, TRACE_ID),
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


def _closed(values: type[_Closed], name: str | None) -> _Closed | None:
    """Return a member of a closed set; a newer sender may know more members than we do."""
    try:
        return values(name) if name else None
    except ValueError:
        return None
