"""Select the one pool that the dashboard on a pool is about."""

from poolscope_dashboards.kit.selection import Selection
from poolscope_dashboards.kit.variable import POOL_NAME, PROCESS, SERVICE_NAME

_SERVICE = f'{SERVICE_NAME}="$service"'
_POOL = f'{POOL_NAME}="$pool"'

THIS = Selection(_SERVICE, _POOL, f'{PROCESS}=~"$process"')

IN_ALERTS = f'{_SERVICE}, {_POOL}, {PROCESS}=~"$process|"'
"""An alert on a service's pool names no process."""

BY_PROCESS = f"{{{{{PROCESS}}}}}"
NO_POOL = "no data: no application publishes this pool"
NO_VERDICT = "no data: no exporter judges this pool"
NO_TRAFFIC = "no data: nobody asked for a connection"
