"""Instrument this process for one test, and read what would be pushed."""

import gc
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import poolscope
from poolscope import catalogue
from poolscope.catalogue import Metric
from poolscope.instrumentation import Instrumentation
from poolscope.pushing import pusher
from poolscope.pushing.samples import Sample
from poolscope.recording.histogram import Buckets
from poolscope.watching import watcher

NOWHERE = "http://127.0.0.1:1"
"""An endpoint where nothing listens: pushes fail, which the application must not notice."""


class Readings:
    """The samples of this process, by metric and attributes."""

    def __init__(self, instrumentation: Instrumentation) -> None:
        self.instrumentation = instrumentation

    def samples(self, metric: Metric) -> list[Sample]:
        return [s for s in self.instrumentation.pusher.samples() if s.metric is metric]

    def value(self, metric: Metric, **attributes: str) -> float | None:
        """Return the one value of a metric; attributes by the last part of their wire names."""
        found = [s for s in self.samples(metric) if _matches(s, attributes)]
        assert len(found) <= 1, found
        if not found:
            return None
        value = found[0].value
        return sum(value.counts) if isinstance(value, Buckets) else value

    def total(self, metric: Metric, **attributes: str) -> float:
        """Return the sum of a counter, of all pools and other attributes."""
        found = [s.value for s in self.samples(metric) if _matches(s, attributes)]
        return sum(value for value in found if not isinstance(value, Buckets))

    @property
    def used(self) -> float | None:
        return self.value(catalogue.COUNT, state="used")

    @property
    def idle(self) -> float | None:
        return self.value(catalogue.COUNT, state="idle")

    @property
    def out(self) -> float:
        checkouts, checkins = self.value(catalogue.CHECKOUTS), self.value(catalogue.CHECKINS)
        assert checkouts is not None
        assert checkins is not None
        return checkouts - checkins

    def scan(self) -> None:
        """Look for leaks now, as the watcher does every second."""
        self.instrumentation.watcher.scan_leaks()


def _matches(sample: Sample, attributes: dict[str, str]) -> bool:
    short = {name.rpartition(".")[2]: value for name, value in sample.attributes.items()}
    return all(short.get(name) == value for name, value in attributes.items())


@contextmanager
def instrumented(**arguments: Any) -> Iterator[Readings]:
    """Instrument the process, without any pushes unless an endpoint is given.

    Where nobody receives anything, our threads sleep: in a test that takes long they would have
    looked for the leaks that the test itself looks for.
    """
    gc.collect()  # engines of earlier tests are found again while they wait for collection
    given = {"endpoint": NOWHERE, "push_interval_s": 300, "metrics": "exporter", **arguments}
    is_received = not arguments.keys().isdisjoint({"endpoint", "meter_provider"})
    with ExitStack() as sleeping:
        if not is_received:
            pushes = mock.patch.multiple(pusher, TICK_S=300.0, FIRST_PUSH_S=300.0)
            sleeping.enter_context(pushes)
            sleeping.enter_context(mock.patch.object(watcher, "TICK_S", 300.0))
        instrumentation = poolscope.instrument(**given)
        assert instrumentation is not None
        try:
            yield Readings(instrumentation)
        finally:
            instrumentation.uninstrument()
            for ours in (instrumentation.pusher, instrumentation.watcher):
                # While it runs it may hold an engine, which the next test would find.
                ours._thread.join(60)
