"""Build the dashboard on the exporters themselves: their gaps, and their cost."""

from poolscope_alerts.model import Component, Sources
from poolscope_alerts.promql import by, selector
from poolscope_dashboards.exporter import polls as exporter_polls
from poolscope_dashboards.exporter import receiver as exporter_intake
from poolscope_dashboards.kit.alert_annotations import firing
from poolscope_dashboards.kit.board import Board, Section
from poolscope_dashboards.kit.charts import stat
from poolscope_dashboards.kit.glossary import words
from poolscope_dashboards.kit.panel import Panel, limits, now
from poolscope_dashboards.kit.selection import OF_EXPORTER, RANGE, joined, per_server
from poolscope_dashboards.kit.variable import BOUNCERS, EXPORTERS, SERVERS, SERVICES
from poolscope_exporter.core import own_metrics as own
from poolscope_exporter.core.admission.points import Refusal
from poolscope_exporter.core.own_metrics import INSTANCE_LABELS


def exporter(sources: Sources) -> Board:
    """Return the dashboard on the exporters."""
    return Board(
        uid="poolscope-exporter",
        description=(
            "Does poolscope receive everything? Polls of servers, pushes of processes, rejected "
            "and lost data. Data that poolscope does not receive is missing on every other "
            "dashboard."
        ),
        variables=(*EXPORTERS, SERVERS, BOUNCERS, SERVICES),
        sections=(
            Section("", _numbers(sources)),
            Section("Polls of servers", exporter_polls.panels(sources)),
            Section("Pushes of applications", exporter_intake.panels(sources)),
            Section("Forwarding", exporter_intake.forwarding(), is_open=False),
            words(),
        ),
        alerts=firing(sources, (Component.POOLSCOPE,)),
    )


def _numbers(sources: Sources) -> tuple[Panel, ...]:
    blind_s = sources.tuning.blind_s
    age = by(INSTANCE_LABELS, selector(own.INSTANCE_LAST_PUSH_AGE.name, OF_EXPORTER), "min")
    answers = per_server(own.SERVER_UP)
    refused = selector(
        own.RECEIVER_REFUSED.name,
        joined(OF_EXPORTER, f'reason!="{Refusal.OUT_OF_ORDER}"'),
        over=RANGE,
    )
    return (
        stat(
            "Version",
            now(by(("version",), selector(own.BUILD_INFO.name, OF_EXPORTER)), "{{version}}"),
            "The versions that run. None: no exporter is scraped, and every other panel is empty.",
            none="no exporter is scraped",
            says_name=True,
        ),
        stat(
            "Role",
            now(by(("role",), selector(own.EXPORTER_ROLE.name, OF_EXPORTER)), "{{role}}"),
            "standalone: judges every process that pushes to it. sidecar: judges only its pod, and "
            "publishes no series of the server.",
            none="no exporter is scraped",
            says_name=True,
        ),
        stat(
            "Servers that do not answer",
            now(f"count({answers} == 0) or 0 * count({answers})"),
            "Servers with a failed last poll: their sessions, links and headroom are unknown.",
            none="no server is polled",
            steps=limits(red=1),
        ),
        stat(
            "Processes that push",
            now(f"count({age})"),
            "Application processes that push. If more are running, check POOLSCOPE_ENDPOINT, the "
            "token and the network of the others: they are not monitored.",
            none="none pushes",
        ),
        stat(
            "Silent processes",
            now(f"count({age} > {blind_s:g}) or 0 * count({age})"),
            f"Processes that have not pushed for {blind_s:g} s, without a clean shutdown. They "
            "hang, were killed, or cannot reach the exporter.",
            none="none pushes",
            steps=limits(amber=1),
        ),
        stat(
            "Rejected data in range",
            now(f"sum({by(('reason',), f'increase({refused})', 'sum')})"),
            "Data points, checkouts and pushes that the exporter received and rejected, in the "
            "time range of the dashboard. Some pools are incomplete or missing. The reasons are "
            "below.",
            none="no exporter is scraped",
            is_count=True,
            steps=limits(amber=1),
        ),
    )
