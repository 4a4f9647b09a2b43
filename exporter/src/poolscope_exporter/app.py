"""Run an exporter behind its two listeners until a signal."""

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Awaitable, Callable
from functools import partial

import uvicorn

from poolscope_exporter import clock
from poolscope_exporter.core.judging.visibility import Role
from poolscope_exporter.exporter import Exporter, Outputs
from poolscope_exporter.listeners.quiet_log import quieten
from poolscope_exporter.listeners.servers import allow_connections, protocol_of, server_of
from poolscope_exporter.listeners.sockets import (
    CannotListenError,
    Listeners,
    address_of,
    bind_address,
)
from poolscope_exporter.listeners.token_file import TokenFile, keep_current
from poolscope_exporter.listeners.tokens import Keyring
from poolscope_exporter.receiver.endpoint import create_receiver
from poolscope_exporter.receiver.senders import Senders
from poolscope_exporter.settings.loading import WrongSettingsError
from poolscope_exporter.settings.model import ExporterSettings
from poolscope_exporter.settings.options import names_of
from poolscope_exporter.settings.shown_settings import shown_settings
from poolscope_exporter.threads.daemon_threads import DaemonThreads
from poolscope_exporter.threads.line_writer import LineWriter
from poolscope_exporter.web.display import EVENTS_SHARE
from poolscope_exporter.web.endpoints import create_web
from poolscope_exporter.web.events import Events
from poolscope_exporter.web.sources import Sources

EVENTS_S = 1.0

_log = logging.getLogger("poolscope_exporter")


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
    stop = _event_at(signal.SIGINT, signal.SIGTERM)
    exporter = Exporter(settings, outputs)
    hangup = _event_at(signal.SIGHUP) if hasattr(signal, "SIGHUP") else asyncio.Event()
    keyring = settings.keyring()
    otlp, web = _servers(exporter, settings, keyring, stop)
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


def _event_at(*signals: signal.Signals) -> asyncio.Event:
    """Return an event that each of these signals sets."""
    event = asyncio.Event()
    for number in signals:
        asyncio.get_running_loop().add_signal_handler(number, event.set)
    return event


def _servers(
    exporter: Exporter, settings: ExporterSettings, keyring: Keyring | None, stop: asyncio.Event
) -> tuple[uvicorn.Server, uvicorn.Server]:
    """Return the servers of the receiver and of the pages, not yet started."""
    limits = allow_connections(settings.limits, (settings.tls_cert, settings.otlp_tls_cert))
    quieten(asyncio.get_running_loop())
    otlp_protocol = protocol_of(
        limits, exporter.closed["otlp"], settings.otlp_tls_cert, settings.otlp_tls_key
    )
    web_protocol = protocol_of(limits, exporter.closed["web"], settings.tls_cert, settings.tls_key)
    senders = Senders(keyring, exporter.counts.refused) if keyring else None
    forward = exporter.forwarder.enqueue if exporter.forwarder else None
    receiver = create_receiver(exporter.accept_push, senders, exporter.counts, forward, limits)
    otlp = server_of(receiver, otlp_protocol)
    sources = _sources(exporter, settings, lambda: otlp.started, stop)
    return otlp, server_of(create_web(sources, keyring), web_protocol)


def _sources(
    exporter: Exporter,
    settings: ExporterSettings,
    is_ready: Callable[[], bool],
    stop: asyncio.Event,
) -> Sources:
    display = exporter.display
    return Sources(
        display.shown,
        exporter.exposition,
        is_ready,
        clock.timestamp,
        settings.role,
        display.profile,
        settings.trace_url,
        display.shown_incidents,
        display.compare_releases,
        tuple(shown_settings(settings)),
        display.take_look,
        display.pool_details,
        partial(_wait, stop),
    )


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


async def _write_events(exporter: Exporter, stop: asyncio.Event) -> None:
    events = Events()
    await exporter.open_state()  # before the first look, which would begin the incidents anew
    while not stop.is_set():
        began_s = clock.monotonic()
        try:
            situation = exporter.display.record_shown()
            ended = exporter.incidents.observe(situation, clock.wall_s())
            if lines := events.lines(situation, clock.timestamp(), ended):
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
