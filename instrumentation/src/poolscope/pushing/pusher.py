"""Push the recorded data to the exporter every few seconds, from a separate thread.

Only this thread logs and uses the network. The application never waits for it, except for at most
one second when the process ends.
"""

import random
import threading
from collections.abc import Iterator, Mapping
from itertools import chain

from opentelemetry import context
from opentelemetry.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource

from poolscope import catalogue
from poolscope.background import BackgroundThread
from poolscope.catalogue import Publisher
from poolscope.clock import monotonic, wall_ns
from poolscope.process.identity import ProcessIdentity
from poolscope.pushing.creation_counts import creation_samples, generation_samples
from poolscope.pushing.encoding import encode
from poolscope.pushing.ended_checkouts import EndedCheckouts
from poolscope.pushing.first_imports import import_for_pushes
from poolscope.pushing.held_checkouts import HolderList
from poolscope.pushing.inherited_connections import inherited_samples
from poolscope.pushing.log_messages import LogMessages
from poolscope.pushing.looks.held_messages import HeldMessages
from poolscope.pushing.looks.occupancy_samples import occupancy_samples
from poolscope.pushing.loop_stalls import loop_samples, stall_samples
from poolscope.pushing.meter_provider import ProviderPublisher, configured_provider, resource_of
from poolscope.pushing.pressure import Pressure
from poolscope.pushing.retired_pools import RetiredPools
from poolscope.pushing.samples import (
    Sample,
    counter_samples,
    pool_samples,
    pressed_samples,
    session_error_samples,
)
from poolscope.pushing.timeouts.unsent_reports import UnsentReports, report_samples
from poolscope.pushing.traces.traced_notes import TracedNotes
from poolscope.pushing.waiting_callers import WaiterList
from poolscope.recording.pool import PoolIdentity
from poolscope.recording.pool_rows.row import WatchedPool
from poolscope.recording.registry import Registry
from poolscope.sending.endpoints import PushEndpoints
from poolscope.sending.transport import PushAnswer, Transport
from poolscope.settings import MetricsDestination, Settings
from poolscope.watching.watcher import Watcher

TICK_S = 1.0
"""How often the pusher checks for pressure; other data except a new leak waits for its interval."""

FIRST_PUSH_S = 1.0
END_TIMEOUT_S = 1.0
_BY_PROVIDER = (MetricsDestination.AUTO, MetricsDestination.PROVIDER)
_BY_APPLICATION = (MetricsDestination.PROVIDER, MetricsDestination.PROMETHEUS)
"""The exporter does not publish the aggregates, because the application does."""

PUSHES_BEFORE_GIVING_UP = 3
"""A MeterProvider that is configured after these pushes gets no earlier histogram samples."""


class Pusher:
    """The pushes of one process. `start` is cheap to call again; a fork needs `begin_in_child`."""

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        watcher: Watcher,
        provider: MeterProvider | None = None,
    ) -> None:
        self._settings = settings
        self._registry = registry
        self._watcher = watcher
        self._given_provider = provider
        self._publisher: ProviderPublisher | None = None
        self._identity = ProcessIdentity(settings.service_name)
        self._transports = [Transport(url, settings.ca_file) for url in settings.endpoints]
        registry.contained(import_for_pushes)(self._identity.resource)
        self._begin()
        if settings.metrics in _BY_PROVIDER:
            # A provider may be configured after poolscope, but before there is traffic.
            registry.buffer_histograms()
            self._find_provider()

    def _begin(self) -> None:
        self._start_ns = wall_ns()
        self._sequence = 0
        self._failures = 0
        self._rejected = 0
        self._push_endpoints = PushEndpoints(self._transports)
        looks = self._watcher.holders.looks
        self._log_messages = LogMessages(self._registry, self._watcher.loops, looks.holder_sighting)
        self._held_messages = HeldMessages(
            self._registry,
            looks,
            self._settings.log_held_after_s,
            is_looking=self._settings.look,
        )
        self._thread = BackgroundThread("poolscope-pusher", self._run)
        self._wake = threading.Event()
        self._ended = threading.Event()
        self._ending = False
        self._stopped = False
        self._activity_at_end: int | None = None
        self._pressure = Pressure()
        self._ended_checkouts = EndedCheckouts()
        self._unsent_reports = UnsentReports()
        self._retired = RetiredPools()
        makes_spans = self._settings.wait_span_after_s > 0
        self._traced_notes = TracedNotes(self._registry.contain, makes_spans=makes_spans)
        self._take_notes = self._registry.contained(self._take_traced_notes)
        self._pushed_at_s = monotonic()
        self._was_pressed = False
        self._fast_interval_s: float | None = None
        self._pools_pushed: frozenset[PoolIdentity] = frozenset()

    def start(self) -> None:
        """Start the thread unless it runs; never waits for a lock, because hooks call it."""
        if not self._stopped:
            self._thread.start()

    def wake(self) -> None:
        """Check now whether there is anything to push: a new leak does not wait."""
        self._wake.set()

    def begin_in_child(self) -> None:
        """Begin again in a forked child: another instance, which counts from zero."""
        self._identity.renew()
        self._begin()

    def push_end(self) -> None:
        """Push a last time, marked as the last push, and wait at most a second for it to leave.

        A process that continues after it (a second lifespan) pushes again.
        """
        if not self._thread.is_alive:
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
        self._push_endpoints.stop()
        if self._publisher is not None:
            self._publisher.stop_publishing()

    @property
    def resource_attributes(self) -> Mapping[str, object]:
        """Return the attributes that identify this process; a forked child has others."""
        return self._identity.resource.attributes

    def samples(self) -> Iterator[Sample]:
        """Return the aggregates of the process, of each pool and of poolscope, that are not off."""
        pools = self._named_pools()  # before the sums are read: it may retire a row
        wanted = self._without_those_off(self._retired.completed(self._all_samples(pools)))
        return map(self._traced_notes.exemplars.with_exemplars, wanted)

    def push_samples(self, *, is_partial: bool) -> Iterator[Sample]:
        """Return a push without its marker: aggregates, holders, waiters, stalls and pools made."""
        held = list(self._checkouts())  # counts recovered leaks, for the samples below
        own = self._pressed_samples() if is_partial else self.samples()
        stalls = stall_samples(self._watcher.loops.last_state)
        return chain(held, own, self._waiters(), stalls, self._pools_made())

    def _pressed_samples(self) -> Iterator[Sample]:
        pools, now_s = self._named_pools(), monotonic()
        threads = self._watcher.loops.worker_threads
        pressed = (
            pressed_samples(identity, pool.stats, pool.leaks, now_s, threads)
            for identity, pool in pools
            if not pool.is_gone
        )
        of_process = loop_samples(self._watcher.loops)
        of_pools = self._retired.added(chain.from_iterable(pressed))
        return self._without_those_off(chain(of_pools, of_process))

    def _named_pools(self) -> list[tuple[PoolIdentity, WatchedPool]]:
        """Return the pools, after keeping the counters of pools that left the list."""
        pools = self._registry.named_pools()
        self._retired.retire(self._registry.retired, [pool for _, pool in pools])
        return pools

    def _without_those_off(self, samples: Iterator[Sample]) -> Iterator[Sample]:
        off = self._settings.metrics_off
        return (sample for sample in samples if sample.metric.name not in off)

    def _all_samples(self, pools: list[tuple[PoolIdentity, WatchedPool]]) -> Iterator[Sample]:
        now_s, threads = monotonic(), self._watcher.loops.worker_threads
        for identity, pool in pools:
            if pool.is_gone:
                yield from counter_samples(identity, pool.stats, pool.leaks)
            else:
                yield from pool_samples(identity, pool.stats, pool.leaks, now_s, threads)
        yield from loop_samples(self._watcher.loops)
        named_stats = [(identity, pool.stats) for identity, pool in pools]
        yield from session_error_samples(self._registry.session_errors, named_stats)
        dropped = sum(timed.dropped for _, pool in pools for _, timed in pool.stats.timed)
        yield Sample(catalogue.HOOK_ERRORS, {}, self._registry.hook_errors)
        yield Sample(catalogue.PUSH_FAILURES, {}, self._failures)
        yield Sample(catalogue.PUSH_REJECTED, {}, self._rejected)
        yield Sample(catalogue.SAMPLES_DROPPED, {}, dropped)

    def _run(self) -> None:
        # Prevent spans and metrics of poolscope in the application's telemetry.
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
                # Jitter prevents the pods of one rollout from pushing at the same time.
                due_at_s = monotonic() + interval_s * random.uniform(0.9, 1.1)  # noqa: S311 - no secret

    def _turn(self, *, due: bool) -> bool:
        """Push if it is time, if the process ends or if there is a new leak.

        Return whether everything was pushed. An additional push under pressure omits most counters,
        so it must not delay the next complete push.
        """
        ending, self._ending = self._ending, False
        is_complete = due or ending
        try:
            if ending:
                self._watcher.scan_leaks()
            if not ending:
                self._take_notes()
            leaks = self._watcher.take_leaks()
            self._log_messages.log_leaks(leaks)
            for identity, report in self._log_messages.log_timeouts():
                self._unsent_reports.keep_report(identity, report, monotonic())
            self._log_messages.log_inherited()
            self._held_messages.log_held(monotonic())
            is_complete = is_complete or bool(leaks)
            pushing = is_complete or self._is_due_under_pressure()
            if ending or (pushing and self._is_active()):
                self._push(end=ending, is_partial=not is_complete)
                self._activity_at_end = self._activity() if ending else None
        except Exception:  # noqa: BLE001 - the thread must not end; the error is logged
            self._log_messages.log_failed_push()
        if ending:
            self._take_notes()  # last: a slow provider must not cost the last push
            self._ended.set()
        return is_complete

    def _take_traced_notes(self) -> None:
        """Make spans and exemplars of the slow waits since the last turn."""
        pools = [(identity, pool.stats) for identity, pool in self._registry.named_pools()]
        for _, stats in pools:
            stats.count()  # notes the slow uses
        self._traced_notes.take_notes(pools)

    def _is_due_under_pressure(self) -> bool:
        """Return whether there is or was pressure, and the exporter accepts the next push already.

        The pressure at the last push counts too: otherwise the exporter would show a full pool, and
        waiting callers, until the next regular push.
        """
        if self._fast_interval_s is None:
            return False
        is_due = monotonic() - self._pushed_at_s >= self._fast_interval_s - TICK_S / 2
        return is_due and (self._was_pressed or self._is_pressed())

    def _is_pressed(self) -> bool:
        is_stalled = self._watcher.loops.current_stall is not None
        return is_stalled or self._pressure.is_on([p.stats for p in list(self._registry.pools)])

    def _is_active(self) -> bool:
        """Return whether there is anything new since the end marker, if there was one."""
        return self._activity_at_end is None or self._activity() != self._activity_at_end

    def _activity(self) -> int:
        return sum(sum(pool.stats.wait.counts) for pool in list(self._registry.pools))

    def _push(self, *, end: bool, is_partial: bool = False) -> None:
        self._log_messages.log_problems()
        self._log_messages.log_greenlets()
        if self._settings.metrics in _BY_PROVIDER:
            self._find_provider()
        if self._publisher is not None:
            self._log_messages.log_duplicate_metrics(
                self._publisher.provider, self._settings.metrics_off
            )
        self._sequence += 1
        self._watcher.loops.take_state()
        self._pushed_at_s, is_pressed = monotonic(), self._is_pressed()
        self._was_pressed = is_pressed
        self._pressure.pushed([pool.stats for pool in list(self._registry.pools)])
        pools = frozenset(identity for identity, _ in self._registry.named_pools())
        # The exporter has nothing of a new pool yet, not even its limit.
        is_partial = is_partial and pools <= self._pools_pushed
        if not is_partial:
            self._pools_pushed = pools
        mark = self._mark(end=end, is_pressed=is_pressed, is_partial=is_partial)
        with self._watcher.between_scans():  # the list and the counters must have the same leaks
            samples = [*self.push_samples(is_partial=is_partial), mark]
        if not self._transports:
            return
        # A push under pressure is small; profile and reports can wait for the next complete one.
        profile = [] if is_partial else self._watcher.holders.occupancy.take_rows()
        reports = [] if is_partial else self._unsent_reports.due_reports()
        samples += occupancy_samples(profile)
        samples += report_samples(reports, monotonic())
        body = encode(samples, self._resource(), self._start_ns, wall_ns())
        answers = self._send(body)
        if answers:
            self._unsent_reports.drop_sent(reports)
        else:
            self._watcher.holders.occupancy.restore_rows(profile)
        named = [each.interval_s for each in answers if each.interval_s is not None]
        # The longest interval applies, so that the busiest exporter is not overloaded. If none
        # names an interval, no push comes faster than the setting.
        self._fast_interval_s = max(named, default=None)

    def _send(self, body: bytes) -> list[PushAnswer]:
        """Send a push to every endpoint; return the answers of the exporters that accepted it."""
        answers = []
        for delivery in self._push_endpoints.send_push(body, self._settings.read_token):
            self._log_messages.log_reachability(delivery.endpoint, delivery.error)
            if delivery.answer is None:
                self._failures += 1
            else:
                answers.append(delivery.answer)
                self._rejected += delivery.answer.rejected
                self._log_messages.log_rejection(delivery.endpoint, delivery.answer)
        return answers

    def _checkouts(self) -> Iterator[Sample]:
        find = self._watcher.holders.looks.holder_sighting
        held = HolderList(monotonic(), self._settings.held_after_s, find_sighting=find)
        pools = self._registry.named_pools()
        for identity, pool in pools:
            if pool.is_gone:
                pool.leaks.count_recovered(())
            else:
                held.list_held(identity, pool.stats, pool.leaks)
        yield from held.held_samples()
        listed = frozenset(each.checkout.id for each in held.oldest)
        all_stats = [pool.stats for _, pool in pools]
        named_stats = [(identity, pool.stats) for identity, pool in pools]
        yield from inherited_samples(named_stats, monotonic())
        yield from self._ended_checkouts.ended_samples(all_stats, listed, monotonic())

    def _waiters(self) -> Iterator[Sample]:
        find = self._watcher.holders.looks.waiter_sighting
        waiters = WaiterList(monotonic(), self._settings.held_after_s, find_sighting=find)
        for identity, pool in self._registry.named_pools():
            if not pool.is_gone:
                waiters.list_waiters(identity, pool.stats)
        return waiters.waiter_samples()

    def _pools_made(self) -> Iterator[Sample]:
        rows = self._registry.named_pools()
        made = self._registry.creation_lines.count_made(monotonic())
        return chain(generation_samples(rows), creation_samples(rows, made))

    def _mark(self, *, end: bool, is_pressed: bool, is_partial: bool) -> Sample:
        by_provider = self._settings.metrics in _BY_APPLICATION or self._publisher
        publisher = Publisher.PROVIDER if by_provider else Publisher.EXPORTER
        attributes = {
            catalogue.PUSH_INTERVAL: self._settings.push_interval_s,
            catalogue.PUSH_END: end,
            catalogue.PUSH_PUBLISHER: publisher.value,
            catalogue.PUSH_PRESSURE: is_pressed,
            catalogue.PUSH_PARTIAL: is_partial,
            catalogue.PUSH_VERSION: catalogue.WIRE_VERSION,
        }
        return Sample(catalogue.PUSH, attributes, self._sequence)

    def _resource(self) -> Resource:
        """Return the provider's resource if it publishes: poolscope's verdicts join its series."""
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
