"""Evidence, rung by rung: what counts as a leak, when, and what never does."""

import asyncio
import gc
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from queue import Queue
from types import FrameType
from typing import Any
from weakref import ref

import pytest

from poolscope.catalogue import Evidence, OwnerKind, UnitKind
from poolscope.recording.callsite import Site, find_site
from poolscope.recording.leaks import (
    MAX_SERIES,
    Leak,
    LeakDetector,
    kind_of_owner,
    read_frames,
    resume_collections_in_child,
)
from poolscope.recording.pool import CollectedCheckout, OpenCheckout
from poolscope.recording.requests import Request
from poolscope.recording.tasks import ThreadOwner, this_thread

ids = count(1)
SITE = find_site(sys._getframe())


class Alive:
    """Stand for a pooled connection that still exists."""

    def __call__(self) -> object:
        return self


def out(
    *,
    request: Request | None = None,
    owner: Any = this_thread.owner,
    taken_at_s: float = 0.0,
    site: Site = SITE,
) -> OpenCheckout:
    return OpenCheckout(next(ids), taken_at_s, site, request, owner, None, Alive())


def a_request(
    route: str = "/orders", finished_at_s: float | None = None, *, long_lived: bool = False
) -> Request:
    request = Request()
    request.known_route, request.long_lived = route, long_lived
    request.finished_at_s = finished_at_s
    return request


async def a_finished_task() -> asyncio.Task[None]:
    task = asyncio.create_task(asyncio.sleep(0))
    await task
    return task


def gone_thread() -> ThreadOwner:
    """Return a thread that has ended."""
    with ThreadPoolExecutor(1) as workers:
        return workers.submit(running_thread).result()


def running_thread() -> ThreadOwner:
    return this_thread.owner


class BusyThread:
    """A thread that is in application code until it may leave."""

    def __init__(self) -> None:
        self._leave, started = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._export, args=(started,))
        self._thread.start()
        started.wait(60)

    def _export(self, started: threading.Event) -> None:
        self.owner, self.site = this_thread.owner, find_site(sys._getframe())
        started.set()
        self._leave.wait(60)

    def leave(self) -> None:
        self._leave.set()
        self._thread.join()


def scan(
    detector: LeakDetector,
    now_s: float,
    *outs: OpenCheckout,
    collected: tuple[CollectedCheckout, ...] = (),
) -> list[Leak]:
    return detector.scan(outs, collected, now_s)


@pytest.mark.parametrize(("now_s", "leaks"), [(11.99, 0), (12.0, 1), (12.01, 1)])
def test_a_checkout_that_outlives_its_request_counts_after_two_seconds(
    now_s: float, leaks: int
) -> None:
    taken, detector = (
        out(request=a_request(finished_at_s=10.0), owner=gone_thread()),
        LeakDetector(),
    )
    found = scan(detector, now_s, taken)
    assert len(found) == leaks
    assert all(leak.evidence is Evidence.REQUEST_FINISHED for leak in found)


def a_job(kind: UnitKind = UnitKind.JOB, finished_at_s: float | None = None) -> Request:
    job = a_request("nightly import", finished_at_s)
    job.kind, job.thread = kind, this_thread.owner
    return job


@pytest.mark.parametrize(("now_s", "leaks"), [(11.99, 0), (12.0, 1), (12.01, 1)])
@pytest.mark.parametrize("kind", [UnitKind.JOB, UnitKind.COMMAND])
def test_a_checkout_that_outlives_its_job_counts_after_two_seconds(
    kind: UnitKind, now_s: float, leaks: int
) -> None:
    """The thread that ran the job is alive, and in application code: this test."""
    found = scan(LeakDetector(), now_s, out(request=a_job(kind, finished_at_s=10.0)))
    assert [leak.evidence for leak in found] == [Evidence.JOB_FINISHED] * leaks
    assert [leak.route for leak in found] == ["nightly import"] * leaks


def test_a_busy_thread_of_a_server_has_left_the_request_that_it_served() -> None:
    """Under load, a thread of gunicorn has the next request at once: it is never idle."""
    request = a_request(finished_at_s=10.0)
    request.thread = this_thread.owner
    [leak] = scan(LeakDetector(), 12.0, out(request=request))
    assert leak.evidence is Evidence.REQUEST_FINISHED


def test_a_busy_thread_that_a_request_started_keeps_its_checkout() -> None:
    request, busy = a_request(finished_at_s=10.0), BusyThread()
    request.thread = this_thread.owner
    assert scan(LeakDetector(), 100.0, out(request=request, owner=busy.owner)) == []
    busy.leave()


@pytest.mark.parametrize(("kind", "leaks"), [(UnitKind.JOB, 0), (UnitKind.COMMAND, 1)])
def test_a_thread_that_ended_inside_a_command_is_judged_by_itself(
    kind: UnitKind, leaks: int
) -> None:
    """A command may be a worker that never ends; a job ends soon, and is the owner until then."""
    detector, taken = LeakDetector(), out(request=a_job(kind), owner=gone_thread())
    scan(detector, 10.0, taken)
    found = scan(detector, 40.0, taken)
    assert [leak.evidence for leak in found] == [Evidence.THREAD_FINISHED] * leaks


async def test_a_checkout_of_a_request_in_flight_never_counts() -> None:
    taken = out(request=a_request(), owner=ref(await a_finished_task()))
    assert scan(LeakDetector(), 1e6, taken) == []


async def test_work_that_a_request_started_and_that_still_runs_keeps_its_checkout() -> None:
    gate = asyncio.Event()
    task = asyncio.create_task(gate.wait())
    taken = out(request=a_request(finished_at_s=10.0), owner=ref(task))
    detector = LeakDetector()
    assert scan(detector, 1000.0, taken) == []
    gate.set()
    await task
    assert scan(detector, 1001.0, taken) == []  # first seen without an owner: the grace begins
    assert len(scan(detector, 1003.0, taken)) == 1


async def test_a_request_that_ran_in_a_task_that_lives_on_has_ended_all_the_same() -> None:
    request = a_request(finished_at_s=10.0)
    current = asyncio.current_task()
    assert current is not None
    request.task = ref(current)
    assert len(scan(LeakDetector(), 12.0, out(request=request, owner=ref(current)))) == 1


@pytest.mark.parametrize("took_it_itself", [True, False])
def test_a_worker_thread_at_work_keeps_its_checkout_also_when_a_helper_took_it(
    took_it_itself: bool,
) -> None:
    thread = BusyThread()
    request, site = a_request(finished_at_s=10.0), thread.site if took_it_itself else SITE
    taken = out(request=request, owner=thread.owner, site=site)
    assert scan(LeakDetector(), 1000.0, taken) == []
    thread.leave()
    assert len(scan(LeakDetector(), 1000.0, taken)) == 1


def test_a_worker_thread_that_has_nothing_to_do_keeps_nothing() -> None:
    with ThreadPoolExecutor(1) as workers:
        owner = workers.submit(running_thread).result()
        taken = out(request=a_request(finished_at_s=10.0), owner=owner)
        assert len(scan(LeakDetector(), 1000.0, taken)) == 1


async def test_a_task_without_a_request_counts_thirty_seconds_after_we_saw_it_gone() -> None:
    taken, detector = out(owner=ref(await a_finished_task())), LeakDetector()
    assert scan(detector, 100.0, taken) == []
    assert scan(detector, 129.9, taken) == []
    [leak] = scan(detector, 130.0, taken)
    assert leak.evidence is Evidence.TASK_FINISHED


def test_a_thread_that_is_gone_counts_thirty_seconds_after_we_saw_it_gone() -> None:
    taken, detector = out(owner=gone_thread()), LeakDetector()
    assert scan(detector, 100.0, taken) == []
    [leak] = scan(detector, 130.0, taken)
    assert leak.evidence is Evidence.THREAD_FINISHED


def test_a_worker_thread_that_went_back_to_its_pool_counts_after_thirty_seconds() -> None:
    with ThreadPoolExecutor(1) as workers:
        taken, detector = out(owner=workers.submit(running_thread).result()), LeakDetector()
        assert scan(detector, 5.0, taken) == []  # first seen without a job: the grace begins
        assert scan(detector, 34.9, taken) == []
        [leak] = scan(detector, 35.0, taken)
    assert leak.evidence is Evidence.THREAD_IDLE


@pytest.mark.parametrize(("age_s", "leaks"), [(4.9, 0), (5.0, 1), (5.1, 1)])
def test_a_worker_thread_is_looked_at_where_its_checkout_is_older_than_five_seconds(
    age_s: float, leaks: int
) -> None:
    with ThreadPoolExecutor(1) as workers:
        taken, detector = out(owner=workers.submit(running_thread).result()), LeakDetector()
        scan(detector, age_s, taken)
        assert len(scan(detector, age_s + 30.0, taken)) == leaks


def test_a_worker_thread_that_gets_a_job_in_between_is_idle_anew() -> None:
    with ThreadPoolExecutor(1) as workers:
        taken, detector = out(owner=workers.submit(running_thread).result()), LeakDetector()
        scan(detector, 100.0, taken)
        started, leave = threading.Event(), threading.Event()

        def job() -> None:
            started.set()
            leave.wait(60)

        done = workers.submit(job)
        started.wait(60)
        assert scan(detector, 131.0, taken) == []
        leave.set()
        done.result()
        workers.submit(running_thread).result()  # it is back: its stack has no job any more
        assert scan(detector, 132.0, taken) == []
        assert scan(detector, 161.9, taken) == []
        assert len(scan(detector, 162.0, taken)) == 1


def test_an_idle_worker_that_declared_its_connection_long_lived_never_counts() -> None:
    with ThreadPoolExecutor(1) as workers:
        owner, detector = workers.submit(running_thread).result(), LeakDetector()
        taken = out(request=a_request(long_lived=True), owner=owner)
        assert scan(detector, 100.0, taken) == scan(detector, 1e6, taken) == []


def test_a_thread_that_runs_an_event_loop_is_no_idle_worker() -> None:
    """A connection of the whole process may be held there: a lock of the leader, say."""
    loop, owners = asyncio.new_event_loop(), Queue[ThreadOwner]()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    loop.call_soon_threadsafe(lambda: owners.put(running_thread()))
    taken, detector = out(owner=owners.get(timeout=60)), LeakDetector()
    assert scan(detector, 100.0, taken) == scan(detector, 1e6, taken) == []
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_a_living_thread_never_counts() -> None:
    taken, detector = out(owner=this_thread.owner), LeakDetector()
    assert scan(detector, 100.0, taken) == []
    assert scan(detector, 1e6, taken) == []


def test_a_checkout_that_was_declared_long_lived_never_counts() -> None:
    taken = out(request=a_request(long_lived=True), owner=gone_thread())
    detector = LeakDetector()
    assert scan(detector, 100.0, taken) == scan(detector, 1e6, taken) == []
    assert kind_of_owner(taken.owner, taken.request) is OwnerKind.LONG_LIVED


def test_a_collected_connection_counts_at_once() -> None:
    detector = LeakDetector()
    [leak] = scan(detector, 0.0, collected=(CollectedCheckout(1, SITE, a_request("/a")),))
    assert leak.evidence is Evidence.GARBAGE_COLLECTED
    assert detector.leaked[Evidence.GARBAGE_COLLECTED, "/a", SITE.label] == 1


def test_each_checkout_counts_once_and_a_late_return_is_a_recovery() -> None:
    taken = out(request=a_request("/a", 10.0), owner=gone_thread())
    detector, key = LeakDetector(), (Evidence.REQUEST_FINISHED, "/a", SITE.label)
    assert len(scan(detector, 12.0, taken)) == 1
    assert scan(detector, 17.0, taken) == []
    assert detector.evidence_of(taken.id) is Evidence.REQUEST_FINISHED
    assert detector.recovered[key] == 0
    scan(detector, 20.0)
    assert (detector.leaked[key], detector.recovered[key]) == (1, 1)
    assert detector.evidence_of(taken.id) is None


def test_a_leak_that_is_collected_later_is_a_recovery_and_no_second_leak() -> None:
    request = a_request("/a", 10.0)
    taken, detector = out(request=request, owner=gone_thread()), LeakDetector()
    scan(detector, 12.0, taken)
    assert scan(detector, 13.0, collected=(CollectedCheckout(taken.id, SITE, request),)) == []
    assert sum(detector.leaked.values()) == sum(detector.recovered.values()) == 1


def test_routes_and_call_sites_beyond_the_cap_are_other() -> None:
    detector = LeakDetector()
    many = [CollectedCheckout(n, SITE, a_request(f"/{n}")) for n in range(MAX_SERIES + 5)]
    scan(detector, 0.0, collected=tuple(many))
    assert detector.leaked[Evidence.GARBAGE_COLLECTED, "other", "other"] == 5
    assert len(detector.leaked) == MAX_SERIES + 1


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda: out(request=a_request()), OwnerKind.REQUEST),
        (lambda: out(owner=ref(SITE)), OwnerKind.TASK),
        (lambda: out(owner=this_thread.owner), OwnerKind.THREAD),
    ],
)
def test_the_request_owns_where_there_is_one(
    make: Callable[[], OpenCheckout], kind: OwnerKind
) -> None:
    taken = make()
    assert kind_of_owner(taken.owner, taken.request) is kind


@pytest.mark.parametrize("enabled", [True, False])
def test_no_collection_runs_while_frames_of_other_threads_are_looked_at(
    monkeypatch: pytest.MonkeyPatch, enabled: bool
) -> None:
    seen: list[bool] = []

    def frames() -> dict[int, object]:
        seen.append(gc.isenabled())
        return {}

    monkeypatch.setattr(sys, "_current_frames", frames)
    gc.enable() if enabled else gc.disable()
    try:
        scan(LeakDetector(), 1000.0, out(request=a_request(finished_at_s=10.0)))
        assert (seen, gc.isenabled()) == ([False], enabled)
    finally:
        gc.enable()


async def test_threads_are_not_looked_at_where_none_holds_a_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(sys, "_current_frames")
    current = asyncio.current_task()
    assert current is not None
    assert scan(LeakDetector(), 1000.0, out(owner=ref(current))) == []


def test_a_thread_whose_ident_another_one_has_now_is_gone() -> None:
    taken, detector = out(owner=gone_thread()), LeakDetector()
    successors = [BusyThread() for _ in range(3)]  # one of them gets the ident
    assert [scan(detector, now_s, taken) for now_s in (1000.0, 1029.9)] == [[], []]
    [leak] = scan(detector, 1030.0, taken)
    assert leak.evidence is Evidence.THREAD_FINISHED
    for each in successors:
        each.leave()


def test_a_thread_that_holds_for_long_is_not_gone() -> None:
    detector, taken = LeakDetector(), out(owner=this_thread.owner)
    assert [scan(detector, now_s, taken) for now_s in (1000.0, 1001.0, 1e6)] == [[], [], []]


def test_a_child_that_is_forked_while_frames_are_read_collects_garbage() -> None:
    def resume(_: dict[int, FrameType]) -> bool:
        resume_collections_in_child()  # as the handler of a fork does in the child
        return gc.isenabled()

    assert read_frames(resume)
    assert gc.isenabled()


def test_a_child_of_a_process_that_collects_no_garbage_collects_none_either() -> None:
    gc.disable()
    resume_collections_in_child()
    is_enabled = gc.isenabled()
    gc.enable()
    assert not is_enabled
