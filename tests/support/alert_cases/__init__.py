"""A history for each alert: what makes it fire, and what lies just below."""

from support.alert_cases.case import AlertCase
from support.alert_cases.of_pools import POOL_CASES
from support.alert_cases.of_servers import SERVER_CASES
from support.alert_cases.of_sight import SIGHT_CASES

CASES: tuple[AlertCase, ...] = (*POOL_CASES, *SERVER_CASES, *SIGHT_CASES)
