"""Show the PgBouncers in front of the server: their clients, limits and queues."""

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
_NONE = "no data: no exporter polls a PgBouncer, or none answers"
_LEGEND = "{{pgbouncer}} {{scope}}"


def panels(sources: Sources) -> tuple[Panel, ...]:
    """Return the panels on PgBouncers."""
    return (_list(), _clients(), _room(sources), _demand(), _paused(), _idle())


def _of(metric: OwnMetric, labels: tuple[str, ...] = _NAME) -> str:
    return per_server(metric, _CHOSEN, labels)


def _list() -> Panel:
    up = selector(own.PGBOUNCER_UP.name, joined(OF_EXPORTER, _CHOSEN))
    return table(
        "PgBouncers",
        (
            Column("PgBouncer", label="pgbouncer"),
            Column("Answers", _of(own.PGBOUNCER_UP), mappings=is_up(), is_painted=True),
            Column("Exporters", by(_NAME, up, "count")),
        ),
        "The PgBouncers that the exporters poll, and the number of exporters that poll each. "
        "Connections through a PgBouncer that does not answer are unlinked.",
        none=_NONE,
        sort=Sort("PgBouncer", is_descending=False),
        width=8,
    )


def _clients() -> Panel:
    return chart(
        "Clients by state",
        (Query(_of(own.PGBOUNCER_CLIENTS, ("pgbouncer", "state")), "{{pgbouncer}} {{state}}"),),
        "Clients of each PgBouncer. active: has a server connection. idle: has none. waiting: "
        "waits for a server connection. If clients wait for long, the pool of PgBouncer is full. "
        "A larger pool in the application only lengthens the queue.",
        none=_NONE,
        is_stacked=True,
        width=8,
    )


def _room(sources: Sources) -> Panel:
    share = sources[ThresholdId.T9].limit
    left = f"{_of(own.PGBOUNCER_HEADROOM, _SCOPE)} / {_of(own.PGBOUNCER_LIMIT, _SCOPE)}"
    return chart(
        "Share left of each limit",
        (Query(left, _LEGEND),),
        "The free share of its clients limit, and of the tightest limit of its server "
        f"connections. Below {share:.0%} (T9), clients will soon queue in PgBouncer.",
        none=_NONE,
        unit=Unit.SHARE,
        steps=lines(amber=share),
        width=8,
    )


def _demand() -> Panel:
    clients = per_server(own.PGBOUNCER_LIMIT, f'{_CHOSEN}, scope="clients"', _NAME)
    return chart(
        "Possible clients and allowed clients",
        (
            Query(_of(own.PGBOUNCER_POTENTIAL_CLIENTS), "{{pgbouncer}} pools may open"),
            Query(clients, "{{pgbouncer}} allows"),
        ),
        "Connections that the pools in front may open together, and the clients that PgBouncer "
        "allows (C7 for a proxy). If the first is higher, the next peak is refused.",
        none=_NONE,
        width=8,
    )


def _paused() -> Panel:
    return chart(
        "Paused databases",
        (Query(_of(own.PGBOUNCER_PAUSED), "{{pgbouncer}}"),),
        "Paused databases of each PgBouncer: their clients wait until RESUME.",
        none=_NONE,
        width=8,
        steps=lines(red=1),
    )


def _idle() -> Panel:
    idle = selector(own.PROXY_IDLE_TIMEOUT.name, joined(OF_EXPORTER, 'pgbouncer=~"$pgbouncer|"'))
    return chart(
        "Idle time-out of proxies",
        (Query(by(("source", "pgbouncer"), idle), "{{source}} {{pgbouncer}}"),),
        "The idle time-out of each PgBouncer, and of a declared proxy or NAT: "
        "--proxy-idle-timeout, --nat-idle-timeout. pool_recycle must be shorter (C4). Empty if no "
        "proxy closes unused connections, or if it is unknown.",
        none="no proxy closes unused connections, or it is unknown",
        unit=Unit.SECONDS,
        width=8,
    )
