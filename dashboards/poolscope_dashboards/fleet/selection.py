"""Select the services of the chosen clusters and namespaces."""

from typing import Final

from poolscope_alerts.promql import SERVICE
from poolscope_dashboards.kit.ranking import TOP
from poolscope_dashboards.kit.selection import Selection
from poolscope_dashboards.kit.variable import (
    CLUSTER,
    CLUSTERS,
    EXPORTERS,
    NAMESPACES,
    POOL_NAME,
    SERVICE_NAME,
    SERVICES_THERE,
)

NAMESPACE: Final = SERVICE[0]
OF_CLUSTER: Final = f'{CLUSTER}=~"$cluster"'
FLEET: Final = Selection(f'{OF_CLUSTER}, {NAMESPACE}=~"$namespace", {SERVICE_NAME}=~"$service"')
VARIABLES: Final = (*EXPORTERS, CLUSTERS, NAMESPACES, SERVICES_THERE)

BY_SERVICE: Final = f"{{{{{NAMESPACE}}}}} {{{{{SERVICE_NAME}}}}}"
BY_POOL: Final = f"{BY_SERVICE} / {{{{{POOL_NAME}}}}}"

NO_SERVICE: Final = "no data: no application publishes a pool (see Exporter)"
NO_VERDICT: Final = "no data: no exporter judges a pool (see Exporter)"
NO_TRAFFIC: Final = "no data: no checkout was requested, or the senders do not report it"
NOT_REPORTED: Final = "no data: no sender reports it"
NO_FAILURES: Final = "no data: no sender reports failures"
TOP_SERVICES: Final = f"The {TOP} services with the highest values."
