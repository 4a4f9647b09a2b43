"""Join the parts of the exporter and run them until a signal."""

import asyncio
import contextlib
import logging
import signal
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import uvicorn
from prometheus_client import ProcessCollector

from poolscope_exporter import clock
from poolscope_exporter.core.admission.limits import Limits
from poolscope_exporter.core.admission.points import Refusal
from poolscope_exporter.core.correlator import Correlator
from poolscope_exporter.core.fleet.fair_shares import owner_of
from poolscope_exporter.core.fleet.fleet import Fleet, PushResult
from poolscope_exporter.core.fleet.occupancy_history import ProfileRow
from poolscope_exporter.core.fleet.process_names import process_name
from poolscope_exporter.core.fleet.service_totals.release_totals import ReleaseNumbers
from poolscope_exporter.core.fleet.service_totals.route_totals import one_pool_of, service_pool_of
from poolscope_exporter.core.incidents.incident import ReportedTimeout, shortened
from poolscope_exporter.core.incidents.incident_log import IncidentLog
from poolscope_exporter.core.judging.overview.last_words import LastWords
from poolscope_exporter.core.judging.overview.pool_history import PoolHistory
from poolscope_exporter.core.judging.overview.service_pools import (
    PoolName,
    group_by_service,
    name_of_service_pool,
    pool_name_of,
)
from poolscope_exporter.core.judging.situation import Situation
from poolscope_exporter.core.judging.visibility import (
    Role,
    may_name_pool,
    of_own_pod,
    shown_only,
)
from poolscope_exporter.core.model.pushes import Push
from poolscope_exporter.forwarding.forwarder import Forwarder
from poolscope_exporter.forwarding.upstream import Upstream
from poolscope_exporter.listeners.bounded_http import CloseCause
from poolscope_exporter.listeners.quiet_log import quieten
from poolscope_exporter.listeners.servers import allow_connections, protocol_of, server_of
from poolscope_exporter.listeners.sockets import (
    CannotListenError,
    Listeners,
    address_of,
    bind_address,
)
from poolscope_exporter.listeners.token_file import TokenFile, keep_current
from poolscope_exporter.metrics.exposition import Exposition
from poolscope_exporter.metrics.scrape import Scrape
from poolscope_exporter.pgbouncer.group import BouncerGroup
from poolscope_exporter.polling.loop import PollLoop
from poolscope_exporter.postgres.factory import poller_of
from poolscope_exporter.postgres.poller import Poller
from poolscope_exporter.receiver.endpoint import ReceiverCounts, create_receiver
from poolscope_exporter.receiver.refusals import DecodeRefusal
from poolscope_exporter.receiver.sender_warnings import SenderWarnings
from poolscope_exporter.receiver.senders import Senders
from poolscope_exporter.settings.loading import WrongSettingsError
from poolscope_exporter.settings.model import ExporterSettings
from poolscope_exporter.settings.options import names_of
from poolscope_exporter.settings.servers import ServerTarget
from poolscope_exporter.settings.shown_settings import shown_settings
from poolscope_exporter.state.incident_file import IncidentFile
from poolscope_exporter.state.incident_keeper import IncidentKeeper
from poolscope_exporter.threads.daemon_threads import DaemonThreads
from poolscope_exporter.threads.line_writer import LineWriter
from poolscope_exporter.web.console.look import Look, PoolDetails
from poolscope_exporter.web.endpoints import Sources, create_web
from poolscope_exporter.web.events import Events
from poolscope_exporter.web.incidents.incident_rows import ShownIncidents
from poolscope_exporter.web.profile.profile_rows import DEFAULT_WINDOW_S

EVENTS_S = 1.0
EVENTS_SHARE = 0.05
"""The largest share of the event loop's time for events: a large fleet is judged less often."""
LATE = 2.0
"""After so many intervals of the events of a large fleet, the pages judge by themselves."""
LISTENERS = ("otlp", "web")
_PROCESS = ProcessCollector(registry=None)
"""Reads /proc; without /proc it has no series."""
_log = logging.getLogger("poolscope_exporter")


@dataclass(frozen=True, slots=True)
class Outputs:
    """The outputs of the process: events on standard output, the log on standard error."""

    events: LineWriter
    log: LineWriter

    @property
    def lost(self) -> dict[str, int]:
        """Return the number of dropped writes by stream; they are dropped if nobody reads them."""
        return {"stdout": self.events.lost, "stderr": self.log.lost}

    def write_out(self) -> None:
        """Wait a moment until pending output is written."""
        for each in (self.events, self.log):
            each.drain()


class Exporter:
    """The state and the actions of an exporter, without its HTTP listeners."""

    def __init__(self, settings: ExporterSettings, outputs: Outputs) -> None:
        self.outputs = outputs
        targets = settings.targets
        self._role = settings.role
        self._servers = [target.configured for target in targets]
        self.closed = {name: Counter({why.value: 0 for why in CloseCause}) for name in LISTENERS}
        self.correlator = Correlator(
            self._servers,
            _fleet(settings.limits),
            configured_idle=settings.configured_idle,
            largest=settings.largest,
            thresholds=settings.thresholds,
        )
        self.incidents = IncidentLog()
        self._keeper = _keeper(self.incidents, settings.state_dir)
        self._warnings = SenderWarnings()
        self.counts = ReceiverCounts()
        self.exposition = Exposition(self._scrape)
        dsns = [*settings.pgbouncers, *(dsn for target in targets for dsn in target.pgbouncers)]
        # Several servers may share one PgBouncer; it is polled once for all of them.
        consoles = {str(dsn): dsn for dsn in dsns}
        self.bouncers = BouncerGroup(
            [*consoles.values()], self.correlator, settings.poll_interval_s
        )
        self.pollers = [self._poller(target) for target in targets]
        upstream = settings.upstream
        self.forwarder = Forwarder(Upstream(upstream), settings.forward_as) if upstream else None
        self._trace_url = settings.trace_url
        self._history = PoolHistory()
        self._last_words = LastWords()
        self._last_shown: tuple[Situation, str] | None = None
        self._reuse_s = 0.0

    def accept_push(self, push: Push) -> PushResult:
        """Record a push; if it lists a new checkout, start a poll at once."""
        now_s = clock.monotonic()
        result = self.correlator.take_push(push, now_s)
        instance = result.instance or push.instance
        self._warnings.log_result(push, result, now_s)
        if result.accepted:
            self._add_reports(push, shortened(process_name(instance, push.resource)))
        held = self.correlator.fleet.held_by(instance, now_s)
        if any(each.first_reported_at_s == now_s for each in held):
            # A server's poll begins with the PgBouncers, so they are woken only without servers.
            loops = [poller.loop for poller in self.pollers]
            polled: Sequence[PollLoop | BouncerGroup] = loops or [self.bouncers]
            for each in polled:
                each.wake()
        return result

    def _add_reports(self, push: Push, process: str) -> None:
        """Add the reports of a push to the incidents of their pools."""
        wall_s, owner = clock.wall_s(), owner_of(push)
        for pool, report in push.timeout_reports.items():
            reported = ReportedTimeout(wall_s - report.age_s, process, report.text)
            self.incidents.add_report(service_pool_of(pool), reported, owner, wall_s)

    def shown(self) -> Situation:
        """Return the current situation, with only the parts that may be shown to people."""
        return shown_only(self._situation(), self._servers)

    def shown_incidents(self) -> ShownIncidents:
        """Return the incidents; those of an earlier run only if they may be shown now too."""
        incidents = tuple(
            each
            for each in self.incidents.newest_first()
            if may_name_pool(one_pool_of(each.pool), self._servers)
        )
        is_saved = self._keeper is not None and self._keeper.is_saving
        return ShownIncidents(incidents, self.incidents.left_out, is_saved=is_saved)

    async def open_state(self) -> None:
        """Take up the incidents of an earlier run, if there is a state directory."""
        if self._keeper:
            await self._keeper.open_file()

    async def keep_incidents(self, stop: asyncio.Event) -> None:
        """Save the incidents until `stop` is set, if there is a state directory."""
        if self._keeper:
            await self._keeper.run(stop)

    def record_shown(self) -> Situation:
        """Return the current situation as shown, and add it to the history of the pages."""
        began_s = clock.monotonic()
        situation = self.shown()
        self._last_shown = situation, _timestamp()
        self._reuse_s = LATE * (clock.monotonic() - began_s) / EVENTS_SHARE
        states = group_by_service(situation.pools, situation.judgements)
        self._history.record_states(states, situation.taken_at_s)
        self._last_words.record_processes(situation)
        return situation

    def take_look(self) -> Look:
        """Return what the pages show; if judging takes long, the last situation of the events.

        So open pages cost a large fleet no further judging, and a small fleet is shown as of now.
        """
        known = self._last_shown
        if known is None or clock.monotonic() - known[0].taken_at_s > self._reuse_s:
            self.record_shown()
            known = self._last_shown
        assert known is not None
        situation, taken_at = known
        return Look(
            situation,
            taken_at,
            strips=self._history.strips(situation.taken_at_s),
            silence=self._last_words.silence(),
            role=self._role,
            trace_url=self._trace_url,
        )

    def pool_details(self, name: PoolName) -> PoolDetails:
        """Return the histograms, leaks, profile, incidents and releases of one pool."""
        fleet, now_s = self.correlator.fleet, clock.monotonic()
        rows = fleet.occupancy.rows_since(now_s - DEFAULT_WINDOW_S)
        found = (r for r in rows if (r.pool.namespace, r.pool.service, r.pool.pool) == name)
        totals = fleet.totals_of(lambda pool: pool_name_of(pool) == name, now_s)
        incidents = self.shown_incidents().incidents
        releases = fleet.releases_of(lambda pool: name_of_service_pool(pool) == name, now_s)
        return PoolDetails(
            totals,
            profile=tuple(found),
            incidents=tuple(each for each in incidents if name_of_service_pool(each.pool) == name),
            releases=tuple(releases),
        )

    def profile(self, window_s: float) -> list[ProfileRow]:
        """Return what the connections of all services were out for in the last seconds."""
        since_s = clock.monotonic() - window_s
        return list(self.correlator.fleet.occupancy.rows_since(since_s))

    def compare_releases(self) -> list[ReleaseNumbers]:
        """Return the sums of each version of all services."""
        return self.correlator.fleet.releases(clock.monotonic())

    def _poller(self, target: ServerTarget) -> Poller:
        counts_orphans = self._role is Role.STANDALONE
        return poller_of(target, self.correlator, [self.bouncers], counts_orphans=counts_orphans)

    def _situation(self) -> Situation:
        """Return the current situation; for a sidecar, only that of its pod."""
        now_s = clock.monotonic()
        situation = self.correlator.situation(
            now_s,
            [poller.server_view(now_s) for poller in self.pollers],
            self.bouncers.views(now_s),
        )
        situation = replace(situation, rejected=self._warnings.rejected_data(now_s))
        return of_own_pod(situation) if self._role is Role.SIDECAR else situation

    def _scrape(self) -> Scrape:
        now_s, wall_s = clock.monotonic(), clock.wall_s()
        return Scrape(
            situation=self._situation(),
            series=tuple(self.correlator.fleet.series(now_s)),
            routes=self.correlator.fleet.route_totals(),
            held_time=list(self.correlator.held_time.totals.totals()),
            refuted=list(self.correlator.refuted_leaks.totals.totals()),
            occupancy=list(self.correlator.fleet.occupancy.totals.totals()),
            polls=[poller.poll_report(now_s, wall_s) for poller in self.pollers],
            bouncer_polls=self.bouncers.reports(now_s, wall_s),
            resolutions=tuple(self.bouncers.resolutions()),
            requests=dict(self.counts.requests),
            refused=self._refused(),
            ignored=dict(self.counts.ignored),
            role=self._role,
            forwarding=self.forwarder.forward_report() if self.forwarder else None,
            closed=self.closed,
            output_lost=self.outputs.lost,
            state_failures=self._keeper.failures if self._keeper else None,
            scrapes_refused=self.exposition.refused,
            process=list(_PROCESS.collect()),
        )

    def _refused(self) -> dict[str, int]:
        """Return the counts by reason, also 0: Prometheus would miss a counter's first step."""
        counts = Counter({reason.value: 0 for reason in (*DecodeRefusal, *Refusal)})
        counts.update(self.counts.refused)
        counts.update(self.correlator.fleet.refused)
        return dict(counts)


def listen(settings: ExporterSettings) -> Listeners:
    """Bind both addresses; raises CannotListenError."""
    web = bind_address(settings.listen, names_of("listen"))
    try:
        return Listeners(web, bind_address(settings.otlp_listen, names_of("otlp_listen")))
    except CannotListenError:
        web.close()
        raise


async def serve(
    settings: ExporterSettings,
    listeners: Listeners,
    outputs: Outputs,
    load_again: Callable[[], ExporterSettings],
) -> None:
    """Run the exporter until SIGTERM or SIGINT, then drain; on SIGHUP, reload the thresholds."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    exporter = Exporter(settings, outputs)
    hangup = asyncio.Event()
    if hasattr(signal, "SIGHUP"):
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, hangup.set)
    keyring = settings.keyring()
    limits = allow_connections(settings.limits, (settings.tls_cert, settings.otlp_tls_cert))
    quieten(asyncio.get_running_loop())
    certificates = {
        "otlp": (settings.otlp_tls_cert, settings.otlp_tls_key),
        "web": (settings.tls_cert, settings.tls_key),
    }
    protocols = {
        name: protocol_of(limits, exporter.closed[name], *certificates[name]) for name in LISTENERS
    }
    senders = Senders(keyring, exporter.counts.refused) if keyring else None
    forward = exporter.forwarder.enqueue if exporter.forwarder else None
    receiver = create_receiver(exporter.accept_push, senders, exporter.counts, forward, limits)
    otlp = server_of(receiver, protocols["otlp"])
    sources = Sources(
        exporter.shown,
        exporter.exposition,
        lambda: otlp.started,
        _timestamp,
        settings.role,
        exporter.profile,
        settings.trace_url,
        exporter.shown_incidents,
        exporter.compare_releases,
        tuple(shown_settings(settings)),
        exporter.take_look,
        exporter.pool_details,
        partial(_wait, stop),
    )
    pages = create_web(sources, keyring)
    web = server_of(pages, protocols["web"])
    received = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_receive(otlp, listeners.otlp, received))
        if exporter.forwarder:
            tasks.create_task(exporter.forwarder.run(stop, received))
        tasks.create_task(web.serve([listeners.web]))
        tasks.create_task(_write_events(exporter, stop))
        tasks.create_task(exporter.keep_incidents(stop))
        tasks.create_task(exporter.bouncers.run(stop))
        for poller in exporter.pollers:
            tasks.create_task(poller.loop.run(stop))
        if keyring and settings.token_file:
            file = TokenFile(settings.token_file, keyring.tokens)
            tasks.create_task(keep_current(keyring, file, stop))
        reloads = tasks.create_task(_reload_at(hangup, exporter, load_again))
        _announce(settings, listeners, outputs.log)
        await stop.wait()
        reloads.cancel()
        otlp.should_exit = web.should_exit = True


async def _reload_at(
    hangup: asyncio.Event, exporter: Exporter, load_again: Callable[[], ExporterSettings]
) -> None:
    """Reload the thresholds at each hang-up; a thread reads the files, which may be slow."""
    threads = DaemonThreads("settings")
    while True:
        await hangup.wait()
        hangup.clear()
        await _reload(exporter, partial(threads.run, load_again))


async def _reload(
    exporter: Exporter, load_again: Callable[[], Awaitable[ExporterSettings]]
) -> None:
    """Load the settings again and use their thresholds; invalid settings change nothing."""
    try:
        exporter.correlator.use_thresholds((await load_again()).thresholds)
    except WrongSettingsError as exc:
        _log.warning(
            "SIGHUP: thresholds not reloaded, invalid settings: %s", "; ".join(exc.problems)
        )
    else:
        _log.info(
            "SIGHUP: thresholds reloaded. Token and password files are reloaded when they change; "
            "other settings need a restart"
        )


async def _receive(server: uvicorn.Server, listener: socket.socket, ended: asyncio.Event) -> None:
    try:
        await server.serve([listener])
    finally:
        ended.set()


def _fleet(limits: Limits) -> Fleet:
    return Fleet(
        limits.max_instances,
        limits.max_pools_per_instance,
        limits.max_series_per_pool,
        max_series=limits.max_series,
        max_held_checkouts=limits.max_held_checkouts,
        max_routes_per_pool=limits.max_routes_per_pool,
    )


async def _write_events(exporter: Exporter, stop: asyncio.Event) -> None:
    events = Events()
    await exporter.open_state()  # before the first look, which would begin the incidents anew
    while not stop.is_set():
        began_s = clock.monotonic()
        try:
            situation = exporter.record_shown()
            ended = exporter.incidents.observe(situation, clock.wall_s())
            if lines := events.lines(situation, _timestamp(), ended):
                exporter.outputs.events.write("".join(lines))
        except Exception:  # noqa: BLE001 - if this loop ended, no more events would be written
            _log.exception("events could not be written; trying again")
        took_s = clock.monotonic() - began_s
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), max(EVENTS_S, took_s / EVENTS_SHARE))


async def _wait(stop: asyncio.Event, seconds: float) -> bool:
    """Wait for so long; return False if the exporter stops."""
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return True
    return False


def _announce(settings: ExporterSettings, listeners: Listeners, log: LineWriter) -> None:
    """Write the addresses and targets to standard error, in lines that programs can find."""
    lines = [
        f"page and metrics on {address_of(listeners.web, settings.tls_key)}",
        f"receives OTLP on {address_of(listeners.otlp, settings.otlp_tls_key)}",
    ]
    if settings.role is Role.SIDECAR:
        lines.append("is a sidecar: judges its own pod only")
    if settings.forward_to:
        lines.append(f"forwards to {settings.forward_to} as {settings.forward_as}")
    bouncers = {
        *settings.pgbouncers,
        *(dsn for target in settings.targets for dsn in target.pgbouncers),
    }
    lines += [f"polls PgBouncer {bouncer}" for bouncer in sorted(map(str, bouncers))]
    names = ", ".join(target.name for target in settings.targets)
    lines.append(f"watches {names}" if names else "watches no server: no --dsn")
    log.write("".join(f"poolscope-exporter: {line}\n" for line in lines))


def _keeper(incidents: IncidentLog, folder: Path | None) -> IncidentKeeper | None:
    return IncidentKeeper(incidents, IncidentFile(folder), _clocks) if folder else None


def _clocks() -> tuple[float, float]:
    return clock.monotonic(), clock.wall_s()


def _timestamp() -> str:
    return datetime.fromtimestamp(clock.wall_s(), UTC).isoformat(timespec="milliseconds")
