"""What the incidents share: the shipped delays, and whose a message is."""

from typing import cast

import httpx
import pytest

from incidents.ground import Ground, seconds, shipped_delays
from incidents.scene import Scene
from incidents.table import BY_NAME

NOTHING = cast("Ground", None)
NOBODY = cast("httpx.AsyncClient", None)


@pytest.mark.parametrize(
    ("duration", "expected"), [("0s", 0), ("45s", 45), ("1h30m", 5400), ("1d", 86400)]
)
def test_a_duration_of_prometheus_is_read_in_seconds(duration: str, expected: float) -> None:
    assert seconds(duration) == expected


def test_delays_are_those_of_the_shipped_files() -> None:
    delays = shipped_delays()
    assert delays.group_wait_s == {"team": 30, "pager": 10, "log": 300}
    assert delays.for_s["PoolscopePollFailing/warning"] == 120


def test_of_one_name_and_severity_the_shortest_delay_counts() -> None:
    assert shipped_delays().for_s["PoolTimeoutBudgetBurn/critical"] == 120


def a_scene() -> Scene:
    return Scene(BY_NAME["postgresql-killed"], NOTHING, NOBODY)


def test_a_message_about_a_service_is_of_its_incident() -> None:
    assert a_scene().concerns({"service_name": "postgresql-killed", "server": "main"})


def test_a_message_about_a_server_is_of_the_incident_that_owns_it() -> None:
    scene = a_scene()
    scene.names.add("killed")
    assert scene.concerns({"alertname": "DatabaseDown", "server": "killed"})
    assert not scene.concerns({"alertname": "DatabaseDown", "server": "main"})


def test_another_service_on_its_server_is_not_of_the_incident() -> None:
    scene = a_scene()
    scene.names.add("killed")
    assert not scene.concerns({"service_name": "other", "server": "killed"})
