"""Link rows of tables to the dashboard on their service, pool or server."""

from typing import Final

from poolscope_dashboards.kit.variable import POOL_NAME, PROCESS, SERVICE_NAME

_KEEPING_TIME: Final = "&var-datasource=${datasource}&${__url_time_range}"

TO_SERVICE: Final = (
    f"/d/poolscope-overview?var-service=${{__data.fields.{SERVICE_NAME}}}{_KEEPING_TIME}"
)
TO_POOL: Final = (
    f"/d/poolscope-pool?var-service=${{__data.fields.{SERVICE_NAME}}}"
    f"&var-pool=${{__data.fields.{POOL_NAME}}}{_KEEPING_TIME}"
)
TO_PROCESS: Final = (
    f"/d/poolscope-pool?var-process=${{__data.fields.{PROCESS}}}"
    f"&var-service=${{service}}&var-pool=${{pool}}{_KEEPING_TIME}"
)
TO_SERVER: Final = f"/d/poolscope-server?var-server=${{__data.fields.server}}{_KEEPING_TIME}"
