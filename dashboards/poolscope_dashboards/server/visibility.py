"""Show how much is known of one server: links and why not, limits, restarts and fail-overs."""

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
    """Return the panels on what is known."""
    return (_links(), _unlinked(), _limits(), _changes())


def _links() -> Panel:
    levels = selector(own.LINKS.name, joined(OF_EXPORTER, 'level!="unlinked"'))
    return chart(
        "Are held connections linked to their sessions?",
        (
            Query(by(("level",), levels, "sum"), "{{level}}"),
            Query(by((), _unlinked_series(), "sum"), "unlinked"),
        ),
        "Held connections by the second witness, beside the pid, that ties each to its session: "
        "the client's address, the connection's age, or a PgBouncer. What is unlinked cannot be "
        "judged by the server. Of all servers of the chosen exporters.",
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
        "Why are some not linked?",
        (Query(by(("reason",), _unlinked_series(), "sum"), "{{reason}}"),),
        "Held connections without a session, by reason. unknown_server: name the address with "
        "--server-alias. no_privilege: GRANT pg_read_all_stats. pooler: name the PgBouncer with "
        "--pgbouncer. not_sampled and moved_on pass by themselves. Of all their servers.",
        none="every held connection is linked, none is held, or no exporter judges",
        is_stacked=True,
    )


def _limits() -> Panel:
    labels = ("server", "scope")
    exporters = by(labels, selector(own.SERVER_CONNECTIONS_LIMIT.name, _mine()), "count")
    return table(
        "Which limits does it have?",
        (
            Column("Scope", label="scope"),
            Column("Admits", per_server(own.SERVER_CONNECTIONS_LIMIT, HERE, labels)),
            Column("Told by", exporters),
        ),
        "Sessions that each limit admits, less what is reserved: the whole server's, and the "
        "tightest of roles and databases that are in use. Told by is the number of exporters.",
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
        "Was it restarted, or did it fail over?",
        (Query(by(("change",), f"increase({changes})"), "{{change}}"),),
        "How often another server began to answer (a restart, a fail-over), and how often it was "
        "promoted in place. All connections from before are lost then: pools should notice by "
        "pre-ping.",
        none=NO_SERVER,
    )
