"""What is measured against bare: listeners that do nothing, ours, and what else there is."""

import os
from collections.abc import Callable
from time import perf_counter
from typing import Any, Protocol

import sqlalchemy
from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from sqlalchemy import event
from sqlalchemy.pool import Pool

import poolscope
from benchmarks.cases import Case
from poolscope import catalogue
from poolscope.instrumentation import Instrumentation

NOWHERE = "http://127.0.0.1:1"


class Variant(Protocol):
    """A way to watch a pool that can be put on and taken off again."""

    name: str

    def refuses(self, case: Case) -> str | None:
        """Say why the case cannot be measured with it, or None."""

    def start(self, case: Case) -> None:
        """Put it on."""

    def stop(self) -> None:
        """Take it off: the next block is bare again."""


class Nothing:
    """Nothing at all: the bare process, or another one like it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def refuses(self, case: Case) -> str | None:
        return None

    def start(self, case: Case) -> None: ...

    def stop(self) -> None: ...


class _Listeners:
    """Two class-level listeners of SQLAlchemy's pools."""

    name: str

    def __init__(self) -> None:
        self._listening: list[tuple[str, Callable[..., None]]] = []

    def refuses(self, case: Case) -> str | None:
        return None if case.engine is not None else "no events"

    def listen(self, **listeners: Callable[..., None]) -> None:
        self._listening = list(listeners.items())
        for name, listener in self._listening:
            event.listen(Pool, name, listener)

    def stop(self) -> None:
        for name, listener in self._listening:
            event.remove(Pool, name, listener)


class TwoNoOpListeners(_Listeners):
    """The least that any instrumentation by events costs."""

    name = "two no-op listeners"

    def start(self, case: Case) -> None:
        self.listen(checkout=lambda *_: None, checkin=lambda *_: None)


class NaiveOpenTelemetry(_Listeners):
    """The obvious way: OpenTelemetry's instruments, called in the listeners."""

    name = "naive OTel instruments"

    def start(self, case: Case) -> None:
        self._provider = MeterProvider([InMemoryMetricReader()])
        meter = self._provider.get_meter("naive")
        count = meter.create_up_down_counter(catalogue.COUNT.name)
        wait = meter.create_histogram(catalogue.WAIT_TIME.name)
        use = meter.create_histogram(catalogue.USE_TIME.name)
        about = {catalogue.POOL_NAME: "shop"}
        used = {**about, catalogue.CONNECTION_STATE: "used"}
        idle = {**about, catalogue.CONNECTION_STATE: "idle"}

        def checkout(_connection: Any, record: Any, _proxy: Any) -> None:
            record.info["since"] = perf_counter()
            wait.record(0.001, about)
            count.add(1, used)
            count.add(-1, idle)

        def checkin(_connection: Any, record: Any) -> None:
            use.record(perf_counter() - record.info["since"], about)
            count.add(-1, used)
            count.add(1, idle)

        self.listen(checkout=checkout, checkin=checkin)

    def stop(self) -> None:
        super().stop()
        self._provider.shutdown()


class Ours:
    """`poolscope.instrument()` as users have it: everything, with call site and route."""

    name = "poolscope"

    def __init__(self) -> None:
        self._handle: Instrumentation | None = None

    def refuses(self, case: Case) -> str | None:
        return None

    def start(self, case: Case) -> None:
        self._handle = poolscope.instrument(
            endpoint=NOWHERE, metrics="exporter", push_interval_s=300
        )

    def stop(self) -> None:
        assert self._handle is not None
        assert self._handle.registry.hook_errors == 0, self._handle.registry.last_hook_error
        self._handle.uninstrument()


class OursWithoutLooks(Ours):
    """`poolscope.instrument()` that looks at no holder: only its setting differs."""

    name = "poolscope, no looks"

    def start(self, case: Case) -> None:
        os.environ["POOLSCOPE_LOOK"] = "false"
        super().start(case)


class Contrib:
    """OpenTelemetry's own instrumentation of SQLAlchemy, without spans: one metric."""

    name = "OTel contrib"

    def refuses(self, case: Case) -> str | None:
        if case.engine is None:
            return "SQLAlchemy only"
        if sqlalchemy.__version__.startswith("2.0."):
            return None
        return f"refuses SQLAlchemy {sqlalchemy.__version__}"

    def start(self, case: Case) -> None:
        self._provider = MeterProvider([InMemoryMetricReader()])
        self._instrumentor = SQLAlchemyInstrumentor()
        self._instrumentor.instrument(engine=case.engine, meter_provider=self._provider)

    def stop(self) -> None:
        self._instrumentor.uninstrument()
        self._provider.shutdown()


BARE = Nothing("bare")
CONTROL = Nothing("control")
"""What differs from bare here is the noise of the measurement."""
ONE_THREAD = Nothing("no second thread")
"""Bare without the thread that all other processes have."""
OURS = Ours()
NO_LOOKS = OursWithoutLooks()
CONTRIB = Contrib()
HELD: tuple[Variant, ...] = (CONTROL, TwoNoOpListeners(), OURS)
"""What budgets are held against, and what they are held with."""
OTHERS: tuple[Variant, ...] = (ONE_THREAD, NaiveOpenTelemetry())
VARIANTS: dict[str, Variant] = {
    each.name: each for each in (BARE, *HELD, *OTHERS, NO_LOOKS, CONTRIB)
}
