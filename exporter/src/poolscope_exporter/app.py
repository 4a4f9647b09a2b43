"""Join the parts of the exporter and run them until a signal."""

import asyncio
import contextlib
import logging
import signal
import socket
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from poolscope_exporter import clock
from poolscope_exporter.core.correlator import Correlator
from poolscope_exporter.core.fleet.admission import Refusal
from poolscope_exporter.core.fleet.fleet import Fleet, PushResult
from poolscope_exporter.core.fleet.limits import Limits
from poolscope_exporter.core.judging.situation import Situation
from poolscope_exporter.core.judging.visibility import Role, of_own_pod, shown_only
from poolscope_exporter.core.model.endpoints import Endpoint
from poolscope_exporter.core.model.pushes import Push
from poolscope_exporter.forwarding.forwarder import Forwarder
from poolscope_exporter.forwarding.upstream import Upstream
from poolscope_exporter.listeners.bounded_http import CloseCause, bounded_protocol
from poolscope_exporter.listeners.open_files import raise_file_limit
from poolscope_exporter.metrics.exposition import Exposition
from poolscope_exporter.metrics.scrape import Scrape
from poolscope_exporter.pgbouncer.group import BouncerGroup
from poolscope_exporter.polling.loop import PollLoop
from poolscope_exporter.postgres.factory import poller_of
from poolscope_exporter.postgres.poller import Poller
from poolscope_exporter.receiver.endpoint import ReceiverCounts, create_receiver
from poolscope_exporter.receiver.refusals import DecodeRefusal
from poolscope_exporter.receiver.senders import Senders
from poolscope_exporter.settings.model import ExporterSettings
from poolscope_exporter.settings.options import names_of
from poolscope_exporter.settings.servers import ServerTarget
from poolscope_exporter.web.endpoints import Sources, create_web
from poolscope_exporter.web.events import Events

EVENTS_S = 1.0
EVENTS_SHARE = 0.05
"""Of the event loop's time at most: where judging a large fleet takes long, it is done less often.
"""
LISTENERS = ("otlp", "web")
DRAIN_S = 3
KEEP_ALIVE_S = 75
"""Longer than any push or scrape interval: closing just as a sender writes costs it a push."""

_log = logging.getLogger("poolscope_exporter")


class CannotListenError(Exception):
    """An address cannot be listened on; the message names the setting to change."""


@dataclass(frozen=True, slots=True)
class Listeners:
    """The sockets, bound before anything is served, so that a port in use is one clear error."""

    web: socket.socket
    otlp: socket.socket


class Exporter:
    """What an exporter knows and does, apart from serving it."""

    def __init__(self, settings: ExporterSettings) -> None:
        targets = settings.targets
        self._role = settings.role
        self._servers = [target.configured for target in targets]
        self.closed = {name: Counter({why.value: 0 for why in CloseCause}) for name in LISTENERS}
        self.correlator = Correlator(
            self._servers,
            _fleet(settings.limits),
            proxy_idle_timeout_s=settings.proxy_idle_timeout_s,
            thresholds=settings.thresholds,
        )
        self.counts = ReceiverCounts()
        self.exposition = Exposition(self._scrape)
        dsns = [*settings.pgbouncers, *(dsn for target in targets for dsn in target.pgbouncers)]
        # Several servers may have one bouncer before them; it is asked once for all of them.
        consoles = {str(dsn): dsn for dsn in dsns}
        self.bouncers = BouncerGroup(
            [*consoles.values()], self.correlator, settings.poll_interval_s
        )
        self.pollers = [self._poller(target) for target in targets]
        upstream = settings.upstream
        self.forwarder = Forwarder(Upstream(upstream), settings.forward_as) if upstream else None

    def accept_push(self, push: Push) -> PushResult:
        """Take a push in; a checkout that was never listed before is looked up at once."""
        now_s = clock.monotonic()
        result = self.correlator.take_push(push, now_s)
        held = self.correlator.fleet.held_by(push.instance, now_s)
        if any(each.first_reported_at_s == now_s for each in held):
            # A server's poll asks the bouncers first; without servers they are all there is.
            loops = [poller.loop for poller in self.pollers]
            polled: Sequence[PollLoop | BouncerGroup] = loops or [self.bouncers]
            for each in polled:
                each.wake()
        return result

    def shown(self) -> Situation:
        """Return what is known now and may be shown to people."""
        return shown_only(self._situation(), self._servers)

    def _poller(self, target: ServerTarget) -> Poller:
        counts_orphans = self._role is Role.STANDALONE
        return poller_of(target, self.correlator, [self.bouncers], counts_orphans=counts_orphans)

    def _situation(self) -> Situation:
        """Return everything that is known now, as far as it is for an exporter in this role."""
        now_s = clock.monotonic()
        situation = self.correlator.situation(
            now_s,
            [poller.server_view(now_s) for poller in self.pollers],
            self.bouncers.views(now_s),
        )
        return of_own_pod(situation) if self._role is Role.SIDECAR else situation

    def _scrape(self) -> Scrape:
        now_s, wall_s = clock.monotonic(), clock.wall_s()
        return Scrape(
            situation=self._situation(),
            series=tuple(self.correlator.fleet.series(now_s)),
            routes=self.correlator.fleet.route_totals(),
            held_idle=list(self.correlator.held_idle.totals.totals()),
            polls=[poller.poll_report(now_s, wall_s) for poller in self.pollers],
            bouncer_polls=self.bouncers.reports(now_s, wall_s),
            resolutions=tuple(self.bouncers.resolutions()),
            requests=dict(self.counts.requests),
            refused=self._refused(),
            role=self._role,
            forwarding=self.forwarder.forward_report() if self.forwarder else None,
            closed=self.closed,
        )

    def _refused(self) -> dict[str, int]:
        """Return the counts by reason, 0 included: a counter's first step would else be lost."""
        counts = Counter({reason.value: 0 for reason in (*DecodeRefusal, *Refusal)})
        counts.update(self.counts.refused)
        counts.update(self.correlator.fleet.refused)
        return dict(counts)


def listen(settings: ExporterSettings) -> Listeners:
    """Bind both addresses; raises CannotListenError."""
    web = _bind(settings.listen, "listen")
    try:
        return Listeners(web, _bind(settings.otlp_listen, "otlp_listen"))
    except CannotListenError:
        web.close()
        raise


async def serve(settings: ExporterSettings, listeners: Listeners) -> None:
    """Run the exporter until SIGTERM or SIGINT, then drain."""
    stop = asyncio.Event()
    # uvicorn puts its own handlers over these; the loop hears of the signal all the same.
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    exporter = Exporter(settings)
    keyring = settings.keyring()
    limits = settings.limits
    allowed = raise_file_limit(len(LISTENERS) * limits.max_connections) // len(LISTENERS)
    limits = replace(limits, max_connections=allowed)
    protocols = {name: bounded_protocol(limits, exporter.closed[name]) for name in LISTENERS}
    senders = Senders(keyring, exporter.counts.refused) if keyring else None
    forward = exporter.forwarder.enqueue if exporter.forwarder else None
    receiver = create_receiver(exporter.accept_push, senders, exporter.counts, forward, limits)
    otlp = _server(receiver, protocols["otlp"], settings.otlp_tls_cert, settings.otlp_tls_key)
    sources = Sources(
        exporter.shown, exporter.exposition, lambda: otlp.started, _timestamp, settings.role
    )
    pages = create_web(sources, keyring)
    web = _server(pages, protocols["web"], settings.tls_cert, settings.tls_key)
    received = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_receive(otlp, listeners.otlp, received))
        if exporter.forwarder:
            tasks.create_task(exporter.forwarder.run(stop, received))
        tasks.create_task(web.serve([listeners.web]))
        tasks.create_task(_write_events(exporter, stop))
        tasks.create_task(exporter.bouncers.run(stop))
        for poller in exporter.pollers:
            tasks.create_task(poller.loop.run(stop))
        _announce(settings, listeners)
        await stop.wait()
        otlp.should_exit = web.should_exit = True


async def _receive(server: uvicorn.Server, listener: socket.socket, ended: asyncio.Event) -> None:
    try:
        await server.serve([listener])
    finally:
        ended.set()


def _bind(endpoint: Endpoint, field: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in endpoint.address else socket.AF_INET
    try:
        return socket.create_server((endpoint.address, endpoint.port), family=family, backlog=512)
    except OSError as exc:
        raise CannotListenError(
            f"cannot listen on {_host(endpoint.address)}:{endpoint.port}:"
            f" {exc.strerror or exc}; choose another address with {names_of(field)}"
        ) from exc


def _fleet(limits: Limits) -> Fleet:
    return Fleet(
        limits.max_instances,
        limits.max_pools_per_instance,
        limits.max_series_per_pool,
        max_series=limits.max_series,
        max_held_checkouts=limits.max_held_checkouts,
        max_routes_per_pool=limits.max_routes_per_pool,
    )


def _server(
    app: FastAPI, protocol: type[asyncio.Protocol], cert: Path | None, key: Path | None
) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        http=protocol,
        ssl_certfile=cert,
        ssl_keyfile=key,
        access_log=False,
        lifespan="off",
        log_config=None,
        log_level="warning",
        proxy_headers=False,  # who asks decides what may be seen, so nobody may rewrite it
        server_header=False,
        timeout_graceful_shutdown=DRAIN_S,
        timeout_keep_alive=KEEP_ALIVE_S,
        ws="none",
    )
    return uvicorn.Server(config)


async def _write_events(exporter: Exporter, stop: asyncio.Event) -> None:
    events = Events()
    while not stop.is_set():
        began_s = clock.monotonic()
        try:
            if lines := events.lines(exporter.shown(), _timestamp()):
                # Beside the loop: whoever reads our output may stop reading.
                await asyncio.to_thread(_write, lines)
        except Exception:  # noqa: BLE001 - a loop that ends would leave no evidence behind
            _log.exception("events could not be written")
        took_s = clock.monotonic() - began_s
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), max(EVENTS_S, took_s / EVENTS_SHARE))


def _write(lines: list[str]) -> None:
    sys.stdout.writelines(lines)
    sys.stdout.flush()


def _announce(settings: ExporterSettings, listeners: Listeners) -> None:
    """Say on standard error where to look, in lines that programs can find."""
    lines = [
        f"page and metrics on {_url(listeners.web, settings.tls_key)}",
        f"receives OTLP on {_url(listeners.otlp, settings.otlp_tls_key)}",
    ]
    if settings.role is Role.SIDECAR:
        lines.append("is a sidecar: judges its own pod only")
    if settings.forward_to:
        lines.append(f"forwards to {settings.forward_to} as {settings.forward_as}")
    bouncers = {
        *settings.pgbouncers,
        *(dsn for target in settings.targets for dsn in target.pgbouncers),
    }
    lines += [f"asks PgBouncer {bouncer}" for bouncer in sorted(map(str, bouncers))]
    names = ", ".join(target.name for target in settings.targets)
    lines.append(f"watches {names}" if names else "watches no server: no --dsn")
    sys.stderr.writelines(f"poolscope-exporter: {line}\n" for line in lines)
    sys.stderr.flush()


def _url(listener: socket.socket, key: Path | None) -> str:
    address, port = listener.getsockname()[:2]
    on_all = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where to reach a wildcard
    suffix = " (on every address of this machine)" if address in on_all else ""
    return f"{'https' if key else 'http'}://{_host(on_all.get(address, address))}:{port}{suffix}"


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _timestamp() -> str:
    return datetime.fromtimestamp(clock.wall_s(), UTC).isoformat(timespec="milliseconds")
