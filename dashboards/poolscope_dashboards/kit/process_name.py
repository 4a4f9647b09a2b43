"""Name processes so that a reader finds them: by host and pid, and not by a UUID.

This is the only place of the dashboards where the name is made. Series carry `service_instance_id`;
the exporter's series on processes, `poolscope_instance_info`, has the place of each.
"""

from typing import Final

from poolscope import catalogue as wire
from poolscope_alerts.promql import PROCESS, name
from poolscope_dashboards.kit.selection import Selection
from poolscope_exporter.core import own_metrics as own
from poolscope_exporter.core.prometheus_names import label_name

PROCESS_NAME: Final = "process"
"""The label that `with_process_name` adds; an exporter that names processes uses the same."""

BY_PROCESS: Final = f"{{{{{PROCESS_NAME}}}}}"

_INSTANCE: Final = PROCESS[2]
_HOST: Final = label_name(wire.HOST_NAME)


def with_process_name(expression: str, chosen: Selection) -> str:
    """Return the expression with the label `process`, the name of the process by its place.

    Each series of the expression must have the labels of a process. If no exporter is scraped,
    no place is known, and each process keeps its instance id.
    """
    identity = ", ".join(PROCESS)
    # Two exporters of different versions give two names to one process: topk takes one of them.
    names = f"topk by ({identity}) (1, {_by_place(chosen)} or {_by_instance(chosen)})"
    return f"({expression}) + on ({identity}) group_left ({PROCESS_NAME}) 0 * {names}"


def _by_place(chosen: Selection) -> str:
    """Return 1 for each process with a known place, and its name.

    Without a name of the exporter, the instance id follows: a host has several processes.
    """
    if PROCESS_NAME in own.INSTANCE_INFO.labels:
        return chosen.judged_process(own.INSTANCE_INFO, f'{PROCESS_NAME}!=""')
    known = chosen.judged_process(own.INSTANCE_INFO, f'{_HOST}!=""')
    return f'label_join({known}, "{PROCESS_NAME}", ":", "{_HOST}", "{_INSTANCE}")'


def _by_instance(chosen: Selection) -> str:
    """Return 0 for each process that publishes the pool, named after its instance id."""
    published = chosen.app(name(wire.COUNT))
    return f'label_join(0 * {published}, "{PROCESS_NAME}", "", "{_INSTANCE}")'
