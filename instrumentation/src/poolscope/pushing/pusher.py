"""Send what is known to the exporter, every few seconds, from a thread of our own.

Only this thread logs, talks to the network and decides about leaks; the application never waits
for it, except for one second at most when it ends.
"""

import logging
import random
import threading
from collections.abc import Iterator
from itertools import chain

from opentelemetry import context
from opentelemetry.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource

from poolscope import catalogue
from poolscope.catalogue import Publisher
from poolscope.clock import monotonic, wall_ns
from poolscope.pushing.encoding import encode
from poolscope.pushing.held_checkouts import HolderList
from poolscope.pushing.log_messages import LogMessages
from poolscope.pushing.meter_provider import ProviderPublisher, configured_provider, resource_of
from poolscope.pushing.pressure import Pressure
from poolscope.pushing.process_identity import ProcessIdentity
from poolscope.pushing.samples import Sample, pool_samples
from poolscope.pushing.transport import PushError, Transport
from poolscope.pushing.waiting_callers import WaiterList
from poolscope.recording.leaks import Leak
from poolscope.recording.pool import drained
from poolscope.recording.registry import Registry
from poolscope.settings import MetricsDestination, Settings

logger = logging.getLogger("poolscope")

TICK_S = 1.0
"""How often we look for leaks; a new one is pushed at once, all else at its interval."""

FIRST_PUSH_S = 1.0
END_TIMEOUT_S = 1.0
PUSHES_BEFORE_GIVING_UP = 3
"""A MeterProvider that comes later still gets everything but the histograms' past."""


class Pusher:
    """The pushes of one process. `start` is cheap to call again; a fork needs `after_fork`."""

    def __init__(
        self, settings: Settings, registry: Registry, provider: MeterProvider | None = None
    ) -> None:
        self._settings = settings
        self._registry = registry
        self._given_provider = provider
        self._publisher: ProviderPublisher | None = None
        self._identity = ProcessIdentity(settings.service_name)
        self._transports = [Transport(url, settings.ca_file) for url in settings.endpoints]
        self._begin()
        if settings.metrics is not MetricsDestination.EXPORTER:
            # A provider may be configured after us, but before there is traffic.
            registry.buffer_histograms()
            self._find_provider()

    def _begin(self) -> None:
        self._start_ns = wall_ns()
        self._sequence = 0
        self._failures = 0
        self._log_messages = LogMessages(self._registry)
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._wake = threading.Event()
        self._ended = threading.Event()
        self._ending = False
        self._stopped = False
        self._activity_at_end: int | None = None
        self._pressure = Pressure()
        self._pushed_at_s = monotonic()
        self._fast_interval_s: float | None = None

    def start(self) -> None:
        """Start the thread unless it runs; called from hooks, so it never waits for a lock."""
        if self._thread is not None or self._stopped or not self._starting.acquire(blocking=False):
            return
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="poolscope-pusher", daemon=True)
            thread.start()
            self._thread = thread
        self._starting.release()

    def begin_in_child(self) -> None:
        """Begin anew in a forked child: another instance, counting from zero."""
        self._identity.renew()
        self._begin()

    def push_end(self) -> None:
        """Push a last time, marked as the last, and wait a second at most for it to leave.

        A process that goes on working after it (a second lifespan) pushes again.
        """
        if self._thread is None or not self._thread.is_alive():
            return
        self._ended.clear()
        self._ending = True
        self._wake.set()
        self._ended.wait(END_TIMEOUT_S)

    def stop(self) -> None:
        """Push a last time and end the thread."""
        self.push_end()
        self._stopped = True
        self._wake.set()
        if self._publisher is not None:
            self._publisher.stop_publishing()

    def samples(self) -> Iterator[Sample]:
        """Return the aggregates of the process: of each pool, and of ourselves; not what is off."""
        off = self._settings.metrics_off
        return (sample for sample in self._all_samples() if sample.metric.name not in off)

    def _all_samples(self) -> Iterator[Sample]:
        pools, now_s = self._registry.named_pools(), monotonic()
        yield from chain.from_iterable(
            pool_samples(identity, pool.stats, pool.leaks, now_s) for identity, pool in pools
        )
        dropped = sum(timed.dropped for _, pool in pools for _, timed in pool.stats.timed)
        yield Sample(catalogue.HOOK_ERRORS, {}, self._registry.hook_errors)
        yield Sample(catalogue.PUSH_FAILURES, {}, self._failures)
        yield Sample(catalogue.SAMPLES_DROPPED, {}, dropped)

    def _run(self) -> None:
        # No spans and no metrics of ours in the application's telemetry.
        for name in ("_SUPPRESS_INSTRUMENTATION_KEY", "_SUPPRESS_HTTP_INSTRUMENTATION_KEY"):
            key = getattr(context, name, None)
            if key is not None:
                context.attach(context.set_value(key, True))
        interval_s = self._settings.push_interval_s
        due_at_s = monotonic() + min(FIRST_PUSH_S, interval_s)
        while not self._stopped:
            self._wake.wait(min(TICK_S, max(0.0, due_at_s - monotonic())))
            self._wake.clear()
            if self._turn(due=monotonic() >= due_at_s):
                # Jitter keeps the pods of one rollout from pushing in step.
                due_at_s = monotonic() + interval_s * random.uniform(0.9, 1.1)  # noqa: S311 - no secret

    def _turn(self, *, due: bool) -> bool:
        """Look for leaks, and push if it is time, if the process ends or if there is a new leak."""
        ending, self._ending = self._ending, False
        pushing = due or ending
        try:
            leaks = self._scan_leaks()
            self._log_messages.log_leaks(leaks)
            self._log_messages.log_timeouts()
            pushing = pushing or bool(leaks) or self._is_due_under_pressure()
            if ending or (pushing and self._is_active()):
                self._push(end=ending)
                self._activity_at_end = self._activity() if ending else None
        except Exception:
            logger.exception("poolscope could not push; it will try again")
        if ending:
            self._ended.set()
        return pushing

    def _is_due_under_pressure(self) -> bool:
        """Return whether a pool is in trouble and the exporter takes the next push already."""
        if self._fast_interval_s is None:
            return False
        is_due = monotonic() - self._pushed_at_s >= self._fast_interval_s - TICK_S / 2
        return is_due and self._is_pressed()

    def _is_pressed(self) -> bool:
        return self._pressure.is_on([pool.stats for pool in list(self._registry.pools)])

    def _is_active(self) -> bool:
        """Return whether there is anything new since the end marker, if there was one."""
        return self._activity_at_end is None or self._activity() != self._activity_at_end

    def _activity(self) -> int:
        return sum(sum(pool.stats.wait.counts) for pool in list(self._registry.pools))

    def _push(self, *, end: bool) -> None:
        self._log_messages.log_problems()
        if self._settings.metrics is not MetricsDestination.EXPORTER:
            self._find_provider()
        if self._publisher is not None:
            self._log_messages.log_duplicate_metrics(
                self._publisher.provider, self._settings.metrics_off
            )
        self._sequence += 1
        self._pushed_at_s, is_pressed = monotonic(), self._is_pressed()
        self._pressure.pushed([pool.stats for pool in list(self._registry.pools)])
        mark = self._mark(end=end, is_pressed=is_pressed)
        samples = chain(self.samples(), self._held(), self._waiters(), [mark])
        body = encode(samples, self._resource(), self._start_ns, wall_ns())
        answers = [self._send(transport, body) for transport in self._transports]
        named = [seconds for seconds in answers if seconds is not None]
        # Of several exporters the busiest one decides; where none names an interval, no push is
        # faster than the setting.
        self._fast_interval_s = max(named, default=None)

    def _send(self, transport: Transport, body: bytes) -> float | None:
        """Return the interval that the exporter allows under pressure, None where it names none."""
        try:
            interval_s = transport.send_body(body, self._settings.read_token())
        except (PushError, OSError) as error:
            self._failures += 1
            self._log_messages.log_reachability(transport.endpoint, error)
            return None
        self._log_messages.log_reachability(transport.endpoint, None)
        return interval_s

    def _held(self) -> Iterator[Sample]:
        held = HolderList(monotonic(), self._settings.held_after_s)
        for identity, pool in self._registry.named_pools():
            held.list_held(identity, pool.stats, pool.leaks)
        return held.held_samples()

    def _waiters(self) -> Iterator[Sample]:
        waiters = WaiterList(monotonic(), self._settings.held_after_s)
        for identity, pool in self._registry.named_pools():
            waiters.list_waiters(identity, pool.stats)
        return waiters.waiter_samples()

    def _mark(self, *, end: bool, is_pressed: bool) -> Sample:
        by_provider = self._settings.metrics is MetricsDestination.PROVIDER or self._publisher
        publisher = Publisher.PROVIDER if by_provider else Publisher.EXPORTER
        attributes = {
            catalogue.PUSH_INTERVAL: self._settings.push_interval_s,
            catalogue.PUSH_END: end,
            catalogue.PUSH_PUBLISHER: publisher.value,
            catalogue.PUSH_PRESSURE: is_pressed,
        }
        return Sample(catalogue.PUSH, attributes, self._sequence)

    def _resource(self) -> Resource:
        """Return the provider's resource where it publishes: our verdicts then join its series."""
        own = self._identity.resource
        theirs = resource_of(self._publisher.provider) if self._publisher is not None else None
        return own if theirs is None else own.merge(theirs)

    def _find_provider(self) -> None:
        if self._publisher is not None:
            return
        provider = self._given_provider or configured_provider()
        if provider is None:
            if self._sequence == PUSHES_BEFORE_GIVING_UP and self._registry.buffering:
                self._registry.stop_buffering()
        else:
            self._publisher = ProviderPublisher(
                provider, self._registry, self.samples, off=self._settings.metrics_off
            )

    def _scan_leaks(self) -> list[tuple[str, Leak]]:
        found = []
        for identity, pool in self._registry.named_pools():
            pool.stats.count()  # here rather than in the application's threads
            checkouts = pool.stats.open_checkouts()
            collected = drained(pool.stats.collected.popleft)
            leaks = pool.leaks.scan(checkouts, collected, monotonic())
            found += [(identity.name, leak) for leak in leaks]
        return found
