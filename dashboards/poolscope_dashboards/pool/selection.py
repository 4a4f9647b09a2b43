"""Select the one pool that the dashboard shows."""

from poolscope_alerts.promql import POOL, Labels
from poolscope_dashboards.kit.panel import Query
from poolscope_dashboards.kit.process_name import BY_PROCESS, with_process_name
from poolscope_dashboards.kit.ranking import TOP, top
from poolscope_dashboards.kit.selection import Selection
from poolscope_dashboards.kit.variable import POOL_NAME, PROCESS, SERVICE_NAME

_SERVICE = f'{SERVICE_NAME}="$service"'
_POOL = f'{POOL_NAME}="$pool"'

THIS = Selection(_SERVICE, _POOL, f'{PROCESS}=~"$process"')

IN_ALERTS = f'{_SERVICE}, {POOL_NAME}=~"${{pool:regex}}|", {PROCESS}=~"$process|"'
"""An alert on a pool of a service has no process; an alert on a process has no pool."""

OF_POOL_OR_NONE = f'{POOL_NAME}=~"${{pool:regex}}|"'
"""The series of a process for this pool, and the series without a known pool."""

TOP_PROCESSES = f"The {TOP} processes with the highest values in the time range."
NO_POOL = "no data: no application publishes this pool"
NO_VERDICT = "no data: no exporter judges this pool"
NO_TRAFFIC = "no data: no checkout was requested, or the sender does not report it"
NOT_REPORTED = "no data: the sender does not report it"
NO_HOLDERS = "no connection is held for a second, or the sender lists no holders"


def each_process(expression: str, labels: Labels = POOL, most: int = TOP) -> Query:
    """Return one series for each process, by its name: the processes with the largest values."""
    return Query(with_process_name(top(expression, labels, most), THIS), BY_PROCESS)
