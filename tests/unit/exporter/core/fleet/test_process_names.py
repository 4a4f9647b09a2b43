"""A process is named by its pod or host and its PID; its id is the last resort."""

import pytest

from poolscope_exporter.core.fleet.process_names import process_names
from support.exporter.builders import an_instance
from support.exporter.processes import an_instance_state


@pytest.mark.parametrize(
    ("resource", "name"),
    [
        ({"host.name": "node-1", "process.pid": "17"}, "node-1:17"),
        ({"host.name": "n", "k8s.pod.name": "shop-abc", "process.pid": "1"}, "shop-abc:1"),
        ({"k8s.pod.name": "shop-abc", "process.pid": "1"}, "shop-abc:1"),
        ({"host.name": "node-1"}, "node-1"),
        ({"process.pid": "17"}, "shop-1"),
        ({"host.name": "", "process.pid": "17"}, "shop-1"),
        ({}, "shop-1"),
    ],
)
def test_the_name_has_the_pod_or_else_the_host_and_the_pid(
    resource: dict[str, str], name: str
) -> None:
    assert process_names([an_instance_state(resource)]) == {an_instance(): name}


def test_workers_of_one_pod_have_different_names() -> None:
    pod = {"k8s.pod.name": "shop-abc"}
    states = [
        an_instance_state({**pod, "process.pid": pid}, an_instance(f"shop-{pid}"))
        for pid in ("7", "8")
    ]
    assert sorted(process_names(states).values()) == ["shop-abc:7", "shop-abc:8"]
