"""A poller on a real server and an application that holds one connection of it, watched closely."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from types import TracebackType
from typing import Self

from poolscope_exporter import clock
from poolscope_exporter.core.correlator import Correlator
from poolscope_exporter.core.judging.situation import Situation
from poolscope_exporter.core.judging.views import ServerView
from poolscope_exporter.core.model.checkouts import Checkout
from poolscope_exporter.core.model.endpoints import Endpoint
from poolscope_exporter.polling.dsn import parse_dsn
from poolscope_exporter.polling.record import PollReport
from poolscope_exporter.postgres.factory import poller_of
from poolscope_exporter.settings.servers import ServerTarget
from poolscope_exporter.web.rows import link_text
from support.exporter.builders import a_checkout, a_pool, a_push, holding, pool_points
from support.exporter.held_pushes import AnyConnection, own_end

POLL_INTERVAL_S = 0.25
PUSH_INTERVAL_S = 0.2
LOOK_INTERVAL_S = 0.02


def a_target(dsn: str, **described: object) -> ServerTarget:
    given = {"name": "main", "dsn": parse_dsn(dsn), "poll_interval_s": POLL_INTERVAL_S}
    return ServerTarget(**{**given, **described})  # type: ignore[arg-type]  # the keywords vary


@dataclass(frozen=True, slots=True)
class Shown:
    """What the exporter shows at one moment."""

    at_s: float
    view: ServerView
    verdict: str | None
    reason: str | None
    link: str | None
    diagnosis: str | None

    @property
    def judged(self) -> str:
        """Return the verdict and why, in the words of the table."""
        return f"{self.verdict}" + (f" ({self.reason})" if self.reason else "")


class Watch:
    """Runs a poller while an application pushes; keeps all that was shown, every 20 ms.

    `held` is the connection that the application holds, `port` where it thinks it leads to.
    """

    def __init__(
        self, target: ServerTarget, held: AnyConnection | None = None, port: int | None = None
    ) -> None:
        self.correlator = Correlator([target.configured])
        self.poller = poller_of(target, self.correlator)
        self.shown: list[Shown] = []
        self._held = self._checkout(held, port or int(target.dsn.port)) if held else None
        self._opened_at_s = clock.monotonic()
        self._sequence = 0
        self._stop = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._running = [
            asyncio.create_task(each) for each in (self.poller.loop.run(self._stop), self._watch())
        ]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        await asyncio.gather(*self._running)

    async def until(self, is_so: Callable[[Shown], bool], within_s: float = 30.0) -> Shown:
        """Wait until what is shown is so, from now on."""
        begin = len(self.shown)
        deadline_s = clock.monotonic() + within_s
        while clock.monotonic() < deadline_s:
            for each in self.shown[begin:]:
                if is_so(each):
                    return each
            await asyncio.sleep(LOOK_INTERVAL_S)
        raise AssertionError(f"not within {within_s:g} s; shown last: {self.shown[-1:]}")

    async def polls(self, count: int) -> None:
        """Wait for so many further polls."""
        wanted = len(self.successes()) + count
        await self.until(lambda _: len(self.successes()) >= wanted)

    def successes(self) -> list[float]:
        """Return when polls succeeded, as far as they were told apart."""
        found: list[float] = []
        for each in self.shown:
            age_s = each.view.last_success_age_s
            if age_s is not None and (not found or each.at_s - age_s > found[-1] + 0.001):
                found.append(each.at_s - age_s)
        return found

    def blind_s(self) -> float:
        """Return the longest time without a poll that succeeded, from the beginning on."""
        times = [self.shown[0].at_s, *self.successes()]
        return max((b - a for a, b in pairwise(times)), default=0.0)

    def stall_s(self) -> float:
        """Return the longest time in which nothing ran here: the loop is the poller's too."""
        return max((b.at_s - a.at_s for a, b in pairwise(self.shown)), default=0.0)

    def report(self) -> PollReport:
        return self.poller.poll_report(clock.monotonic(), clock.wall_s())

    def missed(self) -> dict[str, int]:
        """Return the polls that failed, by reason."""
        return {reason: count for reason, count in self.report().failures.items() if count}

    def while_down(self) -> list[Shown]:
        """Return what was shown while the server was known to be silent."""
        down = [each for each in self.shown if not each.view.up]
        return [each for each in down if each.view.reason != "not polled yet"]

    async def _watch(self) -> None:
        pushed_at_s = float("-inf")
        while not self._stop.is_set():
            now_s = clock.monotonic()
            if self._held and now_s >= pushed_at_s + PUSH_INTERVAL_S:
                self._push(now_s)
                pushed_at_s = now_s
            self._look(now_s)
            await asyncio.sleep(LOOK_INTERVAL_S)

    def _push(self, now_s: float) -> None:
        assert self._held is not None
        self._sequence += 1
        held_s = now_s - self._opened_at_s
        checkout = replace(self._held, age_s=held_s, connection_age_s=held_s)
        push = a_push(
            *pool_points(checkout.pool, used=15),
            sequence=self._sequence,
            interval_s=PUSH_INTERVAL_S,
            held=(holding(checkout),),
        )
        self.correlator.take_push(push, now_s)

    def _look(self, now_s: float) -> None:
        view = self.poller.server_view(now_s)
        situation: Situation = self.correlator.situation(now_s, [view])
        judged = situation.judgements[0] if situation.judgements else None
        self.shown.append(
            Shown(
                now_s,
                situation.servers[0],
                judged.verdict if judged else None,
                judged.reason if judged else None,
                link_text(judged.link) if judged else None,
                situation.pools[0].diagnosis.diagnosis if situation.pools else None,
            )
        )

    def _checkout(self, held: AnyConnection, port: int) -> Checkout:
        return a_checkout(
            pool=a_pool(server_address="127.0.0.1", server_port=port),
            backend_pid=held.info.backend_pid,
            local=own_end(held),
            peer=Endpoint("127.0.0.1", port),
        )


def assert_honest(watch: Watch, detected_within_s: float) -> None:
    """Hold what was shown against the rules: nothing stale as fresh, nothing of a silent server.

    What a busy machine kept us from running for is not counted against the exporter.
    """
    detected_within_s += watch.stall_s()
    for each in watch.shown:
        view = each.view
        if not view.up:
            assert view.connections is None, each
            assert view.headroom is None, each
            assert view.limits is None, each
            assert each.link is None or each.link.startswith("unlinked:"), each
        if view.last_success_age_s is not None and view.last_success_age_s > detected_within_s:
            assert not view.up, each
