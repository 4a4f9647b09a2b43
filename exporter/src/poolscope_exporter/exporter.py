"""Hold the state of an exporter: it takes in pushes, and answers scrapes and the display."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from prometheus_client import ProcessCollector

from poolscope_exporter import clock
from poolscope_exporter.core.admission.limits import Limits
from poolscope_exporter.core.admission.points import Refusal
from poolscope_exporter.core.correlator import Correlator
from poolscope_exporter.core.fleet.fair_shares import owner_of
from poolscope_exporter.core.fleet.fleet import Fleet, PushResult
from poolscope_exporter.core.fleet.process_names import process_name
from poolscope_exporter.core.fleet.service_totals.route_totals import service_pool_of
from poolscope_exporter.core.incidents.incident import ReportedTimeout, shortened
from poolscope_exporter.core.incidents.incident_log import IncidentLog
from poolscope_exporter.core.judging.situation import Situation
from poolscope_exporter.core.judging.visibility import Role, of_own_pod
from poolscope_exporter.core.model.pushes import Push
from poolscope_exporter.forwarding.forwarder import Forwarder
from poolscope_exporter.forwarding.upstream import Upstream
from poolscope_exporter.listeners.bounded_http import CloseCause
from poolscope_exporter.metrics.exposition import Exposition
from poolscope_exporter.metrics.scrape import Scrape
from poolscope_exporter.pgbouncer.group import BouncerGroup
from poolscope_exporter.polling.loop import PollLoop
from poolscope_exporter.postgres.factory import poller_of
from poolscope_exporter.postgres.poller import Poller
from poolscope_exporter.receiver.endpoint import ReceiverCounts
from poolscope_exporter.receiver.refusals import DecodeRefusal
from poolscope_exporter.receiver.sender_warnings import SenderWarnings
from poolscope_exporter.settings.model import ExporterSettings
from poolscope_exporter.settings.servers import ServerTarget
from poolscope_exporter.state.incident_file import IncidentFile
from poolscope_exporter.state.incident_keeper import IncidentKeeper
from poolscope_exporter.threads.line_writer import LineWriter
from poolscope_exporter.web.display import Display

LISTENERS = ("otlp", "web")
_PROCESS = ProcessCollector(registry=None)
"""Reads /proc; without /proc it has no series."""


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
        servers = [target.configured for target in targets]
        self.closed = {name: Counter({why.value: 0 for why in CloseCause}) for name in LISTENERS}
        self.correlator = Correlator(
            servers,
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
        self.display = Display(
            self._situation,
            self.correlator.fleet,
            servers,
            self.incidents,
            self._is_saving,
            role=self._role,
            trace_url=settings.trace_url,
        )

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

    async def open_state(self) -> None:
        """Take up the incidents of an earlier run, if there is a state directory."""
        if self._keeper:
            await self._keeper.open_file()

    async def keep_incidents(self, stop: asyncio.Event) -> None:
        """Save the incidents until `stop` is set, if there is a state directory."""
        if self._keeper:
            await self._keeper.run(stop)

    def _is_saving(self) -> bool:
        return self._keeper is not None and self._keeper.is_saving

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


def _fleet(limits: Limits) -> Fleet:
    return Fleet(
        limits.max_instances,
        limits.max_pools_per_instance,
        limits.max_series_per_pool,
        max_series=limits.max_series,
        max_held_checkouts=limits.max_held_checkouts,
        max_routes_per_pool=limits.max_routes_per_pool,
    )


def _keeper(incidents: IncidentLog, folder: Path | None) -> IncidentKeeper | None:
    return IncidentKeeper(incidents, IncidentFile(folder), _clocks) if folder else None


def _clocks() -> tuple[float, float]:
    return clock.monotonic(), clock.wall_s()
