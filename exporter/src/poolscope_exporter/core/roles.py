"""Name what an exporter is in its place: the observer of a server, or the companion of a pod."""

from dataclasses import replace
from enum import StrEnum

from poolscope_exporter.core.situation import Situation


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
    return replace(situation, servers=tuple(views))
