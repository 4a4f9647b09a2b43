"""Show the servers with their sessions, and the settings that need a change."""

from poolscope_alerts.model import Sources
from poolscope_alerts.promql import POOL, SERVICE_POOL, by, selector
from poolscope_dashboards.kit.links import TO_POOL, TO_SERVER
from poolscope_dashboards.kit.palette import AMBER, is_up
from poolscope_dashboards.kit.panel import Panel, Step, Unit, limits, plain, room
from poolscope_dashboards.kit.selection import OF_EXPORTER, per_server, summed
from poolscope_dashboards.kit.tables import Column, Sort, table
from poolscope_dashboards.kit.variable import POOL_NAME, SERVICE_NAME
from poolscope_dashboards.overview.selection import ALL
from poolscope_dashboards.pool.configuration import check_titles
from poolscope_exporter.core import own_metrics as own
from poolscope_exporter.core.checks.model import Result
from poolscope_exporter.core.checks.thresholds import ThresholdId


def panels(sources: Sources) -> tuple[Panel, ...]:
    """Return the two tables."""
    return _servers(sources), _settings(sources)


def _servers(sources: Sources) -> Panel:
    share = 1 - sources[ThresholdId.T9].limit
    sessions = summed(per_server(own.SERVER_CONNECTIONS, labels=("server", "state")), ("server",))
    limit = per_server(own.SERVER_CONNECTIONS_LIMIT, 'scope="server"')
    own_up = selector(own.SERVER_UP.name, OF_EXPORTER)
    return table(
        "Servers by sessions used",
        (
            Column("Server", label="server", link=TO_SERVER),
            Column("Answers", per_server(own.SERVER_UP), mappings=is_up(), is_painted=True),
            Column("Exporters", by(("server",), own_up, "count")),
            Column("Sessions", sessions),
            Column("Limit", limit),
            Column(
                "Used",
                f"{sessions} / {limit}",
                unit=Unit.SHARE,
                steps=limits(share, 1),
                decimals=0,
            ),
            Column("Headroom", per_server(own.SERVER_HEADROOM), steps=room()),
        ),
        "Sessions of each database server, and the number that it admits to applications. "
        "Headroom is the room that the tightest limit leaves. Exporters is the number of "
        f"exporters that poll the server. From {share:.0%} on, the sessions use up the reserve "
        "(T9). A row opens the server.",
        none="no data: no exporter polls a server (see Exporter)",
        sort=Sort("Used"),
        width=12,
    )


def _settings(sources: Sources) -> Panel:
    once = by((*POOL, "check_id"), ALL.judged(own.CONFIG_CHECK, f'result="{Result.WARN}"'))
    return table(
        "Settings outside their safe range",
        (
            Column("Service", label=SERVICE_NAME, link=TO_POOL),
            Column("Pool", label=POOL_NAME, link=TO_POOL),
            Column("Check", label="check_id", mappings=(check_titles(sources),), width=330),
            Column(
                "Processes",
                by((*SERVICE_POOL, "check_id"), once, "count"),
                steps=(*plain(), Step(1, AMBER)),
            ),
        ),
        "Configuration checks that warn, by their id (C1 to C16), with the number of processes. "
        "A row opens the pool: its last rows show values and safe ranges.",
        none="no check warns, or the senders report no settings, or no exporter checks",
        sort=Sort("Processes"),
        width=12,
        hides=("service_namespace", "db_namespace", "server_address", "server_port"),
    )
