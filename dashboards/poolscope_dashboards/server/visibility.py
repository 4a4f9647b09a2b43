"""Show the data quality of one server: links, limits, restarts and failovers."""

from poolscope_alerts.promql import by, selector
from poolscope_dashboards.kit.charts import chart, events
from poolscope_dashboards.kit.palette import BLUE, GREEN, GREY, LIGHT_BLUE
from poolscope_dashboards.kit.panel import Panel, Query, painted
from poolscope_dashboards.kit.selection import OF_EXPORTER, STEP, joined, per_server
from poolscope_dashboards.kit.tables import Column, Sort, table
from poolscope_dashboards.server.selection import HERE, NO_SERVER
from poolscope_exporter.core import own_metrics as own
from poolscope_exporter.core.linking.link import LinkLevel

_NONE_HELD = "no connection is held for a second, or no exporter judges"


def panels() -> tuple[Panel, ...]:
    """Return the panels on data quality."""
    return (_links(), _unlinked(), _limits(), _changes())


def _links() -> Panel:
    levels = selector(own.LINKS.name, joined(OF_EXPORTER, 'level!="unlinked"'))
    return chart(
        "Held connections by link to a session",
        (
            Query(by(("level",), levels, "sum"), "{{level}}"),
            Query(by((), _unlinked_series(), "sum"), "unlinked"),
        ),
        "Held connections by the fact that, with the pid, links each to its session: the client's "
        "address, the connection's age, or a PgBouncer. Unlinked connections have no verdict from "
        "the server. The panel shows all servers of the chosen exporters.",
        none=_NONE_HELD,
        is_stacked=True,
        overrides=painted(
            {
                str(LinkLevel.ADDRESS): GREEN,
                str(LinkLevel.AGE): LIGHT_BLUE,
                str(LinkLevel.PGBOUNCER): BLUE,
                "unlinked": GREY,
            }
        ),
    )


def _unlinked_series() -> str:
    return selector(own.LINKS.name, joined(OF_EXPORTER, 'level="unlinked"'))


def _unlinked() -> Panel:
    return chart(
        "Unlinked connections, by reason",
        (Query(by(("reason",), _unlinked_series(), "sum"), "{{reason}}"),),
        "Held connections without a session, by reason. If it is unknown_server, name the address "
        "with --server-alias. If it is no_privilege, GRANT pg_read_all_stats. If it is pooler, "
        "name the PgBouncer with --pgbouncer. The reasons not_sampled and moved_on pass by "
        "themselves. The panel shows all servers.",
        none="every held connection is linked, none is held, or no exporter judges",
        is_stacked=True,
    )


def _limits() -> Panel:
    labels = ("server", "scope")
    exporters = by(labels, selector(own.SERVER_CONNECTIONS_LIMIT.name, _mine()), "count")
    return table(
        "Limits of the server",
        (
            Column("Scope", label="scope"),
            Column("Admits", per_server(own.SERVER_CONNECTIONS_LIMIT, HERE, labels)),
            Column("Exporters", exporters),
        ),
        "Sessions that each limit admits, without reserved slots: the limit of the server, and "
        "the tightest of the roles and databases in use. Exporters is the number of exporters "
        "that report it.",
        none=NO_SERVER,
        sort=Sort("Admits", is_descending=False),
        width=12,
        hides=("server",),
    )


def _mine() -> str:
    return joined(OF_EXPORTER, HERE)


def _changes() -> Panel:
    changes = selector(own.SERVER_CHANGES.name, _mine(), over=STEP)
    return events(
        "Restarts and failovers",
        (Query(by(("change",), f"increase({changes})"), "{{change}}"),),
        "How often another server began to answer (a restart, a failover), and how often it was "
        "promoted in place. All earlier connections are lost then: pre-ping detects them.",
        none=NO_SERVER,
    )
