"""Every series of the exporter: servers, PgBouncers, verdicts, links, polls and limits."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from poolscope.catalogue import HOST_NAME, K8S_POD_NAME, METRICS, PROCESS_PID
from poolscope_exporter.core import own_metrics as own
from poolscope_exporter.core.capacity.headroom import Limit
from poolscope_exporter.core.capacity.room_for_pods import RoomForPods
from poolscope_exporter.core.fleet.process_names import process_name
from poolscope_exporter.core.fleet.service_totals.route_totals import (
    RouteNames,
    ServicePool,
    ServiceTotal,
    service_pool_of,
)
from poolscope_exporter.core.judging.diagnosis import Diagnosis
from poolscope_exporter.core.judging.situation import PoolAssessment, Situation
from poolscope_exporter.core.judging.verdicts import Judgement
from poolscope_exporter.core.judging.views import BouncerView, ServerView
from poolscope_exporter.core.linking.link import Link
from poolscope_exporter.core.model.checkouts import Checkout, Instance, Pool
from poolscope_exporter.core.model.servers import Privilege, ServerRole
from poolscope_exporter.core.own_metrics import (
    INSTANCE_LABELS,
    POOL_LABELS,
    ROUTE_LABELS,
    OwnMetric,
)
from poolscope_exporter.forwarding.queue import ForwardReport
from poolscope_exporter.metrics.app_series import TYPES, name_of
from poolscope_exporter.metrics.bouncer_series import Sample, traffic_samples
from poolscope_exporter.metrics.families import Families, FamilyType
from poolscope_exporter.metrics.holding_calls import holding_calls
from poolscope_exporter.metrics.long_held import Line, long_held_lines
from poolscope_exporter.metrics.scrape import Scrape
from poolscope_exporter.polling.record import PollReport
from poolscope_exporter.version import __version__

UNLINKED = "unlinked"
"""Level of the held checkouts without a link; the reason explains why."""

UNKNOWN, OTHER = "unknown", "other"
"""Labels of sessions without a known name, and of the sessions that have no separate series."""

_METRICS = {metric.name: metric for metric in METRICS}

_HELD_TIMES = {
    metric.name: metric
    for metric in (own.HELD_IDLE_TIME, own.HELD_IN_TRANSACTION_TIME, own.HELD_SEEN_TIME)
}

_POLLS = (own.POLL_LAST_SUCCESS, own.POLL_DURATION, own.POLL_FAILURES)

_BOUNCER_POLLS = (
    own.PGBOUNCER_POLL_LAST_SUCCESS,
    own.PGBOUNCER_POLL_DURATION,
    own.PGBOUNCER_POLL_FAILURES,
)


def add_own(families: Families, scrape: Scrape, routes: RouteNames) -> None:
    """Add every series of the exporter to the families."""
    _add_routes(families, scrape.routes)
    for total in scrape.held_time:
        _add(families, _HELD_TIMES[total.metric], _route_values(total), total.value)
    for total in scrape.refuted:
        _add(families, own.LEAKS_REFUTED, _route_values(total), total.value)
    for total in scrape.occupancy:
        _add(families, own.OCCUPANCY_TIME, (*_route_values(total), total.metric), total.value)
    for pool, call, count in holding_calls(scrape.situation.judgements):
        _add(families, own.HOLDING_CALL, (*_service_pool_values(pool), call), count)
    _add_judgements(families, scrape.situation, routes)
    _add_pools(families, scrape.situation.pools)
    _add_servers(families, scrape.situation.servers)
    _add_polls(families, scrape.polls, _POLLS)
    _add_poll_costs(families, scrape.polls)
    _add_bouncers(families, scrape.situation.bouncers)
    _add_polls(families, scrape.bouncer_polls, _BOUNCER_POLLS)
    for sample in proxy_samples(scrape.situation, scrape.resolutions):
        _add(families, *sample)
    _add_instances(families, scrape.situation)
    _add_each(families, own.RECEIVER_REQUESTS, scrape.requests)
    _add_each(families, own.RECEIVER_REFUSED, scrape.refused)
    _add_each(families, own.RECEIVER_IGNORED, scrape.ignored)
    _add_forwarding(families, scrape.forwarding)
    _add(families, own.SCRAPES_REFUSED, (), scrape.scrapes_refused)
    _add_each(families, own.OUTPUT_LOST, scrape.output_lost)
    if scrape.state_failures is not None:
        _add(families, own.STATE_FAILURES, (), scrape.state_failures)
    _add(families, own.EXPORTER_ROLE, (scrape.role.value,), 1)
    for listener, counts in scrape.closed.items():
        _add_each(families, own.CONNECTIONS_CLOSED, counts, (listener,))
    _add(families, own.BUILD_INFO, (__version__,), 1)


def _add_routes(families: Families, totals: Iterable[ServiceTotal]) -> None:
    for total in totals:
        metric = _METRICS[total.metric]
        name = name_of(metric.name, metric.kind, metric.unit)
        labels = families.labels_of(ROUTE_LABELS, _route_values(total))
        families.add_sample(name, TYPES[metric.kind], metric.description, labels, total.value)


def _add(families: Families, metric: OwnMetric, values: tuple[str, ...], value: float) -> None:
    labels = families.labels_of(metric.labels, values)
    families.add_sample(metric.name, FamilyType(metric.type.value), metric.help, labels, value)


def _add_each(
    families: Families,
    metric: OwnMetric,
    counts: Mapping[str, float],
    before: tuple[str, ...] = (),
) -> None:
    """Add a sample for each key of `counts`, which is the metric's last label."""
    for name, count in counts.items():
        _add(families, metric, (*before, name), count)


def _add_judgements(families: Families, situation: Situation, routes: RouteNames) -> None:
    oldest: dict[Pool, float] = {}
    routes.expire_routes(situation.taken_at_s)
    for judgement in situation.judgements:
        checkout = judgement.checkout
        service_pool = service_pool_of(checkout.pool)
        route = routes.name(service_pool, checkout.route or "", situation.taken_at_s)
        what = (judgement.verdict, judgement.evidence or "", route)
        _add(families, own.HELD_CHECKOUTS, (*_pool_values(checkout.pool), *what), 1)
        _add(families, own.LINKS, _link_values(judgement), 1)
        if judgement.is_unproven:
            leak = (judgement.evidence or "", route, _call_site(checkout))
            _add(families, own.UNPROVEN_LEAKS, (*_pool_values(checkout.pool), *leak), 1)
        oldest[checkout.pool] = max(judgement.age_s, oldest.get(checkout.pool, 0.0))
    for pool, age_s in oldest.items():
        _add(families, own.OLDEST_CHECKOUT_AGE, _pool_values(pool), age_s)
    _add_long_held(families, situation, routes)


def _add_long_held(families: Families, situation: Situation, routes: RouteNames) -> None:
    def line_of(checkout: Checkout) -> Line:
        pool = service_pool_of(checkout.pool)
        route = routes.name(pool, checkout.route or "", situation.taken_at_s)
        return route, _call_site(checkout)

    for pool, line, count in long_held_lines(situation.judgements, line_of):
        _add(families, own.LONG_HELD_CHECKOUTS, (*_pool_values(pool), *line), count)


def _call_site(checkout: Checkout) -> str:
    """Return the call site in the form of the application's counters."""
    return f"{checkout.code_file}:{checkout.code_line}" if checkout.code_file else ""


def _add_pools(families: Families, pools: Iterable[PoolAssessment]) -> None:
    for state in pools:
        of_pool = _pool_values(state.pool)
        for diagnosis in Diagnosis:
            applies = diagnosis is state.diagnosis.diagnosis
            _add(families, own.POOL_DIAGNOSIS, (*of_pool, diagnosis.value), int(applies))
        if state.server or state.bouncer:
            leads_to = (state.server or "", state.bouncer or "")
            _add(families, own.POOL_DESTINATION, (*of_pool, *leads_to), 1)
        for sample in check_samples(state, of_pool):
            _add(families, *sample)


def _add_servers(families: Families, views: Iterable[ServerView]) -> None:
    for view in views:
        server = (view.server,)
        _add(families, own.SERVER_UP, server, int(view.up))
        _add_identity(families, view)
        _add_each(families, own.SERVER_CONNECTIONS, view.connections or {}, server)
        _add_each(families, own.SERVER_CONNECTIONS_LIMIT, _limits(view), server)
        _add_owners(families, view)
        if view.active_on_cpu is not None:
            _add(families, own.SERVER_ACTIVE_ON_CPU, server, view.active_on_cpu)
        if view.cpus is not None:
            _add(families, own.SERVER_CPUS, server, view.cpus)
        for service, count in (view.orphans or {}).items():
            _add(families, own.ORPHAN_SESSIONS, (*server, *service), count)
        if view.headroom:
            _add(families, own.SERVER_HEADROOM, server, view.headroom.free)
        if view.left_out is not None:
            _add(families, own.CHECKOUTS_LEFT_OUT, server, view.left_out)
        _add_room(families, view.room, (view.server, ""))


def _add_owners(families: Families, view: ServerView) -> None:
    """Add the sessions by role and database; names that are not known are counted as unknown."""
    if view.owners is None:
        return
    counts: Counter[tuple[str, str]] = Counter()
    for (role, database), count in view.owners.counts:
        counts[role or UNKNOWN, database or UNKNOWN] += count
    if view.owners.others:
        counts[OTHER, OTHER] += view.owners.others
    for owner, count in counts.items():
        _add(families, own.SERVER_SESSIONS, (view.server, *owner), count)


def _add_room(
    families: Families, rooms: Iterable[RoomForPods], limited_by: tuple[str, str]
) -> None:
    for room in rooms:
        labels = (*limited_by, room.namespace, room.service)
        if room.connections is not None:
            _add(families, own.POD_CONNECTIONS, labels, room.connections)
        if room.more is not None:
            _add(families, own.ROOM_FOR_PODS, labels, room.more)


def _add_identity(families: Families, view: ServerView) -> None:
    server = (view.server,)
    if view.up and view.identity:
        levels = {level.value: int(level is view.identity.privilege) for level in Privilege}
        _add_each(families, own.PRIVILEGE_LEVEL, levels, server)
    if view.place:
        roles = {role.value: int(role is view.place) for role in ServerRole}
        _add_each(families, own.SERVER_ROLE, roles, server)


def _limits(view: ServerView) -> dict[str, int]:
    """Return the server's limit, and the tightest of those of roles and databases."""
    found = {"server": view.limits.usable} if view.limits else {}
    bounds = view.headroom.limits if view.headroom else ()
    for bound in sorted(bounds, key=lambda bound: bound.free, reverse=True):
        found[bound.scope] = bound.limit
    return found


def _add_bouncers(families: Families, views: Iterable[BouncerView]) -> None:
    for view in views:
        _add(families, own.PGBOUNCER_UP, (view.bouncer,), int(view.up))
        _add_each(families, own.PGBOUNCER_CLIENTS, view.clients or {}, (view.bouncer,))
        _add_room(families, view.room, ("", view.bouncer))


def _add_polls(
    families: Families,
    reports: Iterable[PollReport],
    metrics: tuple[OwnMetric, OwnMetric, OwnMetric],
) -> None:
    last_success, duration, failures = metrics
    for report in reports:
        server = (report.server,)
        if report.last_success_s is not None:
            _add(families, last_success, server, report.last_success_s)
        if report.duration_s is not None:
            _add(families, duration, server, report.duration_s)
        _add_each(families, failures, report.failures, server)


def _add_forwarding(families: Families, report: ForwardReport | None) -> None:
    if report is None:
        return
    _add_each(families, own.FORWARD_REQUESTS, report.requests)
    _add_each(families, own.FORWARD_LOST, report.lost)
    _add(families, own.FORWARD_WAITING, (), report.waiting)
    _add(families, own.FORWARD_WAITING_BYTES, (), report.waiting_bytes)


def _add_poll_costs(families: Families, reports: Iterable[PollReport]) -> None:
    for report in reports:
        server = (report.server,)
        if report.connections is not None:
            _add(families, own.EXPORTER_CONNECTIONS, server, report.connections)
        if report.tiers is not None:
            _add_each(families, own.POLL_TIER_SECONDS, report.tiers.seconds, server)
            _add_each(families, own.POLL_TIER_MISSED, report.tiers.missed, server)
        _add_each(families, own.SERVER_CHANGES, report.changes, server)


def _add_instances(families: Families, situation: Situation) -> None:
    for state in situation.instances:
        if state.ended:
            continue
        names = _instance_values(state.instance)
        _add(families, own.INSTANCE_LAST_PUSH_AGE, names, state.last_push_age_s)
        where = (state.resource.get(name, "") for name in (HOST_NAME, K8S_POD_NAME, PROCESS_PID))
        name = process_name(state.instance, state.resource)
        _add(families, own.INSTANCE_INFO, (*names, *where, name), 1)


def _instance_values(instance: Instance) -> tuple[str, str, str]:
    return instance.namespace, instance.name, instance.id


def _route_values(total: ServiceTotal) -> tuple[str, ...]:
    return (*_service_pool_values(total.pool), total.route)


def _service_pool_values(pool: ServicePool) -> tuple[str, ...]:
    port = _port(pool.server_port)
    identity = (pool.pool, pool.db_namespace, pool.server_address, port)
    return (pool.namespace, pool.service, *identity)


def _port(port: int) -> str:
    return str(port) if port else ""


def _pool_values(pool: Pool) -> tuple[str, ...]:
    values = (pool.name, pool.db_namespace, pool.server_address, _port(pool.server_port))
    assert len(POOL_LABELS) == len(INSTANCE_LABELS) + len(values)
    return (*_instance_values(pool.instance), *values)


def _link_values(judgement: Judgement) -> tuple[str, str]:
    if isinstance(judgement.link, Link):
        return judgement.link.level, ""
    return UNLINKED, judgement.link.reason


def proxy_samples(
    situation: Situation, resolutions: Iterable[tuple[str, str, int]]
) -> Iterator[Sample]:
    """Return the samples of all PgBouncers and of the declared time-outs.

    Unknown ones are absent.
    """
    for view in situation.bouncers:
        yield from _bouncer(view)
        yield from traffic_samples(view)
    for declared in situation.configured_idle:
        if declared.seconds:
            yield own.PROXY_IDLE_TIMEOUT, (declared.source, ""), declared.seconds
    for target, result, count in resolutions:
        yield own.PGBOUNCER_RESOLUTIONS, (target, result), count


def check_samples(state: PoolAssessment, pool: tuple[str, ...]) -> Iterator[Sample]:
    """Return the samples of a pool's configuration checks; `pool` has the values of its labels."""
    for check in state.checks:
        # Only one result of each check has a sample: a pool has a dozen checks, and series are
        # limited.
        yield own.CONFIG_CHECK, (*pool, check.check_id, check.result), 1


def _bouncer(view: BouncerView) -> Iterator[Sample]:
    name = (view.bouncer,)
    idle = view.idle_timeout
    if idle.seconds:
        yield own.PROXY_IDLE_TIMEOUT, (idle.source, view.bouncer), idle.seconds
    if view.headroom is None:
        return
    yield own.PGBOUNCER_PAUSED, name, len(view.paused)
    tightest = {bound.scope: bound for bound in reversed(_by_headroom(view))}
    for scope, bound in sorted(tightest.items()):
        yield own.PGBOUNCER_LIMIT, (*name, scope), bound.limit
        yield own.PGBOUNCER_HEADROOM, (*name, scope), bound.free
    if view.potential_clients is not None:
        yield own.PGBOUNCER_POTENTIAL_CLIENTS, name, view.potential_clients


def _by_headroom(view: BouncerView) -> list[Limit]:
    bounds = view.headroom.limits if view.headroom else ()
    return sorted(bounds, key=lambda bound: bound.free)
