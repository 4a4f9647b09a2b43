"""The example of the end-to-end test differs from the shipped one in times and addresses alone."""

import re

from poolscope_alerts.__main__ import FOLDER
from support.prometheus.paced_alertmanager import INTERVAL, RECEIVERS, intervals, paced

EXAMPLE = FOLDER / "alertmanager.yaml"
WEBHOOK = "http://127.0.0.1:1"


def without_intervals(text: str) -> str:
    return INTERVAL.sub(lambda found: found["key"], text)


def test_routes_receivers_and_inhibition_stay() -> None:
    shipped = EXAMPLE.read_text(encoding="utf-8")
    faster = without_intervals(paced(EXAMPLE, 30, WEBHOOK))
    assert faster == without_intervals(shipped).replace(RECEIVERS, WEBHOOK)


def test_every_interval_is_divided() -> None:
    shipped = EXAMPLE.read_text(encoding="utf-8")
    assert (
        len(list(intervals(shipped))) == len(re.findall(r"(?:group|repeat)_\w+: \d", shipped)) > 0
    )
    assert list(intervals(paced(EXAMPLE, 30, WEBHOOK)))[:3] == ["1000ms", "10000ms", "480000ms"]
