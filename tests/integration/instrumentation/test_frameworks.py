"""Each framework with the real library: a leak has its unit of work, and evidence."""

import json
from typing import Final, NamedTuple

import pytest

from support.frameworks.environment import run_with_framework
from support.frameworks.runs import RUNS


class Row(NamedTuple):
    """What poolscope finds of the code that took a connection and did not return it."""

    kind: str
    name: str | None
    evidence: str


def a_request(route: str | None) -> Row:
    return Row("request", route, "request_finished")


def a_job(name: str) -> Row:
    return Row("job", name, "job_finished")


TABLE: Final = {
    "aiohttp": a_request("/orders/{order_id}"),
    "apscheduler": a_job("support.frameworks.leaking:leak"),
    "arq": a_job("arq.<locals>.import_orders"),
    "celery": a_job("shop.import_orders"),
    "django_asgi": a_request("/orders/<int:order_id>"),
    "django_command": Row("command", "manage.py import_orders", "job_finished"),
    "django_wsgi": a_request("/orders/<int:order_id>"),
    "dramatiq": a_job("import_orders"),
    "flask": a_request("/orders/<int:order_id>"),
    "litestar": a_request("/orders/{order_id}"),
    "quart": a_request("/orders/<int:order_id>"),
    "rq": a_job("support.frameworks.leaking.leak"),
    "sanic": a_request("/orders/<order_id:int>"),
    "werkzeug": a_request(None),  # by the middleware: an application of one function has no route
}


def test_every_framework_that_can_run_has_a_row() -> None:
    assert TABLE.keys() == RUNS.keys()


@pytest.mark.parametrize("name", TABLE)
def test_a_leak_has_its_unit_of_work_and_its_evidence(name: str) -> None:
    assert Row(**json.loads(run_with_framework(name))) == TABLE[name]
