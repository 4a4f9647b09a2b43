"""Mark the changes of a fleet: processes that start, servers that restart or fail over."""

from poolscope_alerts.promql import PROCESS, SERVICE, by, selector
from poolscope_dashboards.fleet.selection import BY_SERVICE, FLEET, OF_CLUSTER
from poolscope_dashboards.kit.annotation import Annotation
from poolscope_dashboards.kit.palette import BLUE, PURPLE
from poolscope_dashboards.kit.selection import OF_EXPORTER, joined
from poolscope_exporter.core import own_metrics as own

_IS_NEW = "1m"
"""For so long a process is new: long enough for a mark at Grafana's step of one minute."""

_BEFORE = "10m"
"""Longer than a scrape outage, after which old processes must not look new."""


def started() -> str:
    """Return the number of new processes of each service that had a process before."""
    running = FLEET.judged_process(own.INSTANCE_INFO)
    before = f"last_over_time({running}[{_BEFORE}] offset {_IS_NEW})"
    new = f"{by(PROCESS, running)} unless {by(PROCESS, before)}"
    ran_before = by(SERVICE, before)
    return f"{by(SERVICE, new, 'count')} and on ({', '.join(SERVICE)}) {ran_before}"


def marks() -> tuple[Annotation, ...]:
    """Return the marks of deploys and restarts."""
    changed = selector(
        own.SERVER_CHANGES.name, joined(OF_EXPORTER, OF_CLUSTER), over="2m"
    )  # the step of annotations is a minute, whatever the time range
    return (
        Annotation(
            name="Deploys and restarts of services",
            expression=started(),
            colour=BLUE,
            title="New processes",
            text=BY_SERVICE,
            tags="service_name",
        ),
        Annotation(
            name="Restarts and failovers of servers",
            expression=f"{by(('server', 'change'), f'increase({changed})')} > 0",
            colour=PURPLE,
            title="Server {{change}}",
            text="{{server}}",
            tags="server",
        ),
    )
