"""Define the variables of a dashboard, and the series that their values come from."""

from dataclasses import dataclass
from typing import Any, Final

from poolscope import catalogue as wire
from poolscope_alerts.promql import POOL, SERVICE, name, selector
from poolscope_dashboards.kit.palette import Json
from poolscope_dashboards.kit.panel import DATASOURCE
from poolscope_exporter.core import own_metrics as own

SERVICE_NAME: Final = SERVICE[1]
PROCESS: Final = POOL[2]
POOL_NAME: Final = POOL[3]
_COUNT: Final = name(wire.COUNT)


@dataclass(frozen=True, slots=True)
class Variable:
    """One choice: the values of a label of a series; several, or all, where `is_many`.

    `everything` is the expression for all. An empty series stands for the data source.
    """

    name: str
    label: str
    series: str = ""
    of: str = ""
    is_many: bool = True
    everything: str = ".+"

    def to_json(self) -> Json:
        """Return the variable as Grafana reads it."""
        if not self.series:
            return {"type": "datasource", "query": "prometheus", **self._shared()}
        query = f"label_values({self.series}, {self.of})"
        return {
            "type": "query",
            "datasource": DATASOURCE,
            "definition": query,
            "query": query,
            "refresh": 2,
            "sort": 1,
            **self._shared(),
            **(self._many() if self.is_many else {}),
        }

    def _shared(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "label": self.label,
            "hide": 0,
            "includeAll": False,
            "multi": False,
            "options": [],
            "regex": "",
            "skipUrlSync": False,
        }

    def _many(self) -> Json:
        everything = {"selected": True, "text": ["All"], "value": ["$__all"]}
        return {
            "multi": True,
            "includeAll": True,
            "allValue": self.everything,
            "current": everything,
        }


_MINE: Final = 'job=~"$job", instance=~"$instance"'

EXPORTERS: Final = (
    Variable("datasource", "Data source"),
    Variable("job", "Job", own.BUILD_INFO.name, "job"),
    Variable("instance", "Instance", f'{own.BUILD_INFO.name}{{job=~"$job"}}', "instance"),
)
"""Which exporters; what applications publish is not narrowed by them."""

SERVICES: Final = Variable("service", "Service", _COUNT, SERVICE_NAME, everything=".*")
CLUSTER: Final = "cluster"
"""An external label: a Prometheus of one cluster has none, and then all of the variable matches."""

_OF_CLUSTER: Final = f'{CLUSTER}=~"$cluster"'
_OF_NAMESPACE: Final = f'{_OF_CLUSTER}, {SERVICE[0]}=~"$namespace"'
CLUSTERS: Final = Variable("cluster", "Cluster", _COUNT, CLUSTER, everything=".*")
NAMESPACES: Final = Variable(
    "namespace", "Namespace", selector(_COUNT, _OF_CLUSTER), SERVICE[0], everything=".*"
)
SERVICES_THERE: Final = Variable(
    "service", "Service", selector(_COUNT, _OF_NAMESPACE), SERVICE_NAME, everything=".*"
)
ONE_SERVICE: Final = Variable("service", "Service", _COUNT, SERVICE_NAME, is_many=False)
ONE_POOL: Final = Variable(
    "pool",
    "Pool",
    selector(_COUNT, f'{SERVICE_NAME}="$service"'),
    POOL_NAME,
    is_many=False,
)
PROCESSES: Final = Variable(
    "process",
    "Process",
    selector(_COUNT, f'{SERVICE_NAME}="$service", {POOL_NAME}="$pool"'),
    PROCESS,
    everything=".*",
)
ONE_SERVER: Final = Variable(
    "server", "Server", selector(own.SERVER_UP.name, _MINE), "server", is_many=False
)
SERVERS: Final = Variable("server", "Server", selector(own.SERVER_UP.name, _MINE), "server")
BOUNCERS: Final = Variable(
    "pgbouncer", "PgBouncer", selector(own.PGBOUNCER_UP.name, _MINE), "pgbouncer"
)
