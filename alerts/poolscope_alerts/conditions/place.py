"""The server of each pool, and whether its process lives: every alert on a pool is joined with it.

An expression that looks back still describes processes that have ended. A pool without a known
server keeps its alert, without the label.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from poolscope import catalogue as wire
from poolscope_alerts.model import Alert, Component, Record
from poolscope_alerts.promql import POOL, PROCESS, SERVICE_POOL, Labels, by, name, on, selector
from poolscope_exporter.core import own_metrics as own
from poolscope_exporter.core.judging.diagnosis import Diagnosis

SERVER = "server"

PLACES: Final[Mapping[Labels, str]] = {
    POOL: "pool:poolscope_place:zero",
    SERVICE_POOL: "service_pool:poolscope_place:zero",
}
"""The recorded 0 of each living pool: adding it to a series gives this its server."""

_REMEMBERED = "15m"
"""While a server is down, or an exporter restarts, no checkout shows where its pool leads."""


def placed(alert: Alert) -> Alert:
    """Return the same alert with the label `server`, for living processes only.

    An alert on a whole process has no server: its pools may lead to several.
    """
    about = set(alert.about)
    if alert.component is not Component.POOL or SERVER in about:
        return alert
    if about == set(PROCESS):
        return replace(
            alert, expression=f"({alert.expression}) and {on(PROCESS)} {_living(PROCESS)}"
        )
    identity = POOL if set(POOL) <= about else SERVICE_POOL
    expression = f"({alert.expression}) + {on(identity)} group_left ({SERVER}) {PLACES[identity]}"
    return replace(alert, expression=expression, about=(*alert.about, SERVER))


def places() -> tuple[Record, ...]:
    """Return the recordings of every living pool's server, which all alerts on pools read."""
    return tuple(
        Record(record, _place(identity), (*identity, SERVER)) for identity, record in PLACES.items()
    )


def _living(labels: Labels) -> str:
    """Return what every pool of a living process has: connections, or a diagnosis."""
    judged = selector(own.POOL_DIAGNOSIS.name, f'diagnosis="{Diagnosis.HEALTHY}"')
    return f"({by(labels, name(wire.COUNT))} or {by(labels, judged)})"


def _place(identity: Labels) -> str:
    """Return 0 for each living pool, with its server if exactly one is known."""
    known = selector(own.POOL_DESTINATION.name, f'{SERVER}!=""', over=_REMEMBERED)
    leads = by((*identity, SERVER), f"last_over_time({known})")
    ambiguous = f"{by(identity, leads, 'count')} > 1"
    living = _living(identity)
    only = f"({leads} unless {on(identity)} ({ambiguous}) and {on(identity)} {living})"
    return f"0 * ({only} or {on(identity)} {living})"
