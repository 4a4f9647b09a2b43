"""Name what an exporter is in its place: the observer of a server, or the companion of a pod."""

from dataclasses import replace
from enum import StrEnum

from poolscope_exporter.core.checks.model import CheckId, ConfigCheck, Result
from poolscope_exporter.core.judging.assessment import PoolState, Situation


class Role(StrEnum):
    """Whether the exporter hears a server's whole fleet, or its own pod alone."""

    STANDALONE = "standalone"
    SIDECAR = "sidecar"


def of_own_pod(situation: Situation) -> Situation:
    """Return the situation without what describes a whole server: another exporter tells that.

    A server of which several exporters told would have every session as many times.
    """
    views = (
        replace(
            view,
            limits=None,
            connections=None,
            headroom=None,
            orphans=None,
            active_on_cpu=None,
            cpus=None,
        )
        for view in situation.servers
    )
    pools = tuple(map(_without_sum, situation.pools))
    return replace(situation, servers=tuple(views), pools=pools)


def _without_sum(state: PoolState) -> PoolState:
    return replace(state, checks=tuple(map(_unsure, state.checks)))


def _unsure(check: ConfigCheck) -> ConfigCheck:
    """Return the sum over all processes as unknown where a pod's share of it is not too much."""
    if check.check_id is not CheckId.C7 or check.result is Result.WARN:
        return check
    cure = "a sidecar hears its own pod alone: ask the exporter of the server"
    return replace(check, result=Result.UNKNOWN, cure=cure)
