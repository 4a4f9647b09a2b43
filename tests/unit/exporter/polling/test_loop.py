"""When a server is polled: in simulated time, from one poll to the next."""

import asyncio
import logging
from collections.abc import Sequence
from itertools import pairwise

import pytest

from poolscope_exporter.polling.errors import Reason, ServerUnavailableError
from poolscope_exporter.polling.loop import Pace, PollLoop
from poolscope_exporter.polling.record import PollRecord
from support.exporter.simulated_time import SimulatedTime

DOWN = ServerUnavailableError(Reason.REFUSED, "no way")
LATE = ServerUnavailableError(Reason.TIMEOUT, "no answer within 3 s")
ENDLESS = 1000
"""No test polls so often: a loop that does not wait is a failure, not a test without an end."""


class FakeServer:
    """What is polled, and its connection: each poll meets the next of the `outcomes`."""

    name = "main"
    is_connected = True

    def __init__(self, time: SimulatedTime, outcomes: Sequence[Exception | None] = ()) -> None:
        self.polled_at_s: list[float] = []
        self.took_s = 0.0
        self.events: list[str] = []
        self._time = time
        self._outcomes = iter(outcomes)

    @property
    def log_name(self) -> str:
        return self.name

    async def poll(self, now_s: float) -> None:
        self.polled_at_s.append(now_s)
        if len(self.polled_at_s) > ENDLESS:
            pytest.fail("polls without a pause")
        await self._time.wait(self.took_s)
        if outcome := next(self._outcomes, None):
            raise outcome

    def on_failure(self) -> None:
        self.events.append("failed")

    def log_answer(self) -> None:
        self.events.append("answers")

    def log_failure(self, trouble: str) -> None:
        self.events.append(trouble)

    async def connect(self) -> None:
        raise AssertionError("the poll connects, not its loop")

    async def end_poll(self) -> None:
        self.events.append("end of poll")

    async def close(self) -> None:
        self.events.append("closed")


class Bench:
    """A loop around a server in simulated time."""

    def __init__(self, outcomes: Sequence[Exception | None] = (), **pace: float) -> None:
        self.time = SimulatedTime()
        self.server = FakeServer(self.time, outcomes)
        self.record = PollRecord("main")
        self.loop = PollLoop(
            self.server,
            self.server,
            self.record,
            Pace(**({"interval_s": 5.0} | pace)),
            monotonic=self.time.monotonic,
            wait=self.time.wait,
        )

    async def run(self, until_s: float) -> list[float]:
        """Run the loop so long; return when it polled."""
        stop = asyncio.Event()
        self.time.at(until_s, stop.set)
        await self.loop.run(stop)
        return self.server.polled_at_s

    def logged(self) -> list[str]:
        return [each for each in self.server.events if each not in {"failed", "end of poll"}]


def gaps(times: Sequence[float]) -> list[float]:
    return [later - earlier for earlier, later in pairwise(times)]


async def test_server_is_polled_at_once_and_then_at_its_interval() -> None:
    assert await Bench().run(until_s=16.0) == [0.0, 5.0, 10.0, 15.0]


async def test_interval_begins_when_a_poll_has_ended() -> None:
    bench = Bench()
    bench.server.took_s = 2.0

    assert await bench.run(until_s=15.0) == [0.0, 7.0, 14.0]
    assert bench.record.report(15.0, 15.0).duration_s == 2.0


async def test_loop_that_is_woken_polls_at_once_and_waits_its_interval_again() -> None:
    bench = Bench()
    bench.time.at(7.0, bench.loop.wake)

    assert await bench.run(until_s=13.0) == [0.0, 5.0, 7.0, 12.0]


async def test_wake_during_a_poll_is_another_poll_after_it() -> None:
    bench = Bench()
    bench.server.took_s = 2.0
    bench.time.at(8.0, bench.loop.wake)

    assert await bench.run(until_s=12.0) == [0.0, 7.0, 9.0]


async def test_two_polls_lie_apart_however_often_the_loop_is_woken() -> None:
    bench = Bench(shortest_gap_s=0.25)
    for at_s in (5.1, 5.2, 5.3):
        bench.time.at(at_s, bench.loop.wake)

    assert await bench.run(until_s=6.0) == [0.0, 5.0, 5.25, 5.5]


async def test_gap_longer_than_the_interval_is_the_time_between_two_polls() -> None:
    assert await Bench(interval_s=0.25, shortest_gap_s=0.5).run(until_s=1.2) == [0.0, 0.5, 1.0]


async def test_loop_itself_closes_the_connection_only_when_it_ends() -> None:
    bench = Bench()

    await bench.run(until_s=16.0)

    assert bench.server.events.count("closed") == 1  # at the end


@pytest.mark.parametrize("outcomes", [[None], [DOWN]], ids=["good poll", "failed poll"])
@pytest.mark.parametrize("until_s", [0.1, 0.25, 0.5])
async def test_stop_ends_each_kind_of_wait_and_closes_the_connection(
    outcomes: Sequence[Exception | None], until_s: float
) -> None:
    bench = Bench(outcomes, interval_s=300.0, shortest_gap_s=0.25)

    assert await bench.run(until_s) == [0.0]
    assert bench.time.now_s == until_s
    assert bench.server.events[-1] == "closed"


async def test_loop_that_is_stopped_before_it_runs_asks_nothing() -> None:
    bench = Bench()
    stop = asyncio.Event()
    stop.set()

    await bench.loop.run(stop)

    assert (bench.server.polled_at_s, bench.server.events) == ([], ["closed"])


async def test_pauses_grow_while_polls_fail_and_are_short_again_after_a_good_one() -> None:
    bench = Bench([*[DOWN] * 6, None, DOWN], interval_s=5.0)

    polled_at_s = await bench.run(until_s=100.0)

    for gap_s, plain_s in zip(gaps(polled_at_s), [1, 2, 4, 8, 10, 10], strict=False):
        assert 0.75 * plain_s <= gap_s <= 1.25 * plain_s
    assert gaps(polled_at_s)[6] == pytest.approx(5.0)
    assert 0.75 <= gaps(polled_at_s)[7] <= 1.25


@pytest.mark.parametrize(
    ("interval_s", "longest_s"), [(0.2, 1.0), (0.5, 1.0), (5.0, 10.0), (15.0, 30.0), (300.0, 30.0)]
)
def test_longest_pause_is_two_intervals_within_its_bounds(
    interval_s: float, longest_s: float
) -> None:
    assert Pace(interval_s).backoff().longest_s == longest_s


async def test_failing_server_is_not_polled_earlier_when_the_loop_is_woken() -> None:
    bench = Bench([DOWN, DOWN])
    bench.time.at(0.1, bench.loop.wake)

    assert (await bench.run(until_s=1.4))[1] >= 0.75


async def test_each_change_is_logged_once() -> None:
    bench = Bench([None, None, DOWN, DOWN, LATE, None])
    for _ in range(6):
        await bench.loop.poll_once()

    assert bench.logged() == [
        "answers",
        "refused: no way",
        "timeout: no answer within 3 s",
        "answers",
    ]


async def test_each_failure_is_counted_and_passed_on_before_it_is_logged() -> None:
    bench = Bench([DOWN, DOWN])
    await bench.loop.poll_once()
    await bench.loop.poll_once()

    assert bench.server.events == [
        "end of poll",
        "failed",
        "refused: no way",
        "end of poll",
        "failed",
    ]
    assert bench.record.report(0.0, 0.0).failures["refused"] == 2


async def test_an_error_of_ours_does_not_end_the_loop(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench([ZeroDivisionError(), None])

    polled_at_s = await bench.run(until_s=2.0)

    assert len(polled_at_s) == 2
    [logged] = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert logged.getMessage() == "poll of main failed with an internal error; please report it"
    assert bench.logged() == ["other: internal error, see the log", "answers", "closed"]


async def test_each_poll_ends_for_the_connection_whether_it_is_good_or_not() -> None:
    bench = Bench([None, DOWN, ZeroDivisionError()])
    for _ in range(3):
        await bench.loop.poll_once()

    assert bench.server.events.count("end of poll") == 3


async def test_connection_that_cannot_be_ended_is_a_failed_poll() -> None:
    bench = Bench()

    async def fail() -> None:
        raise DOWN

    bench.server.end_poll = fail  # type: ignore[method-assign]
    await bench.loop.poll_once()

    assert bench.record.reason is Reason.REFUSED


async def test_whoever_wakes_the_loop_may_wait_for_the_end_of_the_poll() -> None:
    bench = Bench(interval_s=300.0)
    loop = PollLoop(bench.server, bench.server, bench.record, Pace(300.0))
    stop = asyncio.Event()
    running = asyncio.create_task(loop.run(stop))

    async with asyncio.timeout(5):
        await loop.wake_and_wait(300.0)
        await loop.wake_and_wait(300.0)
        assert len(bench.server.polled_at_s) == 2
        stop.set()
        await running


async def test_wait_for_a_poll_that_hangs_ends_with_its_time() -> None:
    bench = Bench()

    await bench.loop.wake_and_wait(0.5)

    assert bench.time.now_s == 0.5
