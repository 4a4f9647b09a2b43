"""Read the answers that `top` shows from a running exporter."""

import json
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError

from poolscope_exporter.commands import audit, profile
from poolscope_exporter.commands.audit import Question, fetch_by, open_client
from poolscope_exporter.core.judging.overview.service_pools import ServicePoolState
from poolscope_exporter.terminal.blocking_tree import blocking_lines
from poolscope_exporter.terminal.pool_lines import PoolChoice, pool_states
from poolscope_exporter.terminal.reported import ReportedCheckout, ReportedPool
from poolscope_exporter.terminal.source import ReadFailure
from poolscope_exporter.terminal.states import PoolsReading, pools_reading
from poolscope_exporter.threads.daemon_threads import DaemonThreads
from poolscope_exporter.web.lock_answers import BlockerRow

CHECKOUTS: Final = "/api/v1/checkouts"
BLOCKERS: Final = "/api/v1/blockers"
INCIDENTS: Final = "/api/v1/incidents"

_OTHERS: Final = (BLOCKERS, profile.PATH, INCIDENTS)
"""The further answers of `--json`; an older exporter may lack one of them."""

Answer = dict[str, Any]
Conditions = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Reported:
    pools: tuple[ReportedPool, ...]
    checkouts: tuple[ReportedCheckout, ...]
    withheld: Mapping[str, int]
    taken_at: str


class _BlockersReported(BaseModel):
    blockers: list[BlockerRow]


_REPORTED = TypeAdapter(_Reported)
_PROFILE = TypeAdapter(profile.OccupancyProfile)


class ExporterSource:
    """A running exporter behind one connection, read in a thread that the program does not await.

    Every answer has only the pools that match the conditions.
    """

    def __init__(self, question: Question, conditions: Conditions) -> None:
        self._question = question
        self._conditions = conditions
        self._client = open_client(question)
        self._threads = DaemonThreads("top")

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    async def read_pools(self) -> PoolsReading | ReadFailure:
        """Return all pools and held checkouts."""
        return await self._threads.run(self.pools_now)

    async def read_blocking(self, pools: Sequence[ServicePoolState]) -> Sequence[str] | ReadFailure:
        """Return the lock queues of these pools as lines, or all queues without pools."""
        return await self._threads.run(self._blocking, pools)

    async def read_occupancy(
        self, pools: Sequence[ServicePoolState]
    ) -> Sequence[str] | ReadFailure:
        """Return the occupancy profile of these pools as lines, or of all without pools."""
        return await self._threads.run(self._occupancy, pools)

    def pools_now(self) -> PoolsReading | ReadFailure:
        """Return all pools and held checkouts; wait for the answer."""
        try:
            found = self._pool_answers()
            return found if isinstance(found, ReadFailure) else _reading(found)
        except ValidationError:
            return self._stranger(audit.PATH)

    def merged_answers(self, verdict: str | None) -> Answer | ReadFailure:
        """Return all answers as one object, with the reasons for missing ones.

        With a verdict, it has the pools with this diagnosis or with such a checkout.
        """
        try:
            merged = self._pool_answers()
            if isinstance(merged, ReadFailure):
                return merged
            _keep_verdict(merged, verdict)
        except ValidationError:
            return self._stranger(audit.PATH)
        merged["missing"] = {}
        for path in _OTHERS:
            answer = self._fetch(path)
            if isinstance(answer, ReadFailure):
                merged["missing"][path] = answer.reason
            else:
                merged = answer | merged
        del merged["matching"]  # each answer has one, so it has no meaning for all of them
        return merged

    def _pool_answers(self) -> Answer | ReadFailure:
        pools = self._fetch(audit.PATH)
        if isinstance(pools, ReadFailure):
            return pools
        checkouts = self._fetch(CHECKOUTS)
        return checkouts if isinstance(checkouts, ReadFailure) else checkouts | pools

    def _blocking(self, pools: Sequence[ServicePoolState]) -> Sequence[str] | ReadFailure:
        answer = self._fetch(BLOCKERS, _names_of(pools))
        if isinstance(answer, ReadFailure):
            return answer
        try:
            found = _BlockersReported.model_validate(answer).blockers
        except ValidationError:
            return self._stranger(BLOCKERS)
        return list(blocking_lines(found))

    def _occupancy(self, pools: Sequence[ServicePoolState]) -> Sequence[str] | ReadFailure:
        answer = self._fetch(profile.PATH, _names_of(pools))
        if isinstance(answer, ReadFailure):
            return answer
        try:
            return list(profile.summary(_PROFILE.validate_python(answer)))
        except ValidationError:
            return self._stranger(profile.PATH)

    def _fetch(self, path: str, conditions: Conditions | None = None) -> Answer | ReadFailure:
        question, wanted = self._question, {**self._conditions, **(conditions or {})}
        try:
            answer = fetch_by(self._client, question, path, wanted or None)
            if isinstance(answer, str):
                return ReadFailure(answer, is_refusal=True)
            found = json.loads(answer)
        except (httpx.HTTPError, ssl.SSLError, OSError) as exc:
            return ReadFailure(f"{question.url} does not answer: {exc}")
        except ValueError:
            return self._stranger(path)
        return found if isinstance(found, dict) else self._stranger(path)

    def _stranger(self, path: str) -> ReadFailure:
        reason = f"{self._question.url}{path} is not the API of a poolscope-exporter: check --url"
        return ReadFailure(reason, is_refusal=True)


def _reading(answer: Answer) -> PoolsReading:
    found = _REPORTED.validate_python(answer)
    withheld = sum(found.withheld.values())
    return pools_reading(found.pools, found.checkouts, found.taken_at, withheld)


def _names_of(pools: Sequence[ServicePoolState]) -> Conditions:
    """Return the conditions of a query for these pools, which are of one service."""
    if not pools:
        return {}
    service = {"service": pools[0].name.service}
    return {**service, "pool": pools[0].name.pool} if len(pools) == 1 else service


def _keep_verdict(answer: Answer, verdict: str | None) -> None:
    """Keep the rows of the pools with this diagnosis, or with such a checkout."""
    if verdict is None:
        return
    states = pool_states(_reading(answer), PoolChoice(verdict=verdict))
    names = {each.name for each in states}
    for rows in ("pools", "checkouts"):
        answer[rows] = [
            row
            for row in answer[rows]
            if (row.get("service_namespace", ""), row["service"], row["pool"]) in names
        ]
