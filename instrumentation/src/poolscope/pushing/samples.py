"""Collect the data points that are published: all pools of the process, as of one instant."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from poolscope import catalogue
from poolscope.catalogue import (
    CloseReason,
    ConnectErrorKind,
    ConnectionState,
    Evidence,
    FailureReason,
    InvalidationReason,
    Metric,
)
from poolscope.recording.histogram import Buckets
from poolscope.recording.leaks import LeakDetector, LeakKey
from poolscope.recording.pool import PoolConfiguration, PoolIdentity, PoolState, PoolStats
from poolscope.recording.waiters import oldest_by_phase

AttributeValue = str | int | float | bool | list[int]
Attributes = Mapping[str, AttributeValue]


@dataclass(frozen=True, slots=True)
class Sample:
    """One data point: the metric, its attributes, and its value (cumulative for counters)."""

    metric: Metric
    attributes: Attributes
    value: int | float | Buckets


def identity_attributes(identity: PoolIdentity) -> dict[str, AttributeValue]:
    """Return the attributes that every point of a pool carries."""
    attributes: dict[str, AttributeValue] = {catalogue.POOL_NAME: identity.name}
    if identity.db_namespace:
        attributes[catalogue.DB_NAMESPACE] = identity.db_namespace
    if identity.server_address:
        attributes[catalogue.SERVER_ADDRESS] = identity.server_address
    if identity.server_port is not None:
        attributes[catalogue.SERVER_PORT] = identity.server_port
    return attributes


def pool_samples(
    identity: PoolIdentity, stats: PoolStats, leaks: LeakDetector, now_s: float
) -> Iterator[Sample]:
    """Return all aggregates of one pool; what has no meaning for it is absent."""
    own = identity_attributes(identity)
    state = stats.reader.state(stats.slots.copy())
    yield from _pending(stats, own, now_s)
    if state is not None:
        yield from _state(state, own)
    yield from _traffic(stats, own)
    yield from _reasons(stats, own)
    yield from _routes(stats, own)
    yield from _leaks(leaks, own)
    configuration = stats.reader.configuration()
    if configuration is not None:
        yield from _configuration(configuration, own, identity.db_system)
        yield from _settings(configuration, state, _keepalive(stats), own)


def _pending(stats: PoolStats, own: Attributes, now_s: float) -> Iterator[Sample]:
    """Return the callers that wait; each phase has a 0, so that an end shows."""
    by_phase = oldest_by_phase(stats.waiting.copy().values(), now_s)
    yield Sample(catalogue.PENDING_REQUESTS, own, sum(count for count, _ in by_phase.values()))
    for phase, (count, age_s) in by_phase.items():
        labels = {**own, catalogue.PHASE: phase.value}
        yield Sample(catalogue.PENDING, labels, count)
        yield Sample(catalogue.PENDING_AGE, labels, age_s)


def _state(state: PoolState, own: Attributes) -> Iterator[Sample]:
    for name, value in ((ConnectionState.IDLE, state.idle), (ConnectionState.USED, state.used)):
        yield Sample(catalogue.COUNT, {**own, catalogue.CONNECTION_STATE: name.value}, value)
    yield Sample(catalogue.LOST_PLACES, own, state.lost)


def _traffic(stats: PoolStats, own: Attributes) -> Iterator[Sample]:
    use, wait = stats.use.read_counts(), stats.wait.read_counts()
    yield Sample(catalogue.WAIT_TIME, own, wait)
    yield Sample(catalogue.USE_TIME, own, use)
    yield Sample(catalogue.QUEUE_TIME, own, stats.queue.read_counts())
    yield Sample(catalogue.CREATE_TIME, own, stats.create.read_counts())
    if stats.pre_ping:
        yield Sample(catalogue.PING_TIME, own, stats.ping.read_counts())
    yield Sample(catalogue.CHECKOUTS, own, sum(wait.counts) + stats.untimed)
    yield Sample(catalogue.CHECKINS, own, sum(use.counts))
    yield Sample(catalogue.TIMEOUTS, own, stats.failures[FailureReason.TIMEOUT])
    yield Sample(catalogue.OPENED, own, stats.opened)
    yield Sample(catalogue.BLOCKING_CHECKOUTS, own, stats.blocking)
    yield Sample(catalogue.NESTED_CHECKOUTS, own, stats.nested)
    yield Sample(catalogue.SHARED_CONNECTIONS, own, stats.shared)


def _reasons(stats: PoolStats, own: Attributes) -> Iterator[Sample]:
    """Return the counters with a closed set of reasons; each starts at 0, so that growth shows."""
    for failure in FailureReason:
        labels = {**own, catalogue.REASON: failure.value}
        yield Sample(catalogue.CHECKOUT_FAILURES, labels, stats.failures[failure])
    for closed in CloseReason:
        labels = {**own, catalogue.REASON: closed.value}
        yield Sample(catalogue.CLOSED, labels, stats.closed[closed])
    for invalidated in InvalidationReason:
        labels = {**own, catalogue.REASON: invalidated.value}
        yield Sample(catalogue.INVALIDATED, labels, stats.invalidated[invalidated])
    for kind in ConnectErrorKind:
        labels = {**own, catalogue.KIND: kind.value}
        yield Sample(catalogue.CONNECT_ERRORS, labels, stats.connect_errors[kind])


def _routes(stats: PoolStats, own: Attributes) -> Iterator[Sample]:
    for route, (count, held_s) in stats.routes.copy().items():
        labels = {**own, catalogue.HTTP_ROUTE: route}
        yield Sample(catalogue.ROUTE_CHECKOUTS, labels, int(count))
        yield Sample(catalogue.ROUTE_HELD_TIME, labels, held_s)


def _leaks(leaks: LeakDetector, own: Attributes) -> Iterator[Sample]:
    zeros: dict[LeakKey, int] = {(evidence, "", ""): 0 for evidence in Evidence}
    for key in {**zeros, **leaks.leaked}:
        evidence, route, site = key
        labels = {**own, catalogue.EVIDENCE: evidence.value}
        labels |= {catalogue.HTTP_ROUTE: route} if route else {}
        labels |= {catalogue.CALL_SITE: site} if site else {}
        yield Sample(catalogue.LEAKS, labels, leaks.leaked[key])
        yield Sample(catalogue.LEAKS_RECOVERED, labels, leaks.recovered[key])


def _configuration(
    configuration: PoolConfiguration, own: Attributes, db_system: str
) -> Iterator[Sample]:
    about = {
        catalogue.POOL_CLASS: configuration.pool_class,
        catalogue.LIBRARY: configuration.library,
    }
    about |= {catalogue.DB_SYSTEM_NAME: db_system} if db_system else {}
    yield Sample(catalogue.POOL_INFO, {**own, **about}, 1)


def _settings(
    configuration: PoolConfiguration,
    state: PoolState | None,
    keepalive_s: float | None,
    own: Attributes,
) -> Iterator[Sample]:
    settings: tuple[tuple[Metric, int | float | None], ...] = (
        (catalogue.MAX, configuration.max),
        (catalogue.IDLE_MAX, configuration.idle_max),
        (catalogue.IDLE_MIN, configuration.idle_min),
        (catalogue.POOL_SIZE, configuration.size),
        (catalogue.POOL_MAX_OVERFLOW, configuration.max_overflow),
        (catalogue.POOL_OVERFLOW, _overflow(configuration.size, state)),
        (catalogue.POOL_TIMEOUT, configuration.timeout_s),
        (catalogue.POOL_RECYCLE, configuration.recycle_s),
        (catalogue.POOL_PRE_PING, configuration.pre_ping),
        (catalogue.POOL_KEEPALIVE, keepalive_s),
    )
    for metric, value in settings:
        if value is not None:
            yield Sample(metric, own, float(value) if metric.unit == "s" else int(value))


def _overflow(size: int | None, state: PoolState | None) -> int | None:
    if size is None or state is None:
        return None
    return max(0, state.used + state.idle - size)


def _keepalive(stats: PoolStats) -> float | None:
    """Return the keepalive of an open connection; all of a pool are opened alike."""
    known = (slot.facts.keepalive_s for slot in stats.slots.copy().values())
    return next((seconds for seconds in known if seconds is not None), None)
