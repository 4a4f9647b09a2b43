"""Expose the situation and the applications' series to Prometheus."""

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from prometheus_client.exposition import choose_encoder

from poolscope.catalogue import HOST_NAME, K8S_POD_NAME, METRICS
from poolscope_exporter import clock
from poolscope_exporter.core import own_metrics as own
from poolscope_exporter.core.fleet.route_names import RouteNames
from poolscope_exporter.core.fleet.route_totals import ServiceTotal, service_pool_of
from poolscope_exporter.core.judging.assessment import PoolState, ServerView, Situation
from poolscope_exporter.core.judging.bouncer_view import BouncerView
from poolscope_exporter.core.judging.diagnosis import Diagnosis
from poolscope_exporter.core.judging.roles import Role
from poolscope_exporter.core.judging.verdicts import Judgement
from poolscope_exporter.core.linking.link import Link
from poolscope_exporter.core.model.checkouts import Instance, Point, Pool
from poolscope_exporter.core.model.servers import ServerRole
from poolscope_exporter.core.model.sessions import Privilege
from poolscope_exporter.core.own_metrics import (
    INSTANCE_LABELS,
    POOL_LABELS,
    ROUTE_LABELS,
    OwnMetric,
)
from poolscope_exporter.forwarding.queue import ForwardReport
from poolscope_exporter.metrics.app_series import TYPES, SeriesLabels, name_of
from poolscope_exporter.metrics.families import Families, FamilyText, FamilyType
from poolscope_exporter.metrics.proxy_series import check_samples, proxy_samples
from poolscope_exporter.metrics.text_format import SeriesText
from poolscope_exporter.polling.record import PollReport
from poolscope_exporter.version import __version__

FRESH_S = 1.0
"""How long an exposition is served again: a second scraper costs nothing."""

AHEAD_S = 2.0
"""So long before an expected scrape its text is written: a large fleet's takes almost a second."""

LEAST_PERIOD_S, MOST_PERIOD_S = 4.0, 120.0
"""Scrapes that come more often, or more seldom, are not expected: they are written when they come.
"""

OPENMETRICS = "application/openmetrics-text"

UNLINKED = "unlinked"
"""Level of the held checkouts that have no link; the reason says why."""

_METRICS = {metric.name: metric for metric in METRICS}


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
    resolutions: Iterable[tuple[str, str, int]] = ()
    role: Role = Role.STANDALONE
    forwarding: ForwardReport | None = None
    closed: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Rendered:
    families: tuple[FamilyText, ...]
    expires_s: float


class Exposition:
    """The text of `/metrics`: written beside the event loop, before it is asked for if it can be.

    A text is served for a second; one that was written ahead, until a second after its scrape was
    expected.
    """

    def __init__(
        self, take: Callable[[], Scrape], now: Callable[[], float] = clock.monotonic
    ) -> None:
        self._take = take
        self._now = now
        self._lock = asyncio.Lock()
        self._rendered: _Rendered | None = None
        self._writer = _Writer()
        self._asked_at_s = float("-inf")
        self._ahead: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None

    async def render(self, accept: str) -> tuple[list[bytes], str]:
        """Return the body, in parts, and its content type, in the form that the scraper accepts."""
        content_type = _content_type(accept)
        self._expect_another()
        async with self._lock:
            if self._rendered is None or self._now() >= self._rendered.expires_s:
                await self._write(FRESH_S)
            assert self._rendered is not None
            families = self._rendered.families
        if content_type.startswith(OPENMETRICS):
            return [*(family.as_openmetrics() for family in families), b"# EOF\n"], content_type
        return [family.as_text() for family in families], content_type

    async def write_ahead(self) -> None:
        """Write the text of the scrape that is expected in AHEAD_S."""
        async with self._lock:
            await self._write(AHEAD_S + FRESH_S)

    async def _write(self, fresh_s: float) -> None:
        self._rendered = None  # its memory is needed now
        families = await asyncio.to_thread(self._writer.texts, self._take())
        self._rendered = _Rendered(families, self._now() + fresh_s)

    def _expect_another(self) -> None:
        """Expect the next scrape as long after this one as this came after the one before."""
        loop = asyncio.get_running_loop()
        delay_s = ahead_in(loop.time() - self._asked_at_s)
        self._asked_at_s = loop.time()
        if self._ahead is not None:
            self._ahead.cancel()
            self._ahead = None
        if delay_s is not None:
            self._ahead = loop.call_later(delay_s, self._start_writing)

    def _start_writing(self) -> None:
        self._writing = asyncio.create_task(self.write_ahead())


def ahead_in(period_s: float) -> float | None:
    """Return when to write for the scrape after one that came after `period_s`; None for never."""
    is_expected = LEAST_PERIOD_S <= period_s <= MOST_PERIOD_S
    return period_s - AHEAD_S if is_expected else None


def _content_type(accept: str) -> str:
    """Return the form that the official client would choose."""
    try:
        _, content_type = choose_encoder(accept)
    except (TypeError, ValueError):  # a version that is none
        _, content_type = choose_encoder("")
    # Our names need no escaping: in every other scheme they would be other names.
    return re.sub("escaping=(dots|values)", "escaping=underscores", content_type)


class _Writer:
    """Writes one exposition after the other, and keeps what they have in common."""

    def __init__(self) -> None:
        self._text = SeriesText()
        self._labels = SeriesLabels()
        self._routes = RouteNames()

    def texts(self, scrape: Scrape) -> tuple[FamilyText, ...]:
        """Return every family, each name once."""
        self._text.turn()
        families = Families(self._text)
        self._labels.add(families, scrape.series)
        _add_own(families, scrape, self._routes)
        return tuple(families.texts())


def _add_own(families: Families, scrape: Scrape, routes: RouteNames) -> None:
    _add_routes(families, scrape.routes)
    for total in scrape.held_idle:
        _add(families, own.HELD_IDLE_TIME, _route_values(total), total.value)
    _add_judgements(families, scrape.situation, routes)
    _add_pools(families, scrape.situation.pools)
    _add_servers(families, scrape.situation.servers)
    _add_polls(families, scrape.polls, _POLLS)
    _add_costs(families, scrape.polls)
    _add_bouncers(families, scrape.situation.bouncers)
    _add_polls(families, scrape.bouncer_polls, _BOUNCER_POLLS)
    for sample in proxy_samples(scrape.situation, scrape.resolutions):
        _add(families, *sample)
    _add_instances(families, scrape.situation)
    _add_each(families, own.RECEIVER_REQUESTS, scrape.requests)
    _add_each(families, own.RECEIVER_REFUSED, scrape.refused)
    _add_forwarding(families, scrape.forwarding)
    _add(families, own.EXPORTER_ROLE, (scrape.role.value,), 1)
    for listener, counts in scrape.closed.items():
        _add_each(families, own.CONNECTIONS_CLOSED, counts, (listener,))
    _add(families, own.BUILD_INFO, (__version__,), 1)


def _add_routes(families: Families, totals: Iterable[ServiceTotal]) -> None:
    for total in totals:
        metric = _METRICS[total.metric]
        name = name_of(metric.name, metric.kind, metric.unit)
        labels = families.labels(ROUTE_LABELS, _route_values(total))
        families.add(name, TYPES[metric.kind], metric.description, labels, total.value)


def _add(families: Families, metric: OwnMetric, values: tuple[str, ...], value: float) -> None:
    labels = families.labels(metric.labels, values)
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


def _add_judgements(families: Families, situation: Situation, routes: RouteNames) -> None:
    oldest: dict[Pool, float] = {}
    routes.forget(situation.taken_at_s)
    for judgement in situation.judgements:
        checkout = judgement.checkout
        service_pool = service_pool_of(checkout.pool)
        route = routes.name(service_pool, checkout.route or "", situation.taken_at_s)
        what = (judgement.verdict, judgement.evidence or "", route)
        _add(families, own.HELD_CHECKOUTS, (*_pool_values(checkout.pool), *what), 1)
        _add(families, own.LINKS, _link_values(judgement), 1)
        oldest[checkout.pool] = max(judgement.age_s, oldest.get(checkout.pool, 0.0))
    for pool, age_s in oldest.items():
        _add(families, own.OLDEST_CHECKOUT_AGE, _pool_values(pool), age_s)


def _add_pools(families: Families, pools: Iterable[PoolState]) -> None:
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


def _add_forwarding(families: Families, report: ForwardReport | None) -> None:
    if report is None:
        return
    _add_each(families, own.FORWARD_REQUESTS, report.requests)
    _add_each(families, own.FORWARD_LOST, report.lost)
    _add(families, own.FORWARD_WAITING, (), report.waiting)
    _add(families, own.FORWARD_WAITING_BYTES, (), report.waiting_bytes)


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
