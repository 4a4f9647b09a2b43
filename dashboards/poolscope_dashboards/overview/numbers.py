"""Show the state of all pools in numbers: in trouble, unknown, waiting, leaked."""

from poolscope import catalogue as wire
from poolscope_alerts.promql import POOL, SERVICE_POOL, by
from poolscope_dashboards.kit.charts import stat
from poolscope_dashboards.kit.palette import GREEN, GREY
from poolscope_dashboards.kit.panel import Panel, Step, limits, now
from poolscope_dashboards.kit.selection import NOT_WELL, summed
from poolscope_dashboards.overview.selection import ALL
from poolscope_exporter.core import own_metrics as own
from poolscope_exporter.core.judging.diagnosis import Diagnosis
from poolscope_exporter.core.judging.verdicts import Verdict


def _count_of(diagnoses: str) -> str:
    worst = by(SERVICE_POOL, ALL.judged(own.POOL_DIAGNOSIS, diagnoses))
    return f"count({worst} == 1) or {ALL.nothing(())}"


def panels() -> tuple[Panel, ...]:
    """Return the first line."""
    return (
        stat(
            "Pools in trouble",
            now(_count_of(NOT_WELL)),
            "Pools with a process that has a diagnosis other than healthy or unknown. "
            "Above 0: the table below lists them, the worst first.",
            none="no data",
            steps=limits(red=1),
        ),
        stat(
            "Pools with unknown state",
            now(_count_of(f'diagnosis="{Diagnosis.UNKNOWN}"')),
            "Pools with a process that cannot be judged: no numbers, or sessions that the "
            "exporter may not see. Unknown is not healthy: see Exporter and Server for the reason.",
            none="no data",
            steps=(Step(None, GREY), Step(0, GREEN), Step(1, GREY)),
        ),
        stat(
            "Callers waiting now",
            now(ALL.total(wire.PENDING_REQUESTS)),
            "Callers that are blocked now because their pool has no free connection. "
            "Above 0 users wait: the column Waiting shows the pool.",
            none="no data",
            steps=limits(amber=1),
        ),
        stat(
            "Leaked connections now",
            now(f"sum({ALL.held(Verdict.LEAKED, POOL)})"),
            "Connections that are out although the work that took them has ended (T4). Each is "
            "lost until its process ends: open the pool for route and line.",
            none="no data",
            steps=limits(red=1),
        ),
        stat(
            "Time-outs in range",
            now(summed(ALL.increase(wire.TIMEOUTS))),
            "Callers that stopped waiting for a connection, in the time range of the dashboard. "
            "Usually each is a failed request (T6).",
            none="no data",
            is_count=True,
            steps=limits(red=1),
        ),
        stat(
            "Processes that push",
            now(f"count({by(POOL[:3], ALL.judged_process(own.INSTANCE_LAST_PUSH_AGE))})"),
            "Application processes that push to the exporters. If you run more, the others are "
            "not monitored.",
            none="none",
        ),
    )
