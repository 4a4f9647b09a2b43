"""Collect the data points to publish: all pools of the process, as of one instant."""

from collections.abc import Iterable, Iterator, Mapping
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
    ServingAge,
    SessionErrorKind,
    SharedReason,
)
from poolscope.recording.checkout import held_by_waiters
from poolscope.recording.histogram import Buckets
from poolscope.recording.leaks import LeakDetector, LeakKey, is_idle_thread
from poolscope.recording.pool import PoolConfiguration, PoolIdentity, PoolState, PoolStats
from poolscope.recording.session_errors import SessionErrorKey, SessionErrors
from poolscope.recording.session_use import SharedKey
from poolscope.recording.waiters import oldest_by_phase
from poolscope.watching.worker_threads import WorkerThreads

AttributeValue = str | int | float | bool | list[int]
Attributes = Mapping[str, AttributeValue]

_NO_LEAK: list[LeakKey] = [(evidence, "", "") for evidence in Evidence]
"""Series that are 0 from the start, so that the first leak of each kind shows as growth."""


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
    identity: PoolIdentity,
    stats: PoolStats,
    leaks: LeakDetector,
    now_s: float,
    threads: WorkerThreads | None = None,
) -> Iterator[Sample]:
    """Return all aggregates of one pool; a metric without a meaning for it is absent."""
    own = identity_attributes(identity)
    state = stats.reader.state(dict(stats.slots))
    yield from _pending(stats, own, now_s)
    if state is not None:
        yield from _state(state, own)
    yield from _stuck_holders(stats, own, threads)
    yield from _traffic(stats, own)
    yield from _reasons(stats, own)
    yield from _routes(stats, own)
    yield from _leaks(leaks, own, dict.fromkeys((*_NO_LEAK, *leaks.leaked)))
    configuration = stats.reader.configuration()
    if configuration is not None:
        yield from _configuration(configuration, own, identity.db_system)
        yield from _settings(configuration, state, _keepalive(stats), own)
        yield from _statement_settings(stats, own)


def counter_samples(
    identity: PoolIdentity, stats: PoolStats, leaks: LeakDetector
) -> Iterator[Sample]:
    """Return the counters and histograms of a pool that is gone: its library is not read."""
    own = identity_attributes(identity)
    yield from _traffic(stats, own)
    yield from _reasons(stats, own)
    yield from _routes(stats, own)
    yield from _leaks(leaks, own, list(leaks.leaked))


def pressed_samples(
    identity: PoolIdentity,
    stats: PoolStats,
    leaks: LeakDetector,
    now_s: float,
    threads: WorkerThreads | None = None,
) -> Iterator[Sample]:
    """Return the samples that change under pressure: waiters, connections in use, and failures.

    A push of these samples alone is small. The exporter keeps the last values of other series.
    """
    own = identity_attributes(identity)
    state = stats.reader.state(dict(stats.slots))
    yield from _pending(stats, own, now_s)
    if state is not None:
        yield from _state(state, own)
    yield from _stuck_holders(stats, own, threads)
    yield Sample(catalogue.TIMEOUTS, own, stats.failures[FailureReason.TIMEOUT])
    yield Sample(catalogue.BLOCKING_CHECKOUTS, own, stats.blocking_checkouts)
    for failure, count in dict(stats.failures).items():
        yield Sample(catalogue.CHECKOUT_FAILURES, {**own, catalogue.REASON: failure.value}, count)
    for kind, count in dict(stats.connect_errors).items():
        yield Sample(catalogue.CONNECT_ERRORS, {**own, catalogue.KIND: kind.value}, count)
    for reason, count in dict(stats.invalidated).items():
        yield Sample(catalogue.INVALIDATED, {**own, catalogue.REASON: reason.value}, count)
    yield from _misplaced(stats, own)
    yield from _leaks(leaks, own, list(leaks.leaked))


def session_error_samples(
    errors: SessionErrors | None, pools: Iterable[tuple[PoolIdentity, PoolStats]]
) -> Iterator[Sample]:
    """Return the ORM errors of the process; each kind starts at 0, so that growth shows.

    Empty if no adapter counts them. `pools` have the names that are unique in the process.
    """
    if errors is None:
        return
    names = {stats: identity.name for identity, stats in pools}
    none: list[SessionErrorKey] = [(kind, "", None) for kind in SessionErrorKind]
    for key in dict.fromkeys((*none, *errors.counts)):
        kind, site, stats = key
        labels: dict[str, AttributeValue] = {catalogue.KIND: kind.value}
        labels |= {catalogue.CALL_SITE: site} if site else {}
        if stats is not None:
            labels[catalogue.POOL_NAME] = names.get(stats, stats.identity.name)
        yield Sample(catalogue.SESSION_ERRORS, labels, errors.counts[key])


def _misplaced(stats: PoolStats, own: Attributes) -> Iterator[Sample]:
    """Return how often a connection of another process or event loop was lent."""
    yield Sample(catalogue.INHERITED_CHECKOUTS, own, stats.inherited)
    yield Sample(catalogue.FOREIGN_LOOP_CHECKOUTS, own, stats.foreign_loop)


def _pending(stats: PoolStats, own: Attributes, now_s: float) -> Iterator[Sample]:
    """Return the callers that wait; a phase without callers has 0, so that an end shows."""
    by_phase = oldest_by_phase(list(stats.waiting.values()), now_s)
    yield Sample(catalogue.PENDING_REQUESTS, own, sum(count for count, _ in by_phase.values()))
    for phase, (count, age_s) in by_phase.items():
        labels = {**own, catalogue.PHASE: phase.value}
        yield Sample(catalogue.PENDING, labels, count)
        yield Sample(catalogue.PENDING_AGE, labels, age_s)


def _state(state: PoolState, own: Attributes) -> Iterator[Sample]:
    for name, value in ((ConnectionState.IDLE, state.idle), (ConnectionState.USED, state.used)):
        yield Sample(catalogue.COUNT, {**own, catalogue.CONNECTION_STATE: name.value}, value)
    yield Sample(catalogue.LOST_PLACES, own, state.lost)


def _stuck_holders(
    stats: PoolStats, own: Attributes, threads: WorkerThreads | None
) -> Iterator[Sample]:
    """Return how many holders wait for a second connection, or for a worker thread."""
    waiters = list(stats.waiting.values())
    checkouts = stats.open_checkouts() if waiters or threads else []
    held_up = held_by_waiters(checkouts, waiters, is_idle_thread)
    yield Sample(catalogue.HELD_BY_WAITERS, own, held_up)
    if threads is not None:
        awaiting = sum(threads.is_awaited_by(checkout.request) for checkout in checkouts)
        yield Sample(catalogue.AWAITING_THREAD, own, awaiting)


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
    yield Sample(catalogue.BLOCKING_CHECKOUTS, own, stats.blocking_checkouts)
    yield Sample(catalogue.NESTED_CHECKOUTS, own, stats.nested)
    yield from _shared(stats, own)
    yield from _misplaced(stats, own)
    yield from _requests(stats, own)


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
    for route, (count, held_s) in dict(stats.routes).items():
        labels = {**own, catalogue.HTTP_ROUTE: route}
        yield Sample(catalogue.ROUTE_CHECKOUTS, labels, int(count))
        yield Sample(catalogue.ROUTE_HELD_TIME, labels, held_s)


def _requests(stats: PoolStats, own: Attributes) -> Iterator[Sample]:
    """Return how many checkouts requests made, and how many waited for a new connection."""
    waits = stats.request_waits
    for age in ServingAge:
        labels = {**own, catalogue.SERVING_AGE: age.value}
        yield Sample(catalogue.REQUEST_CHECKOUTS, labels, waits.checkouts[age])
        yield Sample(catalogue.REQUEST_CONNECT_WAITS, labels, waits.connect_waits[age])


def _leaks(leaks: LeakDetector, own: Attributes, keys: Iterable[LeakKey]) -> Iterator[Sample]:
    for key in keys:
        evidence, route, site = key
        labels = {**own, catalogue.EVIDENCE: evidence.value}
        labels |= {catalogue.HTTP_ROUTE: route} if route else {}
        labels |= {catalogue.CALL_SITE: site} if site else {}
        yield Sample(catalogue.LEAKS, labels, leaks.leaked[key])
        yield Sample(catalogue.LEAKS_RECOVERED, labels, leaks.recovered[key])


def _shared(stats: PoolStats, own: Attributes) -> Iterator[Sample]:
    """Return the uses by more than one owner; each reason starts at 0, so that growth shows."""
    none: list[SharedKey] = [(reason, "", "") for reason in SharedReason]
    for key in dict.fromkeys((*none, *stats.shared)):
        reason, taken_at, used_at = key
        labels = {**own, catalogue.REASON: reason.value}
        labels |= {catalogue.CALL_SITE: taken_at} if taken_at else {}
        labels |= {catalogue.USED_AT: used_at} if used_at else {}
        yield Sample(catalogue.SHARED_CONNECTIONS, labels, stats.shared[key])


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
        (catalogue.POOL_CONNECT_TIMEOUT, configuration.connect_timeout_s),
        (catalogue.POOL_RECYCLE, configuration.recycle_s),
        (catalogue.POOL_IDLE_TIMEOUT, configuration.idle_timeout_s),
        (catalogue.POOL_PRE_PING, configuration.pre_ping),
        (catalogue.POOL_KEEPALIVE, keepalive_s),
    )
    for metric, value in settings:
        if value is not None:
            yield Sample(metric, own, float(value) if metric.unit == "s" else int(value))


def _statement_settings(stats: PoolStats, own: Attributes) -> Iterator[Sample]:
    """Return the settings that make the driver keep statements; one point if it has none."""
    connection = stats.reader.open_connection(dict(stats.slots))
    if connection is not None:
        stats.note_statement_settings(connection)
    settings = stats.statement_settings
    if settings is None:
        return
    if not settings:
        yield Sample(catalogue.POOL_PREPARED_STATEMENTS, own, 0)
    for setting, is_on in settings.items():
        labels = {**own, catalogue.SETTING: setting.value}
        yield Sample(catalogue.POOL_PREPARED_STATEMENTS, labels, int(is_on))


def _overflow(size: int | None, state: PoolState | None) -> int | None:
    if size is None or state is None:
        return None
    return max(0, state.used + state.idle - size)


def _keepalive(stats: PoolStats) -> float | None:
    """Return the keepalive of any open connection: a pool opens all with the same settings."""
    known = (slot.facts.keepalive_s for slot in list(stats.slots.values()))
    return next((seconds for seconds in known if seconds is not None), None)
