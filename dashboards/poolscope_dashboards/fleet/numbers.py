"""Show the state of a fleet in numbers and in one table: the services with failures first."""

from poolscope import catalogue as wire
from poolscope_alerts.promql import KIND, POOL, PROCESS, SERVICE, by
from poolscope_dashboards.fleet.selection import FLEET, NAMESPACE, NO_FAILURES, NO_SERVICE
from poolscope_dashboards.kit.charts import stat
from poolscope_dashboards.kit.links import TO_SERVICE
from poolscope_dashboards.kit.palette import diagnosis_words
from poolscope_dashboards.kit.panel import Panel, Unit, limits, now
from poolscope_dashboards.kit.selection import NOT_WELL, summed
from poolscope_dashboards.kit.tables import Column, Sort, table
from poolscope_dashboards.kit.variable import SERVICE_NAME
from poolscope_exporter.core import own_metrics as own
from poolscope_exporter.core.judging.verdicts import Verdict

_FAILED = FLEET.failed(SERVICE)
_PUSHING = by(PROCESS, FLEET.judged_process(own.INSTANCE_LAST_PUSH_AGE))
_CONNECT_ERRORS = summed(FLEET.increase(wire.CONNECT_ERRORS, per=(*POOL, KIND)), SERVICE)


def panels() -> tuple[Panel, ...]:
    """Return the first screen."""
    return (*_errors(), *_present(), _services())


def _errors() -> tuple[Panel, ...]:
    return (
        stat(
            "Failed checkouts in range",
            now(f"sum({_FAILED})"),
            "Requests for a connection that timed out or met an error, in the time range of the "
            "dashboard. Usually each is a failed request of a user.",
            none=NO_FAILURES,
            is_count=True,
            steps=limits(red=1),
        ),
        stat(
            "Services failing in range",
            # Prometheus extrapolates: less than half an event is none.
            now(f"count({_FAILED} >= 0.5) or 0 * count({_FAILED})"),
            "Services with at least one failed checkout in the time range of the dashboard. The "
            "table below lists them first.",
            none=NO_FAILURES,
            steps=limits(red=1),
        ),
    )


def _present() -> tuple[Panel, ...]:
    troubled = by(SERVICE, FLEET.judged(own.POOL_DIAGNOSIS, NOT_WELL))
    return (
        stat(
            "Services in trouble now",
            now(f"count({troubled} == 1) or {FLEET.nothing(())}"),
            "Services with a process that has a diagnosis other than healthy or unknown. Above 0: "
            "the table below shows the worst diagnosis of each.",
            none="no data",
            steps=limits(red=1),
        ),
        stat(
            "Callers waiting now",
            now(FLEET.total(wire.PENDING_REQUESTS)),
            "Callers that are blocked now because their pool has no free connection.",
            none="no data",
            steps=limits(amber=1),
        ),
        stat(
            "Leaked connections now",
            now(f"sum({FLEET.held(Verdict.LEAKED, POOL)})"),
            "Connections that are out although the work that took them has ended (T4).",
            none="no data",
            steps=limits(red=1),
        ),
        stat(
            "Services that push now",
            now(f"count({by(SERVICE, _PUSHING)})"),
            "Services with at least one process that pushes to the exporters. If you run more, the "
            "others are not monitored.",
            none="none",
        ),
    )


def _services() -> Panel:
    worst = FLEET.diagnosis(SERVICE)
    some, one = limits(amber=1), limits(red=1)
    return table(
        "Services, failures first",
        (
            Column("Service", label=SERVICE_NAME, link=TO_SERVICE),
            Column("Namespace", label=NAMESPACE),
            Column("Failed", _FAILED, steps=one, decimals=0),
            Column("Connect errors", _CONNECT_ERRORS, steps=one, decimals=0, width=120),
            Column(
                "Failing now", FLEET.failed_share(SERVICE), unit=Unit.SHARE, decimals=1, width=100
            ),
            Column("Worst diagnosis", worst, mappings=diagnosis_words(), width=150),
            Column("Waiting", FLEET.total(wire.PENDING_REQUESTS, labels=SERVICE), steps=some),
            Column("Leaked", FLEET.held(Verdict.LEAKED, SERVICE), steps=one),
            Column("Processes", by(SERVICE, _PUSHING, "count")),
        ),
        "One row per service; a row opens its pools. Failed and Connect errors count in the time "
        "range of the dashboard. Failed: checkouts that timed out or met an error. Failing now is "
        "their share of all requests. A dash means unknown: not 0, and not healthy.",
        none=NO_SERVICE,
        sort=Sort("Failed"),
        height=10,
    )
