"""The story of one application: the same calls bare and instrumented, calm, and four incidents."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from adoption.ground import Ground
from adoption.lookout import AdoptionLooks, Sight
from adoption.pace import Pace
from adoption.processes import AppProcesses
from adoption.server_faults import locked, made_slow
from adoption.table import App, Call
from incidents.services import Traffic
from poolscope_generators.adoption.record import AppRecord, Count, Phase, PhaseRecord, Shown

SAME_CALLS = 60
CALLS_PER_S = 2.0
LEAKS = 2
SETTLES_S = 13.0
"""Two pushes and a look: after that, a count is in the exporter."""
GOOD_BYE_S = 7.0
AFTER_ANOTHER = frozenset({Phase.EXHAUSTION, Phase.RESTART})
"""Phases that follow an incident of the same processes, which must leave every window first."""

COUNTED = frozenset({Phase.CALM, Phase.LEAK, Phase.RESTART})
"""Before the first incident, before the processes are replaced, and at the end."""

OURS = re.compile(r"poolscope|two pools had|connection leak", re.IGNORECASE)
RECOVERS_WITHIN_S = 180
GONE_S = 20.0
"""An alert that no look has shown for that long has ended: a busy machine skips some looks."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What all stories share."""

    ground: Ground
    looks: AdoptionLooks
    pace: Pace
    environments: Path
    client: httpx.AsyncClient
    report: Callable[[str], None]


class Story:
    """Plays one application from the first bare call to the last count."""

    def __init__(self, app: App, stage: Stage) -> None:
        self._app = app
        self._looks = stage.looks
        self._pace = stage.pace
        self._client = stage.client
        self._report = stage.report
        ground = stage.ground
        self._has_alerts = ground.has_alerts
        self._server = ground.servers[app.name]
        self._bare, self._watched = (
            AppProcesses(
                app, self._server, stage.environments, ground.folder / name, otlp,
                f"{ground.broker}/{database}",
            )
            for database, name, otlp in (
                (0, f"{app.name}-bare", None), (1, app.name, ground.exporter.otlp)
            )
        )  # fmt: skip
        self._traffic: list[Traffic] = []
        self._played: list[PhaseRecord] = []
        self._unequal: list[str] = []
        self._findings: tuple[str, ...] = ()
        self._log_lines: tuple[str, ...] = ()
        self._rows = 0
        self._still_listed: int | None = None

    async def play(self) -> None:
        """Play everything; `record` has what was played, also after an error."""
        self._unequal = await self._compare()
        await self._play_phase(Phase.CALM)
        checks = sorted(self._looks.checks[self._app.name].items())
        self._findings = tuple(f"{check_id}: {cure}" for check_id, cure in checks)
        lines = [line[:300] for line in self._watched.log.splitlines() if OURS.search(line)]
        self._log_lines = tuple(dict.fromkeys(lines))
        self._rows = len(self._looks.pools.get(self._app.name, []))
        await self._play_phase(Phase.LEAK)
        self._still_listed = await self._release()
        for phase in (Phase.LOCK, Phase.EXHAUSTION, Phase.RESTART):
            await self._play_phase(phase)

    def record(self, broke_off: str = "") -> AppRecord:
        """Return the record; `broke_off` is the error that ended the story."""
        return AppRecord(
            self._app.name, self._app.title, self._app.pool, self._app.adopted_by,
            versions=self._watched.versions(),
            equal_answers=SAME_CALLS - len(self._unequal),
            unequal_answers=tuple(self._unequal),
            phases=tuple(self._played),
            findings=self._findings,
            log_lines=self._log_lines,
            rows_on_page=self._rows,
            still_listed=self._still_listed,
            has_alerts=self._has_alerts,
            broke_off=broke_off,
        )  # fmt: skip

    async def leave(self) -> None:
        """Stop traffic and processes."""
        await self._stop_traffic()
        for processes in (self._bare, self._watched):
            await asyncio.to_thread(processes.stop)

    async def _compare(self) -> list[str]:
        """Call the bare and then the instrumented application; return what differs."""
        await asyncio.to_thread(self._bare.start)
        bare = await self._same_calls(self._bare)
        await asyncio.to_thread(self._bare.stop)
        await asyncio.to_thread(self._watched.start)
        watched = await self._same_calls(self._watched)
        return [
            f"{one[:120]} / {other[:120]}"
            for one, other in zip(bare, watched, strict=True)
            if one != other
        ]

    async def _same_calls(self, processes: AppProcesses) -> list[str]:
        answers = []
        for number in range(SAME_CALLS):
            method, path = self._app.reads[number % len(self._app.reads)]
            answer = await self._client.request(method, processes.url + path)
            body = _comparable(answer) if self._app.has_equal_answers else ""
            answers.append(f"{method} {path} {answer.status_code} {body}")
        return answers

    async def _play_phase(self, phase: Phase) -> None:
        if missing := self._app.missing.get(phase):
            self._played.append(PhaseRecord(phase, missing=missing))
            return
        self._report(f"{self._app.name}: {phase}")
        if phase in AFTER_ANOTHER and self._app.stays_stuck:
            await asyncio.to_thread(self._watched.drain)
            await asyncio.to_thread(self._watched.stop)
            await asyncio.to_thread(self._watched.start)
        self._start_reads()
        if phase in AFTER_ANOTHER:
            await asyncio.sleep(self._pace.between_s)
        began = time.monotonic()
        await self._hurt(phase, self._pace.lasting_s(phase))
        ended = time.monotonic()
        await self._stop_traffic()
        count = await self._count() if phase in COUNTED else None
        self._watched.check_running()
        played = PhaseRecord(
            phase,
            round(ended - began, 1),
            _first_of_each(self._looks.diagnoses[self._app.name], began, ended),
            _first_of_each(_new_alerts(self._looks.alerts[self._app.name], began), began, ended),
            count,
            also=self._app.also.get(phase, ()),
        )
        self._played.append(played)

    async def _hurt(self, phase: Phase, lasts_s: float) -> None:
        match phase:
            case Phase.CALM:
                await asyncio.sleep(lasts_s)
            case Phase.LEAK:
                await self._leak(lasts_s)
            case Phase.LOCK:
                async with in_a_thread(locked(self._server, self._app.table)):
                    await asyncio.sleep(lasts_s)
            case Phase.EXHAUSTION:
                await self._exhaust(lasts_s)
            case Phase.RESTART:
                await asyncio.to_thread(self._server.stop)
                await asyncio.sleep(lasts_s)
                await asyncio.to_thread(self._server.start)
                await self._until_it_answers()

    async def _leak(self, lasts_s: float) -> None:
        assert self._app.leak is not None
        for _ in range(LEAKS):
            method, path = self._app.leak
            with suppress(httpx.HTTPError):  # on a busy machine, its server may give up
                await self._client.request(method, self._watched.url + path)
        await asyncio.sleep(lasts_s)

    async def _exhaust(self, lasts_s: float) -> None:
        assert self._app.report is not None
        async with in_a_thread(made_slow(self._server, self._app.slow_table)):
            self._send(self._app.report, self._app.reports_per_s)
            await asyncio.sleep(lasts_s)
            await self._stop_traffic()

    async def _until_it_answers(self) -> None:
        deadline = time.monotonic() + RECOVERS_WITHIN_S
        method, path = self._app.reads[0]
        while time.monotonic() < deadline:
            with suppress(httpx.HTTPError):
                answer = await self._client.request(method, self._watched.url + path)
                if answer.is_success:
                    return
            await asyncio.sleep(1)
        raise TimeoutError(f"{self._app.name} does not answer after the restart")

    def _start_reads(self) -> None:
        for call in self._app.reads:
            self._send(call, CALLS_PER_S / len(self._app.reads))

    def _send(self, call: Call, per_s: float) -> None:
        method, path = call
        self._traffic.append(Traffic(self._client, method, self._watched.url + path, per_s))

    async def _stop_traffic(self) -> None:
        traffic, self._traffic = self._traffic, []
        for each in traffic:
            await each.stop()

    async def _count(self) -> Count:
        await asyncio.sleep(2)  # a last request may still take a connection
        before = self._watched.truth
        await asyncio.sleep(SETTLES_S)
        counted = self._looks.count(self._app.name)
        return Count(counted, before, self._watched.truth)

    async def _release(self) -> int:
        """Replace the processes; return how many were still listed when all had ended."""
        await asyncio.to_thread(self._watched.stop)
        await asyncio.sleep(GOOD_BYE_S)
        rows = self._looks.pools.get(self._app.name, [])
        await asyncio.to_thread(self._watched.start)
        return len({row["service_instance_id"] for row in rows})


def _comparable(answer: httpx.Response) -> str:
    """Return the body; JSON with sorted keys.

    A model of SQLModel has its fields in the order of a set of objects, so any import changes it.
    """
    if answer.headers.get("content-type", "").startswith("application/json"):
        return json.dumps(answer.json(), sort_keys=True)
    return answer.text


@asynccontextmanager
async def in_a_thread(context: AbstractContextManager[None]) -> AsyncIterator[None]:
    """Enter and leave a context in a thread: the server may let it wait, the others go on."""
    await asyncio.to_thread(context.__enter__)
    try:
        yield
    finally:
        await asyncio.to_thread(context.__exit__, None, None, None)


def _new_alerts(sights: list[Sight], began: float) -> list[Sight]:
    """Return the alerts without what fires since before the phase, until it has ended.

    Alerts keep firing for up to three minutes after an incident, and are judged in that one.
    """
    last: dict[str, float] = {}
    old: set[str] = set()
    new = []
    for sight in tuple(sights):
        is_anew = sight.at - last.get(sight.name, -GONE_S) >= GONE_S
        last[sight.name] = sight.at
        if sight.at < began:
            old.add(sight.name)
        elif sight.name not in old or is_anew:
            old.discard(sight.name)
            new.append(sight)
    return new


def _first_of_each(sights: list[Sight], began: float, ended: float) -> tuple[Shown, ...]:
    """Return the first sight of each name in a phase."""
    first: dict[str, Sight] = {}
    for sight in tuple(sights):
        if began <= sight.at <= ended:
            first.setdefault(sight.name, sight)
    return tuple(Shown(s.name, round(s.at - began, 1), s.text) for s in first.values())
