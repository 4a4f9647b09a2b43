"""Build the dashboard on one database server: who is there, what is left, who would use it up."""

from poolscope_alerts.model import Component, Sources
from poolscope_dashboards.kit.alert_annotations import firing
from poolscope_dashboards.kit.board import Board, Section
from poolscope_dashboards.kit.charts import stat, text
from poolscope_dashboards.kit.glossary import GLOSSARY
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
    words = text("Words", GLOSSARY, "What the words on these dashboards mean.", height=20)
    return Board(
        uid="poolscope-server",
        description=(
            "What one database server sees: sessions by state and by owner, what its limits "
            "leave, who would use it up, who waits for locks, and which held connections are "
            "linked to their sessions."
        ),
        variables=(*EXPORTERS, ONE_SERVER, BOUNCERS),
        sections=(
            Section("", (*_numbers(sources), *server_sessions.of_whom(sources))),
            Section("Is it busy, and who waits?", server_sessions.of_load(sources)),
            Section("What is known of it?", server_sight.panels()),
            Section("PgBouncer", bouncer.panels(sources), is_open=False),
            Section("What the words mean", (words,), is_open=False),
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
            "Whether the last poll succeeded. no: sessions, links and headroom are not known until "
            "it does; `poolscope-exporter check` says why.",
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
            f"Sessions that exist, of what the server admits to applications. From {share:.0%} on "
            f"the reserve is eaten (T9). {sources[ThresholdId.T9].advice}",
            none="not known",
            unit=Unit.SHARE,
            steps=limits(share, 1),
        ),
        stat(
            "CPUs busy",
            now(BUSY),
            f"Sessions that run a statement and wait for nothing, per CPU, over 5 minutes. From "
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
            "May see",
            now(f"{per_server(own.PRIVILEGE_LEVEL, HERE, ('level',))} == 1", "{{level}}"),
            "What the exporter's role may see of other roles' sessions: full, member or own. Less "
            "than full leaves connections unlinked: GRANT pg_read_all_stats.",
            none="not known",
            width=3,
            says_name=True,
        ),
        stat(
            "Last answer",
            now(f"time() - {per_server(own.POLL_LAST_SUCCESS, HERE)}"),
            "How long ago the server last answered the exporter. More than a few poll intervals: "
            "what is shown of it is old.",
            none="never, or not known",
            unit=Unit.SECONDS,
            steps=limits(amber=sources.tuning.blind_s),
        ),
    )
