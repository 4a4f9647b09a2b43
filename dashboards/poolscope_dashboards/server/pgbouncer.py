"""Show the PgBouncers in front of the server: their clients, what they admit, whether they wait."""

from poolscope_alerts.model import Sources
from poolscope_alerts.promql import by, selector
from poolscope_dashboards.kit.charts import chart
from poolscope_dashboards.kit.palette import is_up
from poolscope_dashboards.kit.panel import Panel, Query, Unit, lines
from poolscope_dashboards.kit.selection import OF_EXPORTER, joined, per_server
from poolscope_dashboards.kit.tables import Column, Sort, table
from poolscope_exporter.core import own_metrics as own
from poolscope_exporter.core.checks.thresholds import ThresholdId
from poolscope_exporter.core.own_metrics import OwnMetric

_CHOSEN = 'pgbouncer=~"$pgbouncer"'
_NAME = ("pgbouncer",)
_SCOPE = ("pgbouncer", "scope")
_NONE = "no data: no exporter asks a PgBouncer, or none answers"
_LEGEND = "{{pgbouncer}} {{scope}}"


def panels(sources: Sources) -> tuple[Panel, ...]:
    """Return the panels on PgBouncers."""
    return (_list(), _clients(), _room(sources), _demand(), _paused(), _idle())


def _of(metric: OwnMetric, labels: tuple[str, ...] = _NAME) -> str:
    return per_server(metric, _CHOSEN, labels)


def _list() -> Panel:
    up = selector(own.PGBOUNCER_UP.name, joined(OF_EXPORTER, _CHOSEN))
    return table(
        "Which PgBouncers answer?",
        (
            Column("PgBouncer", label="pgbouncer"),
            Column("Answers", _of(own.PGBOUNCER_UP), mappings=is_up(), is_painted=True),
            Column("Asked by", by(_NAME, up, "count")),
        ),
        "The PgBouncers whose consoles the exporters ask, and by how many exporters. One that does "
        "not answer leaves the connections through it unlinked.",
        none=_NONE,
        sort=Sort("PgBouncer", is_descending=False),
        width=8,
    )


def _clients() -> Panel:
    return chart(
        "Do its clients wait?",
        (Query(_of(own.PGBOUNCER_CLIENTS, ("pgbouncer", "state")), "{{pgbouncer}} {{state}}"),),
        "Clients by what they have: active has a server connection, idle has none, waiting wants "
        "one. Waiting for long: the bouncer's pool is full, and a larger one in the application "
        "only lengthens the queue.",
        none=_NONE,
        is_stacked=True,
        width=8,
    )


def _room(sources: Sources) -> Panel:
    share = sources[ThresholdId.T9].limit
    left = f"{_of(own.PGBOUNCER_HEADROOM, _SCOPE)} / {_of(own.PGBOUNCER_LIMIT, _SCOPE)}"
    return chart(
        "What is left of its limits?",
        (Query(left, _LEGEND),),
        "The share that is left of the clients that it admits, and of the server connections by "
        f"its tightest limit. Below {share:.0%} (T9) clients will queue in the bouncer.",
        none=_NONE,
        unit=Unit.SHARE,
        steps=lines(amber=share),
        width=8,
    )


def _demand() -> Panel:
    clients = per_server(own.PGBOUNCER_LIMIT, f'{_CHOSEN}, scope="clients"', _NAME)
    return chart(
        "May the pools in front open more than it admits?",
        (
            Query(_of(own.PGBOUNCER_POTENTIAL_CLIENTS), "{{pgbouncer}} pools may open"),
            Query(clients, "{{pgbouncer}} admits"),
        ),
        "Connections that the pools in front may open together, and the clients that it admits "
        "(C7 for a proxy). The first above the second: the next peak is refused.",
        none=_NONE,
        width=8,
    )


def _paused() -> Panel:
    return chart(
        "Is a database paused?",
        (Query(_of(own.PGBOUNCER_PAUSED), "{{pgbouncer}}"),),
        "Databases of the PgBouncer that somebody has paused: their clients wait until RESUME.",
        none=_NONE,
        width=8,
        steps=lines(red=1),
    )


def _idle() -> Panel:
    idle = selector(own.PROXY_IDLE_TIMEOUT.name, joined(OF_EXPORTER, 'pgbouncer=~"$pgbouncer|"'))
    return chart(
        "When does a proxy close unused connections?",
        (Query(by(("source", "pgbouncer"), idle), "{{source}} {{pgbouncer}}"),),
        "The idle time-out of each PgBouncer, and of a proxy that the exporter was told of. "
        "pool_recycle must be shorter (C4). Nothing where it closes none, or is not known.",
        none="none closes unused connections, or it is not known",
        unit=Unit.SECONDS,
        width=8,
    )
