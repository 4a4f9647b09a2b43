"""Select the pools that the overview shows: all of the chosen services."""

from typing import Final

from poolscope_dashboards.kit.selection import Selection
from poolscope_dashboards.kit.variable import POOL_NAME, SERVICE_NAME

ALL: Final = Selection(f'{SERVICE_NAME}=~"$service"')
BY_POOL: Final = f"{{{{{SERVICE_NAME}}}}} / {{{{{POOL_NAME}}}}}"
NO_POOLS: Final = "no data: no application publishes a pool (see Exporter)"
NOT_REPORTED: Final = "no data: no sender reports it (see Exporter)"
