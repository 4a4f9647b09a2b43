"""Build the dashboard on the exporters themselves: what they cannot see, and what they cost."""

from poolscope_alerts.model import Component, Sources
from poolscope_alerts.promql import by, selector
from poolscope_dashboards.exporter import polls as exporter_polls
from poolscope_dashboards.exporter import receiver as exporter_intake
from poolscope_dashboards.kit.alert_annotations import firing
from poolscope_dashboards.kit.board import Board, Section
from poolscope_dashboards.kit.charts import stat, text
from poolscope_dashboards.kit.glossary import GLOSSARY
from poolscope_dashboards.kit.panel import Panel, limits, now
from poolscope_dashboards.kit.selection import OF_EXPORTER, RANGE, joined, per_server
from poolscope_dashboards.kit.variable import BOUNCERS, EXPORTERS, SERVERS, SERVICES
from poolscope_exporter.core import own_metrics as own
from poolscope_exporter.core.fleet.admission import Refusal
from poolscope_exporter.core.own_metrics import INSTANCE_LABELS


def exporter(sources: Sources) -> Board:
    """Return the dashboard on the exporters."""
    words = text("Words", GLOSSARY, "What the words on these dashboards mean.", height=20)
    return Board(
        uid="poolscope-exporter",
        description=(
            "Whether poolscope itself sees everything: which servers answer it, which processes "
            "push to it, what it refused, what it lost. What it does not see, no other dashboard "
            "shows."
        ),
        variables=(*EXPORTERS, SERVERS, BOUNCERS, SERVICES),
        sections=(
            Section("", _numbers(sources)),
            Section("Do the servers answer?", exporter_polls.panels(sources)),
            Section("Do the applications push?", exporter_intake.panels(sources)),
            Section("Is everything forwarded?", exporter_intake.forwarding(), is_open=False),
            Section("What the words mean", (words,), is_open=False),
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
            "The versions that run. None: no exporter is scraped, and every other panel is silent.",
            none="no exporter is scraped",
            says_name=True,
        ),
        stat(
            "Role",
            now(by(("role",), selector(own.EXPORTER_ROLE.name, OF_EXPORTER)), "{{role}}"),
            "standalone sees the whole fleet; a sidecar sees its own pod, and tells nothing of the "
            "server as a whole.",
            none="no exporter is scraped",
            says_name=True,
        ),
        stat(
            "Servers that do not answer",
            now(f"count({answers} == 0) or 0 * count({answers})"),
            "Servers whose last poll failed: their sessions, links and headroom are not known.",
            none="no server is asked",
            steps=limits(red=1),
        ),
        stat(
            "Processes heard",
            now(f"count({age})"),
            "Application processes that push. Fewer than run: POOLSCOPE_ENDPOINT, the token or "
            "the network of the others is wrong, and nothing speaks of them.",
            none="none pushes",
        ),
        stat(
            "Silent processes",
            now(f"count({age} > {blind_s:g}) or 0 * count({age})"),
            f"Processes that have not pushed for {blind_s:g} s and said no good-bye: they hang, "
            "were killed, or cannot reach the exporter.",
            none="none pushes",
            steps=limits(amber=1),
        ),
        stat(
            "Refused",
            now(f"sum({by(('reason',), f'increase({refused})', 'sum')})"),
            "Data points, checkouts and pushes that arrived and were not kept, in the time range "
            "above: some pools are not, or not wholly, seen. The reasons are below.",
            none="no exporter is scraped",
            is_count=True,
            steps=limits(amber=1),
        ),
    )
