"""Lay out what is known of proxies as series: their limits, their time-outs, the check of both."""

from collections.abc import Iterable, Iterator

from poolscope_exporter.core import own_metrics as own
from poolscope_exporter.core.capacity.headroom import Limit
from poolscope_exporter.core.judging.assessment import PoolState, Situation
from poolscope_exporter.core.judging.bouncer_view import BouncerView
from poolscope_exporter.core.own_metrics import OwnMetric

Sample = tuple[OwnMetric, tuple[str, ...], float]
"""A series, the values of its labels, its value."""


def proxy_samples(
    situation: Situation, resolutions: Iterable[tuple[str, str, int]]
) -> Iterator[Sample]:
    """Return the samples of all bouncers and of the configured proxy; unknown is absent."""
    for view in situation.bouncers:
        yield from _bouncer(view)
    if situation.configured_idle and (seconds := situation.configured_idle.seconds):
        yield own.PROXY_IDLE_TIMEOUT, (situation.configured_idle.source, ""), seconds
    for target, result, count in resolutions:
        yield own.PGBOUNCER_RESOLUTIONS, (target, result), count


def check_samples(state: PoolState, pool: tuple[str, ...]) -> Iterator[Sample]:
    """Return the samples of a pool's configuration checks; `pool` are the values of its labels."""
    for check in state.checks:
        # The other results are absent: a pool has ten checks, and a budget of 150 series.
        yield own.CONFIG_CHECK, (*pool, check.check_id, check.result), 1


def _bouncer(view: BouncerView) -> Iterator[Sample]:
    name = (view.bouncer,)
    idle = view.idle_timeout
    if idle.seconds:
        yield own.PROXY_IDLE_TIMEOUT, (idle.source, view.bouncer), idle.seconds
    if view.headroom is None:
        return
    yield own.PGBOUNCER_PAUSED, name, len(view.paused)
    tightest = {bound.scope: bound for bound in reversed(_by_room(view))}
    for scope, bound in sorted(tightest.items()):
        yield own.PGBOUNCER_LIMIT, (*name, scope), bound.limit
        yield own.PGBOUNCER_HEADROOM, (*name, scope), bound.free
    if view.potential_clients is not None:
        yield own.PGBOUNCER_POTENTIAL_CLIENTS, name, view.potential_clients


def _by_room(view: BouncerView) -> list[Limit]:
    bounds = view.headroom.limits if view.headroom else ()
    return sorted(bounds, key=lambda bound: bound.free)
