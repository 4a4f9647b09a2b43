"""The one connection to a server: cut where an answer is late."""

import asyncio
import socket
from collections.abc import Iterator, Mapping
from typing import Any, cast

import psycopg
import pytest
from psycopg.rows import DictRow

from poolscope_exporter.polling.connection import PollConnection
from poolscope_exporter.polling.errors import Reason, ServerUnavailableError

ROWS: list[DictRow] = [{"one": 1}]
SOON_S = 0.0
"""A deadline that has passed at the event loop's next turn."""


class FakeDriver:
    """A connection whose server answers unless it is `silent`; a real socket can be cut."""

    def __init__(self) -> None:
        self._ours, self.theirs = socket.socketpair()
        self._ours.setblocking(False)
        self.is_silent = False
        self.failure: psycopg.Error | None = None
        self.closed = False
        self.asked: list[tuple[bytes, Mapping[str, Any] | None]] = []

    @property
    def info(self) -> psycopg.ConnectionInfo:
        return cast(psycopg.ConnectionInfo, "info")

    def fileno(self) -> int:
        if self.closed:
            raise psycopg.OperationalError("the connection is closed")
        return self._ours.fileno()

    async def execute(
        self, query: bytes, params: Mapping[str, Any] | None = None, *, prepare: bool | None = None
    ) -> "FakeDriver":
        self.asked.append((query, params))
        if self.failure:
            raise self.failure
        if self.is_silent:
            assert await asyncio.get_running_loop().sock_recv(self._ours, 1) == b""
            self.closed = True
            raise psycopg.OperationalError("server closed the connection unexpectedly\n\tHint")
        return self

    async def fetchall(self) -> list[DictRow]:
        return ROWS

    async def close(self) -> None:
        self.closed = True

    def end(self) -> None:
        self._ours.close()
        self.theirs.close()


class FakeOpener:
    """Opens connections to a server, or is refused."""

    def __init__(self) -> None:
        self.drivers: list[FakeDriver] = []
        self.refusal: ServerUnavailableError | None = None

    async def open(self) -> FakeDriver:
        if self.refusal:
            raise self.refusal
        self.drivers.append(FakeDriver())
        return self.drivers[-1]

    def statement_error(self, exc: psycopg.Error) -> ServerUnavailableError:
        return ServerUnavailableError(Reason.OTHER, f"as ours: {exc}")


@pytest.fixture
def opener() -> Iterator[FakeOpener]:
    """Yield an opener whose sockets are closed in the end."""
    opener = FakeOpener()
    yield opener
    for driver in opener.drivers:
        driver.end()


async def opened(opener: FakeOpener, answer_within_s: float = 300.0) -> PollConnection:
    connection = PollConnection(opener, answer_within_s)
    await connection.open_anew()
    return connection


async def test_before_it_is_opened_nothing_can_be_asked(opener: FakeOpener) -> None:
    connection = PollConnection(opener, 300.0)

    assert (connection.is_open, connection.connection_info) == (False, None)
    with pytest.raises(ServerUnavailableError, match="not connected") as info:
        await connection.fetch_rows(b"SELECT 1")
    assert info.value.reason is Reason.TERMINATED
    await connection.close()


async def test_statement_returns_its_rows_and_the_connection_stays(opener: FakeOpener) -> None:
    connection = await opened(opener)

    assert await connection.fetch_rows(b"SELECT %(n)s", {"n": 1}) == ROWS
    assert await connection.fetch_rows(b"SHOW SOCKETS") == ROWS

    [driver] = opener.drivers
    assert driver.asked == [(b"SELECT %(n)s", {"n": 1}), (b"SHOW SOCKETS", None)]
    assert connection.is_open
    assert connection.connection_info is not None


async def test_answer_that_is_late_is_a_timeout_and_cuts_the_socket(opener: FakeOpener) -> None:
    connection = await opened(opener, answer_within_s=SOON_S)
    [driver] = opener.drivers
    driver.is_silent = True

    async with asyncio.timeout(5):
        with pytest.raises(ServerUnavailableError, match="no answer within 0 s") as info:
            await connection.fetch_rows(b"SELECT 1")

    assert info.value.reason is Reason.TIMEOUT
    assert not connection.is_open
    assert driver.theirs.recv(1) == b"", "the server was not told that the connection is over"


async def test_answer_in_time_leaves_no_deadline_behind(opener: FakeOpener) -> None:
    connection = await opened(opener, answer_within_s=SOON_S)
    await connection.fetch_rows(b"SELECT 1")
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    [driver] = opener.drivers
    driver.theirs.setblocking(False)
    with pytest.raises(BlockingIOError):
        driver.theirs.recv(1)


async def test_statement_that_fails_is_an_error_of_ours_and_the_connection_stays(
    opener: FakeOpener,
) -> None:
    connection = await opened(opener)
    opener.drivers[0].failure = psycopg.errors.QueryCanceled("canceling statement")

    with pytest.raises(ServerUnavailableError, match="as ours: canceling statement"):
        await connection.fetch_rows(b"SELECT 1")

    assert connection.is_open


async def test_connection_that_is_opened_anew_closes_the_one_before(opener: FakeOpener) -> None:
    connection = await opened(opener)
    await connection.open_anew()

    assert [driver.closed for driver in opener.drivers] == [True, False]


async def test_connection_that_cannot_be_opened_is_closed(opener: FakeOpener) -> None:
    connection = await opened(opener)
    opener.refusal = ServerUnavailableError(Reason.REFUSED, "no way")

    with pytest.raises(ServerUnavailableError, match="no way"):
        await connection.open_anew()

    assert not connection.is_open
    assert opener.drivers[0].closed


async def test_connection_that_is_closed_can_be_opened_again(opener: FakeOpener) -> None:
    connection = await opened(opener)
    await connection.close()
    assert not connection.is_open

    await connection.open_anew()
    assert await connection.fetch_rows(b"SELECT 1") == ROWS
