"""Expose the situation and the applications' series to Prometheus."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from poolscope.catalogue import HOST_NAME, K8S_POD_NAME, METRICS, Kind
from poolscope_exporter import clock
from poolscope_exporter.adapters.families import Families, FamilyType
from poolscope_exporter.core import catalogue as own
from poolscope_exporter.core.catalogue import (
    INSTANCE_LABELS,
    POOL_LABELS,
    ROUTE_LABELS,
    OwnMetric,
)
from poolscope_exporter.core.changes import ServerRole
from poolscope_exporter.core.checkouts import Instance, Point, Pool
from poolscope_exporter.core.diagnosis import Diagnosis
from poolscope_exporter.core.linking import Link
from poolscope_exporter.core.service_totals import ServiceTotal
from poolscope_exporter.core.sessions import Privilege
from poolscope_exporter.core.situation import BouncerView, PoolState, ServerView, Situation
from poolscope_exporter.core.translation import label_name, metric_name
from poolscope_exporter.core.verdicts import Judgement
from poolscope_exporter.polls import PollReport
from poolscope_exporter.version import __version__

FRESH_S = 1.0
"""How long an exposition is served again: a second scraper costs nothing."""

MAX_CONTENT_TYPES = 8

UNLINKED = "unlinked"
"""Level of the held checkouts that have no link; the reason says why."""

_TYPES = {
    Kind.COUNTER: FamilyType.COUNTER,
    Kind.UP_DOWN_COUNTER: FamilyType.GAUGE,
    Kind.GAUGE: FamilyType.GAUGE,
    Kind.HISTOGRAM: FamilyType.HISTOGRAM,
}
_METRICS = {metric.name: metric for metric in METRICS}
_DESCRIPTIONS = {metric.name: metric.description for metric in METRICS}


@dataclass(frozen=True, slots=True)
class Scrape:
    """Everything that one exposition tells, taken at one moment."""

    situation: Situation
    series: Iterable[tuple[Instance, Point]]
    routes: Iterable[ServiceTotal]
    held_idle: Iterable[ServiceTotal]
    polls: Iterable[PollReport]
    requests: Mapping[str, int]
    refused: Mapping[str, int]
    bouncer_polls: Iterable[PollReport] = ()


@dataclass(frozen=True, slots=True)
class _Rendered:
    body: bytes
    expires_s: float


class Exposition:
    """The text of `/metrics`: rendered beside the event loop, and kept for a second."""

    def __init__(
        self, take: Callable[[], Scrape], now: Callable[[], float] = clock.monotonic
    ) -> None:
        self._take = take
        self._now = now
        self._lock = asyncio.Lock()
        self._rendered: dict[str, _Rendered] = {}

    async def render(self, accept: str) -> tuple[bytes, str]:
        """Return the body and its content type, in the form that the scraper accepts."""
        encode, content_type = _encoder(accept)
        async with self._lock:
            self._forget_stale(self._now())
            if content_type not in self._rendered:
                collector = ScrapeCollector(self._take())
                body = await asyncio.to_thread(encode, collector)
                self._rendered[content_type] = _Rendered(body, self._now() + FRESH_S)
            return self._rendered[content_type].body, content_type

    def _forget_stale(self, now_s: float) -> None:
        fresh = {
            content_type: rendered
            for content_type, rendered in self._rendered.items()
            if now_s < rendered.expires_s
        }
        # The scraper names the version, so that one could ask for ever new content types.
        self._rendered = fresh if len(fresh) < MAX_CONTENT_TYPES else {}


def _encoder(accept: str) -> tuple[Callable[[Collector], bytes], str]:
    try:
        return choose_encoder(accept)
    except (TypeError, ValueError):  # a version that is none
        return choose_encoder("")


class ScrapeCollector(Collector):
    """A scrape in the form that the official encoders take."""

    def __init__(self, scrape: Scrape) -> None:
        self._scrape = scrape

    def collect(self) -> Iterable[Metric]:
        """Return every family, each name once."""
        families = Families()
        scrape = self._scrape
        _add_series(families, scrape.series)
        _add_routes(families, scrape.routes)
        for total in scrape.held_idle:
            _add(families, own.HELD_IDLE_TIME, _route_values(total), total.value)
        _add_judgements(families, scrape.situation.judgements)
        _add_pools(families, scrape.situation.pools)
        _add_servers(families, scrape.situation.servers)
        _add_polls(families, scrape.polls, _POLLS)
        _add_costs(families, scrape.polls)
        _add_bouncers(families, scrape.situation.bouncers)
        _add_polls(families, scrape.bouncer_polls, _BOUNCER_POLLS)
        _add_instances(families, scrape.situation)
        _add_each(families, own.RECEIVER_REQUESTS, scrape.requests)
        _add_each(families, own.RECEIVER_REFUSED, scrape.refused)
        _add(families, own.BUILD_INFO, (__version__,), 1)
        return families.collect()


def _add_series(families: Families, series: Iterable[tuple[Instance, Point]]) -> None:
    for instance, point in series:
        labels = dict(zip(INSTANCE_LABELS, _instance_values(instance), strict=True))
        for attribute, value in point.attributes.items():
            labels.setdefault(_label(attribute), value)
        families.add(
            _name(point.metric, point.kind, point.unit),
            _TYPES[point.kind],
            _DESCRIPTIONS.get(point.metric, "As received; the catalogue does not know it."),
            labels,
            point.value,
        )


def _add_routes(families: Families, totals: Iterable[ServiceTotal]) -> None:
    for total in totals:
        metric = _METRICS[total.metric]
        name = _name(metric.name, metric.kind, metric.unit)
        labels = dict(zip(ROUTE_LABELS, _route_values(total), strict=True))
        families.add(name, _TYPES[metric.kind], metric.description, labels, total.value)


_name = lru_cache(1024)(metric_name)
_label = lru_cache(1024)(label_name)


def _add(families: Families, metric: OwnMetric, values: tuple[str, ...], value: float) -> None:
    labels = dict(zip(metric.labels, values, strict=True))
    families.add(metric.name, FamilyType(metric.type.value), metric.help, labels, value)


def _add_each(
    families: Families,
    metric: OwnMetric,
    counts: Mapping[str, float],
    before: tuple[str, ...] = (),
) -> None:
    """Add a sample for each key of `counts`, which is the metric's last label."""
    for name, count in counts.items():
        _add(families, metric, (*before, name), count)


def _add_judgements(families: Families, judgements: Iterable[Judgement]) -> None:
    oldest: dict[Pool, float] = {}
    for judgement in judgements:
        checkout = judgement.checkout
        what = (judgement.verdict, judgement.evidence or "", checkout.route or "")
        _add(families, own.HELD_CHECKOUTS, (*_pool_values(checkout.pool), *what), 1)
        _add(families, own.LINKS, _link_values(judgement), 1)
        oldest[checkout.pool] = max(judgement.age_s, oldest.get(checkout.pool, 0.0))
    for pool, age_s in oldest.items():
        _add(families, own.OLDEST_CHECKOUT_AGE, _pool_values(pool), age_s)


def _add_pools(families: Families, pools: Iterable[PoolState]) -> None:
    for state in pools:
        for diagnosis in Diagnosis:
            values = (*_pool_values(state.pool), diagnosis.value)
            applies = diagnosis is state.diagnosis.diagnosis
            _add(families, own.POOL_DIAGNOSIS, values, int(applies))


def _add_servers(families: Families, views: Iterable[ServerView]) -> None:
    for view in views:
        server = (view.server,)
        _add(families, own.SERVER_UP, server, int(view.up))
        _add_identity(families, view)
        _add_each(families, own.SERVER_CONNECTIONS, view.connections or {}, server)
        _add_each(families, own.SERVER_CONNECTIONS_LIMIT, _limits(view), server)
        if view.active_on_cpu is not None:
            _add(families, own.SERVER_ACTIVE_ON_CPU, server, view.active_on_cpu)
        if view.cpus is not None:
            _add(families, own.SERVER_CPUS, server, view.cpus)
        for service, count in (view.orphans or {}).items():
            _add(families, own.ORPHAN_SESSIONS, (*server, *service), count)
        if view.headroom:
            _add(families, own.SERVER_HEADROOM, server, view.headroom.free)


def _add_identity(families: Families, view: ServerView) -> None:
    server = (view.server,)
    if view.up and view.identity:
        levels = {level.value: int(level is view.identity.privilege) for level in Privilege}
        _add_each(families, own.PRIVILEGE_LEVEL, levels, server)
    if view.place:
        roles = {role.value: int(role is view.place) for role in ServerRole}
        _add_each(families, own.SERVER_ROLE, roles, server)


def _limits(view: ServerView) -> dict[str, int]:
    """Return the server's limit and, of roles and databases, the one that leaves the least."""
    found = {"server": view.limits.usable} if view.limits else {}
    bounds = view.headroom.limits if view.headroom else ()
    for bound in sorted(bounds, key=lambda bound: bound.free, reverse=True):
        found[bound.scope] = bound.limit
    return found


def _add_bouncers(families: Families, views: Iterable[BouncerView]) -> None:
    for view in views:
        _add(families, own.PGBOUNCER_UP, (view.bouncer,), int(view.up))
        _add_each(families, own.PGBOUNCER_CLIENTS, view.clients or {}, (view.bouncer,))


_POLLS = (own.POLL_LAST_SUCCESS, own.POLL_DURATION, own.POLL_FAILURES)
_BOUNCER_POLLS = (
    own.PGBOUNCER_POLL_LAST_SUCCESS,
    own.PGBOUNCER_POLL_DURATION,
    own.PGBOUNCER_POLL_FAILURES,
)


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


def _add_costs(families: Families, reports: Iterable[PollReport]) -> None:
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
        where = (state.resource.get(name, "") for name in (HOST_NAME, K8S_POD_NAME))
        _add(families, own.INSTANCE_INFO, (*names, *where), 1)


def _instance_values(instance: Instance) -> tuple[str, str, str]:
    return instance.namespace, instance.name, instance.id


def _route_values(total: ServiceTotal) -> tuple[str, ...]:
    pool = total.pool
    port = _port(pool.server_port)
    identity = (pool.pool, pool.db_namespace, pool.server_address, port)
    return (pool.namespace, pool.service, *identity, total.route)


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
