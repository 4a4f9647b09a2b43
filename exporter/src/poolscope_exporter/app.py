"""Join the parts of the exporter and run them until a signal."""

import asyncio
import contextlib
import logging
import signal
import socket
import sys
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import uvicorn
from fastapi import FastAPI

from poolscope_exporter import clock
from poolscope_exporter.adapters.connections import Closed, bounded_protocol
from poolscope_exporter.adapters.http import Sources, create_web
from poolscope_exporter.adapters.pgbouncer import PgBouncerConsole
from poolscope_exporter.adapters.postgres import PostgresServer
from poolscope_exporter.adapters.prometheus import Exposition, Scrape
from poolscope_exporter.adapters.receiver import ReceiverCounts, create_receiver
from poolscope_exporter.adapters.refusals import Unreadable
from poolscope_exporter.bouncer_poller import BouncerPoller
from poolscope_exporter.core.admission import Refusal
from poolscope_exporter.core.checkouts import Push
from poolscope_exporter.core.fleet import Fleet, Heard
from poolscope_exporter.core.ledger import Ledger
from poolscope_exporter.core.sessions import Endpoint
from poolscope_exporter.core.situation import Situation
from poolscope_exporter.descriptors import allow
from poolscope_exporter.events import Events
from poolscope_exporter.poller import Poller
from poolscope_exporter.settings import Settings, names_of

EVENTS_S = 1.0
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

    def __init__(self, settings: Settings) -> None:
        names = [settings.server] if settings.server else []
        consoles = [PgBouncerConsole(dsn) for dsn in settings.pgbouncers]
        limits = settings.limits
        fleet = Fleet(
            limits.max_instances,
            limits.max_pools_per_instance,
            limits.max_series_per_pool,
            max_series=limits.max_series,
            max_held_checkouts=limits.max_held_checkouts,
            max_routes_per_pool=limits.max_routes_per_pool,
        )
        self.closed = {name: Counter({why.value: 0 for why in Closed}) for name in LISTENERS}
        self.ledger = Ledger(
            names, fleet, bouncers={each.name: each.addresses() for each in consoles}
        )
        self.counts = ReceiverCounts()
        self.exposition = Exposition(self._scrape)
        every_s = settings.poll_interval_s
        self.bouncers = [BouncerPoller(each, self.ledger, every_s) for each in consoles]
        self.pollers: list[Poller] = []
        if settings.dsn and settings.server:
            server = PostgresServer(settings.server, settings.dsn, settings.server_aliases)
            self.pollers.append(
                Poller(server, self.ledger, every_s, self.bouncers, settings.server_cpus)
            )

    def hear(self, push: Push) -> Heard:
        """Take a push in; a checkout that was never listed before is looked up at once."""
        now_s = clock.monotonic()
        heard = self.ledger.hear(push, now_s)
        held = self.ledger.fleet.held_by(push.instance, now_s)
        if any(each.first_heard_at_s == now_s for each in held):
            # A server's poll asks the bouncers first; without servers they are all there is.
            for poller in self.pollers or self.bouncers:
                poller.wake()
        return heard

    def situation(self) -> Situation:
        """Return everything that is known now."""
        now_s = clock.monotonic()
        return self.ledger.situation(
            now_s,
            [poller.view(now_s) for poller in self.pollers],
            [poller.view(now_s) for poller in self.bouncers],
        )

    def _scrape(self) -> Scrape:
        now_s, wall_s = clock.monotonic(), clock.wall_s()
        return Scrape(
            situation=self.situation(),
            series=tuple(self.ledger.fleet.series(now_s)),
            routes=self.ledger.fleet.route_totals(),
            held_idle=list(self.ledger.held_idle.totals.totals()),
            polls=[poller.report(now_s, wall_s) for poller in self.pollers],
            bouncer_polls=[poller.report(now_s, wall_s) for poller in self.bouncers],
            requests=dict(self.counts.requests),
            refused=self._refused(),
            closed=self.closed,
        )

    def _refused(self) -> dict[str, int]:
        """Return the counts by reason, 0 included: a counter's first step would else be lost."""
        counts = Counter({reason.value: 0 for reason in (*Unreadable, *Refusal)})
        counts.update(self.counts.refused)
        counts.update(self.ledger.fleet.refused)
        return dict(counts)


def listen(settings: Settings) -> Listeners:
    """Bind both addresses; raises CannotListenError."""
    web = _bind(settings.listen, "listen")
    try:
        return Listeners(web, _bind(settings.otlp_listen, "otlp_listen"))
    except CannotListenError:
        web.close()
        raise


async def serve(settings: Settings, listeners: Listeners) -> None:
    """Run the exporter until SIGTERM or SIGINT, then drain."""
    stop = asyncio.Event()
    # uvicorn puts its own handlers over these; the loop hears of the signal all the same.
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    exporter = Exporter(settings)
    token = settings.bearer_token()
    limits = settings.limits
    allowed = allow(len(LISTENERS) * limits.max_connections) // len(LISTENERS)
    limits = replace(limits, max_connections=allowed)
    protocols = {name: bounded_protocol(limits, exporter.closed[name]) for name in LISTENERS}
    receiver = create_receiver(exporter.hear, token, exporter.counts, limits)
    otlp = _server(receiver, protocols["otlp"])
    sources = Sources(exporter.situation, exporter.exposition, lambda: otlp.started, _timestamp)
    web = _server(create_web(sources, token), protocols["web"])
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(otlp.serve([listeners.otlp]))
        tasks.create_task(web.serve([listeners.web]))
        tasks.create_task(_write_events(exporter, stop))
        for bouncer in exporter.bouncers:
            tasks.create_task(bouncer.run(stop))
        for poller in exporter.pollers:
            tasks.create_task(poller.run(stop))
        _announce(settings, listeners)
        await stop.wait()
        otlp.should_exit = web.should_exit = True


def _bind(endpoint: Endpoint, field: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in endpoint.address else socket.AF_INET
    try:
        return socket.create_server((endpoint.address, endpoint.port), family=family, backlog=512)
    except OSError as exc:
        raise CannotListenError(
            f"cannot listen on {_host(endpoint.address)}:{endpoint.port}:"
            f" {exc.strerror or exc}; choose another address with {names_of(field)}"
        ) from exc


def _server(app: FastAPI, protocol: type[asyncio.Protocol]) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        http=protocol,
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
        try:
            if lines := events.lines(exporter.situation(), _timestamp()):
                # Beside the loop: whoever reads our output may stop reading.
                await asyncio.to_thread(_write, lines)
        except Exception:  # noqa: BLE001 - a loop that ends would leave no evidence behind
            _log.exception("events could not be written")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), EVENTS_S)


def _write(lines: list[str]) -> None:
    sys.stdout.writelines(lines)
    sys.stdout.flush()


def _announce(settings: Settings, listeners: Listeners) -> None:
    """Say on standard error where to look, in lines that programs can find."""
    lines = [
        f"page and metrics on {_url(listeners.web)}",
        f"receives OTLP on {_url(listeners.otlp)}",
        f"watches {settings.server}" if settings.server else "watches no server: no --dsn",
    ]
    lines += [f"asks PgBouncer {bouncer}" for bouncer in settings.pgbouncers]
    sys.stderr.writelines(f"poolscope-exporter: {line}\n" for line in lines)
    sys.stderr.flush()


def _url(listener: socket.socket) -> str:
    address, port = listener.getsockname()[:2]
    on_all = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where to reach a wildcard
    suffix = " (on every address of this machine)" if address in on_all else ""
    return f"http://{_host(on_all.get(address, address))}:{port}{suffix}"


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _timestamp() -> str:
    return datetime.fromtimestamp(clock.wall_s(), UTC).isoformat(timespec="milliseconds")
