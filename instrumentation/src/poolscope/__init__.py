"""Detect whether a connection pool leaks, is too small, is blocked or is slow, and its holders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poolscope.middleware import PoolscopeMiddleware, PoolscopeWSGIMiddleware
from poolscope.recording.requests import long_lived
from poolscope.units.blocks import unit_of_work
from poolscope.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from opentelemetry.metrics import MeterProvider
    from prometheus_client import CollectorRegistry

    from poolscope.instrumentation import Instrumentation

__all__ = [
    "PoolscopeMiddleware", "PoolscopeWSGIMiddleware", "__version__", "instrument", "long_lived",
    "name_pool", "unit_of_work",
]  # fmt: skip


def instrument(
    *,
    endpoint: str | Sequence[str] | None = None,
    metrics: str | None = None,
    push_interval_s: float | None = None,
    held_after_s: float | None = None,
    look: bool | None = None,
    profile_rate: float | None = None,
    log_held_after_s: float | None = None,
    wait_span_after_s: float | None = None,
    max_routes: int | None = None,
    max_pools: int | None = None,
    pool_names: Mapping[str, str] | None = None,
    token: str | None = None,
    token_file: str | Path | None = None,
    ca_file: str | Path | None = None,
    service_name: str | None = None,
    metrics_off: Sequence[str] | None = None,
    disabled: bool | None = None,
    meter_provider: MeterProvider | None = None,
    prometheus_registry: CollectorRegistry | None = None,
) -> Instrumentation | None:
    """Attach to every pool of this process, existing or made later, and push to the exporter.

    An argument that you leave out is read from its environment variable (`POOLSCOPE_ENDPOINT`, …).
    With a `meter_provider`, that provider publishes the aggregates, not the exporter. With
    `metrics="prometheus"`, `prometheus_client` does, in its default registry or the given one;
    poolscope then pushes only if you name an endpoint. Returns the
    handle that undoes the instrumentation; a second call returns the same handle. Returns None if
    `POOLSCOPE_DISABLED` is set. Raises `poolscope.settings.SettingsError` (a `ValueError`) that
    lists every invalid setting.
    """
    from poolscope.instrumentation import start  # noqa: PLC0415 - the exporter imports the names only

    return start(
        meter_provider,
        prometheus_registry,
        endpoint=endpoint,
        metrics=metrics,
        push_interval_s=push_interval_s,
        held_after_s=held_after_s,
        look=look,
        profile_rate=profile_rate,
        log_held_after_s=log_held_after_s,
        wait_span_after_s=wait_span_after_s,
        max_routes=max_routes,
        max_pools=max_pools,
        pool_names=pool_names,
        token=token,
        token_file=token_file,
        ca_file=ca_file,
        service_name=service_name,
        metrics_off=metrics_off,
        disabled=disabled,
    )


def name_pool(target: object, name: str) -> None:
    """Give a pool the name that its metrics carry, in place of its database's name.

    `target` is a SQLAlchemy engine (asynchronous or not) or pool, an `asyncpg.Pool`, or a pool of
    psycopg_pool. Use few different names, and the same name after a restart. Does nothing if
    `instrument()` was not called. Raises ValueError if the target is not a pool.
    """
    from poolscope.instrumentation import name_pool as name_it  # noqa: PLC0415 - as above

    name_it(target, name)
