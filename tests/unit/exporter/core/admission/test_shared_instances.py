"""Processes that push under one id are kept apart; a container that restarts is not accused."""

from dataclasses import dataclass

import pytest

from poolscope import catalogue
from poolscope.catalogue import HOST_NAME, PROCESS_PID
from poolscope_exporter.core.admission.points import Refusal
from poolscope_exporter.core.admission.shared_instances import SharedInstances
from poolscope_exporter.core.correlator import Correlator
from poolscope_exporter.core.model.checkouts import Instance
from poolscope_exporter.core.model.pushes import Push
from support.exporter.builders import a_checkout, a_point, a_push, an_instance, holding


@dataclass
class Replica:
    """A process with a fixed instance id, which holds a checkout of its own and counts."""

    host: str
    pid: str = "1"
    started_ns: int = 1_000
    pushed: int = 0

    def push(self, *, is_end: bool = False, sequence: int | None = None) -> Push:
        self.pushed = sequence or self.pushed + 1
        checkouts = a_point(value=1000.0 + self.pushed, start_ns=self.started_ns)
        return a_push(
            checkouts,
            sequence=self.pushed,
            held=(holding(a_checkout(int(self.started_ns), age_s=10.0)),),
            resource={PROCESS_PID: self.pid, HOST_NAME: self.host},
            is_end=is_end,
        )


def ids(correlator: Correlator, now_s: float) -> set[str]:
    return {each.instance.id for each in correlator.fleet.instances(now_s) if each.is_live}


def push_all(correlator: Correlator, *replicas: Replica) -> float:
    now_s = 100.0
    for now_s, replica in enumerate(replicas, 100):
        correlator.take_push(replica.push(), float(now_s))
    return float(now_s)


def test_replicas_of_one_id_both_show_their_counters_and_checkouts() -> None:
    correlator, a, b = Correlator([]), Replica("web-1"), Replica("web-2", started_ns=2_000)
    now_s = push_all(correlator, a, b, a, b, a, b)
    assert ids(correlator, now_s) == {"shop-1 (1@web-1)", "shop-1 (1@web-2)"}
    counts = {instance.id: point.value for instance, point in correlator.fleet.series(now_s)}
    assert counts == {"shop-1 (1@web-1)": 1003.0, "shop-1 (1@web-2)": 1003.0}
    held = {
        each.checkout.pool.instance.id: each.checkout.id for each in correlator.fleet.held(now_s)
    }
    assert held == {"shop-1 (1@web-1)": 1_000, "shop-1 (1@web-2)": 2_000}


def test_both_senders_are_warned_with_the_cure_and_counted() -> None:
    correlator, a, b = Correlator([]), Replica("web-1"), Replica("web-2", started_ns=2_000)
    push_all(correlator, a, b)
    results = [correlator.take_push(each.push(), 103.0) for each in (a, b)]
    for result, host in zip(results, ("web-1", "web-2"), strict=True):
        assert result.accepted
        assert result.instance == an_instance(f"shop-1 (1@{host})")
        assert result.warning is not None
        assert "Do not set service.instance.id" in result.warning
    assert correlator.fleet.refused[Refusal.SHARED_INSTANCE] == 2


def test_totals_of_a_route_are_not_counted_twice_when_an_id_turns_out_to_be_shared() -> None:
    correlator, a, b = Correlator([]), Replica("web-1"), Replica("web-2", started_ns=2_000)

    def push(replica: Replica, count: float, now_s: float) -> None:
        route = a_point(
            catalogue.ROUTE_CHECKOUTS,
            count,
            attributes={catalogue.HTTP_ROUTE: "/orders"},
            start_ns=replica.started_ns,
        )
        replica.pushed += 1
        resource = {PROCESS_PID: replica.pid, HOST_NAME: replica.host}
        correlator.take_push(a_push(route, sequence=replica.pushed, resource=resource), now_s)

    for now_s, (replica, count) in enumerate([(a, 5.0), (b, 7.0), (a, 5.0), (b, 7.0)], 100):
        push(replica, count, float(now_s))
    total = sum(each.value for each in correlator.fleet.route_totals())
    assert total <= 12.0


@pytest.mark.parametrize(
    "successors",
    [
        [Replica("web-1", started_ns=2_000)],
        [Replica("web-1", pid="7", started_ns=2_000), Replica("web-1", started_ns=3_000)],
        [Replica("web-1", started_ns=each) for each in range(2_000, 90_000, 1_000)],
    ],
    ids=["same pid", "pids of before", "restarts all day"],
)
def test_container_that_restarts_keeps_its_id(successors: list[Replica]) -> None:
    correlator = Correlator([])
    replicas = [Replica("web-1"), *(each for one in successors for each in (one, one))]
    now_s = push_all(correlator, *replicas)
    assert ids(correlator, now_s) == {"shop-1"}
    assert correlator.fleet.refused[Refusal.SHARED_INSTANCE] == 0


def test_last_push_of_a_predecessor_that_comes_late_is_no_sharing() -> None:
    correlator, a, b = Correlator([]), Replica("web-1"), Replica("web-2", started_ns=2_000)
    now_s = push_all(correlator, a, b)
    correlator.take_push(a.push(is_end=True), now_s)
    late = Replica("web-1").push(sequence=1)
    correlator.take_push(late, now_s)
    assert ids(correlator, now_s) == {"shop-1"}
    correlator.take_push(b.push(), now_s)
    assert correlator.fleet.refused[Refusal.OUT_OF_ORDER] == 2
    assert correlator.fleet.refused[Refusal.SHARED_INSTANCE] == 0


def test_two_processes_of_one_pid_and_host_are_numbered() -> None:
    correlator, a, b = Correlator([]), Replica("pod"), Replica("pod", started_ns=2_000)
    now_s = push_all(correlator, a, b, a, b, a)
    assert ids(correlator, now_s) == {"shop-1 (1@pod #1)", "shop-1 (1@pod #2)"}


def test_other_senders_are_not_watched() -> None:
    shared = SharedInstances()
    push = a_push(a_point(), sequence=None)
    assert shared.separate(push).push is push


def test_watched_ids_are_bounded_the_oldest_go_first() -> None:
    shared, a, b = SharedInstances(max_watched=2), Replica("web-1"), Replica("web-2", started_ns=2)
    for replica in (a, b):
        shared.separate(replica.push())
    for name in ("x", "y"):
        shared.separate(a_push(instance=Instance("", "shop", name)))
    assert not shared.separate(a.push()).is_news
