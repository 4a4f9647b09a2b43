"""Build the dashboard on one database server: its sessions, its headroom, and its PgBouncers."""

from poolscope_alerts.model import Component, Sources
from poolscope_dashboards.kit.alert_annotations import firing
from poolscope_dashboards.kit.board import Board, Section
from poolscope_dashboards.kit.charts import stat
from poolscope_dashboards.kit.glossary import words
from poolscope_dashboards.kit.palette import is_up
from poolscope_dashboards.kit.panel import Panel, Unit, limits, now, room
from poolscope_dashboards.kit.selection import per_server
from poolscope_dashboards.kit.variable import BOUNCERS, EXPORTERS, ONE_SERVER
from poolscope_dashboards.server import pgbouncer as bouncer
from poolscope_dashboards.server import sessions as server_sessions
from poolscope_dashboards.server import visibility as server_sight
from poolscope_dashboards.server.selection import BUSY, FREE, HERE, LIMIT, SESSIONS, UP
from poolscope_exporter.core import own_metrics as own
from poolscope_exporter.core.checks.thresholds import ThresholdId


def server(sources: Sources) -> Board:
    """Return the dashboard on one server, and on the proxies before it."""
    return Board(
        uid="poolscope-server",
        description=(
            "One database server: its sessions, its headroom, and the pools that may use it up. "
            "Below are waits for locks, the links from connections to sessions, and PgBouncer."
        ),
        variables=(*EXPORTERS, ONE_SERVER, BOUNCERS),
        sections=(
            Section("", (*_numbers(sources), *server_sessions.of_whom(sources))),
            Section("Load and locks", server_sessions.of_load(sources)),
            Section("Data quality", server_sight.panels()),
            Section("PgBouncer", bouncer.panels(sources), is_open=False),
            words(),
        ),
        alerts=firing(
            sources,
            (Component.DATABASE, Component.POOLSCOPE),
            'server=~"$server|", pgbouncer=~"$pgbouncer|"',
        ),
    )


def _numbers(sources: Sources) -> tuple[Panel, ...]:
    share = 1 - sources[ThresholdId.T9].limit
    cpu = sources[ThresholdId.T7]
    return (
        stat(
            "Answers",
            now(UP),
            "Whether the last poll succeeded. no: sessions, links and headroom are unknown until "
            "it does. `poolscope-exporter check` shows the reason.",
            none="not known",
            width=3,
            mappings=is_up(),
        ),
        stat(
            "Headroom",
            now(FREE),
            "How many more sessions the tightest limit admits: the server's, a role's or a "
            "database's (T9). At 0 every new connection fails.",
            none="not known",
            width=3,
            steps=room(),
        ),
        stat(
            "Sessions used",
            now(f"{SESSIONS} / {LIMIT}"),
            "Open sessions, as a share of the number that the server admits to applications. From "
            f"{share:.0%} on, they use up the reserve (T9). {sources[ThresholdId.T9].advice}",
            none="not known",
            unit=Unit.SHARE,
            steps=limits(share, 1),
        ),
        stat(
            "CPUs busy, 5 min mean",
            now(BUSY),
            f"Sessions that run a statement and wait for nothing, per CPU. Mean of 5 minutes. From "
            f"{cpu.limit:.0%} on (T7): {cpu.advice}",
            none="not known: set --server-cpus",
            unit=Unit.SHARE,
            steps=limits(amber=cpu.limit),
        ),
        stat(
            "Role",
            now(f"{per_server(own.SERVER_ROLE, HERE, ('role',))} == 1", "{{role}}"),
            "Whether it was the primary or a replica at the last poll.",
            none="not known",
            width=3,
            says_name=True,
        ),
        stat(
            "Privilege level",
            now(f"{per_server(own.PRIVILEGE_LEVEL, HERE, ('level',))} == 1", "{{level}}"),
            "The exporter's view of the sessions of other roles: full, member or own. With less "
            "than full, connections stay unlinked: GRANT pg_read_all_stats.",
            none="not known",
            width=3,
            says_name=True,
        ),
        stat(
            "Time since the last answer",
            now(f"time() - {per_server(own.POLL_LAST_SUCCESS, HERE)}"),
            "Time since the server last answered the exporter. If it is more than a few poll "
            "intervals, this dashboard shows old data of the server.",
            none="never, or not known",
            unit=Unit.SECONDS,
            steps=limits(amber=sources.tuning.blind_s),
        ),
    )
