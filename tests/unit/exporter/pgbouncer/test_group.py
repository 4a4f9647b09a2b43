"""The bouncers behind a name: each address is one, found, polled and dropped with DNS."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

import pytest

from poolscope_exporter import clock
from poolscope_exporter.core.correlator import Correlator
from poolscope_exporter.core.model.bouncer_traffic import BouncerTraffic, LentConnections
from poolscope_exporter.core.model.endpoints import Endpoint
from poolscope_exporter.core.model.pgbouncers import BouncerSample
from poolscope_exporter.pgbouncer import group as bouncer_group
from poolscope_exporter.pgbouncer.console import BouncerFacts
from poolscope_exporter.pgbouncer.discovery import console_at, is_name, resolve
from poolscope_exporter.pgbouncer.group import BouncerGroup
from poolscope_exporter.polling.dsn import Dsn, parse_console_dsn
from poolscope_exporter.polling.errors import Reason, ServerUnavailableError
from support.exporter.builders import a_bouncer_sample, a_checkout, a_push, holding

NAME = "bouncer.example:6432"
FAILURE = ServerUnavailableError(Reason.NAME_RESOLUTION, "bouncer.example was not resolved: no")

TRAFFIC = BouncerTraffic((LentConnections("orders", "shop", waiting=2),), ())


class Resolver:
    """A name service; `answer` is what it says of every name."""

    def __init__(self, *answer: str) -> None:
        self.answer: Sequence[str] | Exception = answer
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, host: str, port: int) -> tuple[str, ...]:
        self.asked.append((host, port))
        if isinstance(self.answer, Exception):
            raise self.answer
        return tuple(self.answer)


class FakeConsole:
    """A bouncer that answers, unless it is among the `dead`."""

    def __init__(self, dsn: Dsn, address: str, dead: set[str]) -> None:
        self.name = f"{dsn}/{address}"
        self.is_connected = self.is_ended = False
        self._is_dead = address in dead

    async def connect(self) -> None:
        if self._is_dead:
            raise ServerUnavailableError(Reason.REFUSED, "no way")
        self.is_connected = True

    async def facts(self) -> BouncerFacts:
        return BouncerFacts("PgBouncer 1.18.0", {}, False)

    async def read_traffic(self) -> BouncerTraffic:
        return TRAFFIC

    async def read_sockets(self) -> BouncerSample:
        return a_bouncer_sample(bouncer=self.name, taken_at_s=clock.monotonic())

    async def end_poll(self) -> None:
        self.is_connected = False

    async def close(self) -> None:
        self.is_connected = False
        self.is_ended = True


class Bench:
    """A group over a name service that the test changes, and the correlator that it fills."""

    def __init__(self, *addresses: str, dsns: Sequence[str] = (f"postgresql://{NAME}/",)) -> None:
        self.resolver = Resolver(*addresses)
        self.correlator = Correlator([])
        self.dead: set[str] = set()
        self.consoles: list[FakeConsole] = []
        targets = [parse_console_dsn(dsn) for dsn in dsns]
        self.group = BouncerGroup(targets, self.correlator, 300.0, self.resolver, self._console)

    def _console(self, dsn: Dsn, address: str) -> FakeConsole:
        console = FakeConsole(dsn, address, self.dead)
        self.consoles.append(console)
        return console

    def names(self) -> list[str]:
        now_s = clock.monotonic()
        views = self.correlator.situation(now_s, [], self.group.views(now_s)).bouncers
        return [view.bouncer for view in views]

    def up(self) -> dict[str, bool]:
        return {view.bouncer: view.up for view in self.group.views(clock.monotonic())}

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        stop = asyncio.Event()
        task = asyncio.create_task(self.group.run(stop))
        async with asyncio.timeout(60):
            yield
            stop.set()
            await task


async def until_up(bench: Bench, count: int) -> None:
    while sum(bench.up().values()) < count:  # noqa: ASYNC110 - each turn lets the polls go on
        await asyncio.sleep(0)


async def test_each_address_of_a_name_is_a_bouncer_with_a_state_of_its_own() -> None:
    bench = Bench("10.0.0.2", "10.0.0.3", "10.0.0.4")
    bench.dead.add("10.0.0.3")
    async with bench.running():
        await until_up(bench, 2)
    assert bench.resolver.asked == [("bouncer.example", 6432)]
    assert bench.up() == {
        f"{NAME}/10.0.0.2": True,
        f"{NAME}/10.0.0.3": False,
        f"{NAME}/10.0.0.4": True,
    }
    assert bench.names() == list(bench.up())
    assert [console.is_connected for console in bench.consoles] == [False] * 3


async def test_a_name_is_resolved_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bouncer_group, "RESOLVE_S", 0.001)
    bench = Bench("10.0.0.2")
    async with bench.running():
        await until_up(bench, 1)
        bench.resolver.answer = ("10.0.0.2", "10.0.0.9")
        await until_up(bench, 2)
    assert len(bench.consoles) == 2


async def test_an_address_that_is_gone_from_dns_twice_is_dropped() -> None:
    bench = Bench("10.0.0.2", "10.0.0.3")
    await bench.group.expand()
    bench.resolver.answer = ("10.0.0.3",)
    await bench.group.expand()
    assert len(bench.names()) == 2

    await bench.group.expand()
    assert bench.names() == [f"{NAME}/10.0.0.3"]
    assert [report.server for report in bench.group.reports(0.0, 0.0)] == bench.names()


async def test_an_address_that_lacks_once_is_not_dropped() -> None:
    bench = Bench("10.0.0.2", "10.0.0.3")
    for answer in (["10.0.0.2", "10.0.0.3"], ["10.0.0.3"]) * 3:
        bench.resolver.answer = answer
        await bench.group.expand()
    assert len(bench.names()) == 2
    assert len(bench.consoles) == 2


async def test_the_loop_of_a_dropped_bouncer_ends_and_closes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bouncer_group, "RESOLVE_S", 0.001)
    bench = Bench("10.0.0.2", "10.0.0.3")
    async with bench.running():
        await until_up(bench, 2)
        bench.resolver.answer = ("10.0.0.3",)
        while not bench.consoles[0].is_ended:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0)
        assert not bench.consoles[1].is_ended
    assert bench.names() == [f"{NAME}/10.0.0.3"]


async def test_a_resolver_that_fails_changes_nothing_and_is_counted() -> None:
    bench = Bench("10.0.0.2")
    await bench.group.expand()
    bench.resolver.answer = FAILURE
    for _ in range(5):
        await bench.group.expand()
    assert bench.names() == [f"{NAME}/10.0.0.2"]
    assert list(bench.group.resolutions()) == [(NAME, "ok", 1), (NAME, "failed", 5)]


@pytest.mark.parametrize(
    ("answer", "reason"), [(FAILURE, "bouncer.example was not resolved"), ((), "has no address")]
)
async def test_a_name_without_addresses_is_down_with_the_reason(
    answer: Sequence[str] | Exception, reason: str
) -> None:
    bench = Bench()
    bench.resolver.answer = answer
    await bench.group.expand()
    [view] = bench.group.views(clock.monotonic())
    assert (view.bouncer, view.up) == (NAME, False)
    assert view.reason is not None
    assert view.reason.startswith("name_resolution: ")
    assert reason in view.reason
    assert bench.names() == [NAME]


async def test_a_checkout_through_a_name_that_is_not_resolved_has_its_pooler_down() -> None:
    bench = Bench()
    peer = Endpoint("bouncer.example", 6432)
    bench.correlator.take_push(a_push(held=(holding(a_checkout(peer=peer)),)), clock.monotonic())
    [judgement] = bench.correlator.situation(clock.monotonic(), [], []).judgements
    assert judgement.reason == "pooler_down"


async def test_two_names_of_one_bouncer_poll_it_once() -> None:
    bench = Bench("10.0.0.2", dsns=["host=one.example", "host=two.example", "host=10.0.0.9"])
    await bench.group.expand()
    assert [console.name for console in bench.consoles] == ["one.example:5432/10.0.0.2"]


@pytest.mark.parametrize(
    ("dsn", "expected"),
    [
        ("host=bouncer.example", True),
        ("host=localhost", True),
        ("host=10.0.0.2", False),
        ("postgresql://[::1]:6432/pgbouncer", False),
        ("host=fe80::1%eth0", False),
        ("host=/run/pgbouncer", False),
        ("host=bouncer.example hostaddr=10.0.0.2", False),
    ],
)
def test_names_are_what_has_to_be_resolved(dsn: str, expected: bool) -> None:
    assert is_name(parse_console_dsn(dsn)) is expected


def test_console_at_an_address_keeps_the_name_and_hides_the_password() -> None:
    dsn = parse_console_dsn("postgresql://u:s3cr3t@bouncer.example:6432/pgbouncer?sslmode=require")
    console = console_at(dsn, "10.0.0.2")
    assert console.name == f"{NAME}/10.0.0.2"
    assert "hostaddr=10.0.0.2" in console._dsn.reveal()
    assert "host=bouncer.example" in console._dsn.reveal()
    assert "s3cr3t" not in repr(console._dsn)


async def test_localhost_is_resolved_to_one_family() -> None:
    assert await resolve("localhost", 6432) in {("127.0.0.1",), ("::1",)}


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b", "x" * 70])
async def test_name_that_is_none_says_so(host: str) -> None:
    with pytest.raises(ServerUnavailableError, match="was not resolved") as info:
        await resolve(host, 6432)
    assert info.value.reason is Reason.NAME_RESOLUTION


async def test_a_console_over_a_unix_socket_is_that_of_the_port_on_this_machine() -> None:
    group = BouncerGroup([parse_console_dsn("host=/run/one port=6432")], Correlator([]), 300.0)
    [poller] = group.pollers
    ends = poller._console.known_addresses()  # type: ignore[attr-defined]
    assert ends == {Endpoint("/run/one", 6432), Endpoint("localhost", 6432)}
