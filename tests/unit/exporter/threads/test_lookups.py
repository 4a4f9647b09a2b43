"""A name server that does not answer costs one thread for each name, however often it is asked."""

import asyncio
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from poolscope_exporter.threads import lookups
from poolscope_exporter.threads.lookups import run_with_lookups

ANSWER = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 5432))]


class NameServer:
    """Answers what is not an address when it is told to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.may_answer = threading.Event()
        self._ask = socket.getaddrinfo

    def getaddrinfo(self, host: str, *others: Any) -> Any:
        if others[-1] & socket.AI_NUMERICHOST:
            return self._ask(host, *others)
        self.asked.append(host)
        assert self.may_answer.wait(60)
        if host.startswith("no-"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return ANSWER


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> NameServer:
    server = NameServer()
    monkeypatch.setattr(socket, "getaddrinfo", server.getaddrinfo)
    return server


def look_up(host: str) -> asyncio.Task[Any]:
    loop = asyncio.get_running_loop()
    return asyncio.create_task(loop.getaddrinfo(host, 5432))


def run(main: Callable[[], Any]) -> Any:
    return run_with_lookups(main())


def test_those_who_ask_for_one_name_share_one_look_up(names: NameServer) -> None:
    async def main() -> None:
        tasks = [look_up("db.example") for _ in range(5)]
        await asyncio.sleep(0)
        names.may_answer.set()
        assert await asyncio.gather(*tasks) == [ANSWER] * 5

    run(main)
    assert names.asked == ["db.example"]


def test_who_gives_up_leaves_the_look_up_to_the_next(names: NameServer) -> None:
    async def main() -> None:
        for _ in range(3):
            task = look_up("db.example")
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        again = look_up("db.example")
        await asyncio.sleep(0)
        names.may_answer.set()
        assert await again == ANSWER

    run(main)
    assert names.asked == ["db.example"]


def test_an_answer_is_not_kept(names: NameServer) -> None:
    async def main() -> None:
        names.may_answer.set()
        assert [await look_up("db.example") for _ in range(2)] == [ANSWER] * 2

    run(main)
    assert len(names.asked) == 2


def test_an_address_is_no_question(names: NameServer) -> None:
    async def main() -> Any:
        return await look_up("127.0.0.1")

    assert run(main)[0][4] == ("127.0.0.1", 5432)
    assert names.asked == []


def test_a_name_that_is_none_fails_for_each_who_asks(names: NameServer) -> None:
    async def main() -> list[Any]:
        tasks = [look_up("no-such.example") for _ in range(2)]
        await asyncio.sleep(0)
        names.may_answer.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    assert {type(error) for error in run(main)} == {socket.gaierror}


def test_a_name_that_hangs_delays_no_other(
    names: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def getaddrinfo(host: str, *others: Any) -> Any:
        is_name = not others[-1] & socket.AI_NUMERICHOST
        return ANSWER if is_name and host == "db.example" else names.getaddrinfo(host, *others)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    async def main() -> Any:
        for number in range(20):
            look_up(f"silent-{number}.example")
        await asyncio.sleep(0)
        async with asyncio.timeout(10):
            return await look_up("db.example")

    assert run(main) == ANSWER
    names.may_answer.set()


def test_the_end_waits_for_no_look_up(names: NameServer) -> None:
    async def main() -> None:
        look_up("db.example")
        await asyncio.sleep(0)

    run(main)
    assert not names.may_answer.is_set()
    names.may_answer.set()


def test_more_names_than_there_may_be_fail_at_once(
    names: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookups, "MAX_LOOKUPS", 2)

    async def main() -> list[Any]:
        tasks = [look_up(f"{n}.example") for n in range(3)]
        await asyncio.sleep(0)
        names.may_answer.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    found = run(main)
    assert found[:2] == [ANSWER] * 2
    assert "too many names" in str(found[2])
