"""The live views of `top`, driven by keys against prepared answers."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from poolscope_exporter.core.judging.overview.service_pools import PoolName, ServicePoolState
from poolscope_exporter.terminal.live.keyed_table import KeyedTable
from poolscope_exporter.terminal.live.pool_screen import PoolScreen
from poolscope_exporter.terminal.live.pools_screen import PoolsScreen
from poolscope_exporter.terminal.live.text_screen import TextScreen
from poolscope_exporter.terminal.live.top_app import TopApp
from poolscope_exporter.terminal.reported import ReportedWaiters
from poolscope_exporter.terminal.source import ReadFailure
from poolscope_exporter.terminal.watch import PoolWatch
from support.exporter.prepared_source import PreparedSource, a_reading
from support.exporter.reported import a_reported_checkout, a_reported_pool

NEVER_S = 3600.0
"""No reading but those that a test asks for."""

LEAKING = a_reported_pool(service_instance_id="a1", process="web-1:7")
CALM = a_reported_pool(pool="cache", diagnosis="healthy", reasons=("calm",), used=1, pending=0)
HELD = a_reported_checkout(process="web-1:7")
BOTH = a_reading([CALM, LEAKING], [HELD])
GONE = ReadFailure("http://exporter does not answer: refused")

TopPilot = Pilot[Any]


@asynccontextmanager
async def a_top(source: PreparedSource) -> AsyncIterator[TopPilot]:
    app = TopApp(PoolWatch("http://exporter", NEVER_S), source)
    async with app.run_test(size=(160, 40)) as pilot:
        await settled(pilot)
        yield pilot


async def settled(pilot: TopPilot) -> None:
    for _ in range(2):  # the first reading may start a second one, of a text
        await pilot.app.workers.wait_for_complete()
        await pilot.pause()


async def press(pilot: TopPilot, *keys: str) -> None:
    await pilot.press(*keys)
    await settled(pilot)


def text_of(pilot: TopPilot, selector: str) -> str:
    return str(pilot.app.screen.query_one(selector, Static).content)


def rows_of(pilot: TopPilot, selector: str = "#pools") -> list[str]:
    """Return the text of each row of a table."""
    table = pilot.app.screen.query_one(selector, KeyedTable)
    rows = [table.get_row_at(index) for index in range(table.row_count)]
    return [" | ".join(cell.plain for cell in row) for row in rows]


async def test_the_worst_pool_comes_first_and_its_reasons_are_shown() -> None:
    async with a_top(PreparedSource(BOTH)) as pilot:
        first, second = rows_of(pilot)
        assert first.startswith("shop / orders | leaking | ? | 9 of 10 |")
        assert second.startswith("shop / cache | healthy")
        assert text_of(pilot, "#why") == "3 of 10 connections have leaked"
        assert "pools in trouble 1 of 2, waiting callers 4" in text_of(pilot, "#status")
        await press(pilot, "down")
        assert text_of(pilot, "#why") == "calm"


async def test_a_new_answer_changes_the_rows_and_the_cursor_stays_on_its_pool() -> None:
    source = PreparedSource(BOTH)
    async with a_top(source) as pilot:
        await press(pilot, "down")
        worse = a_reported_pool(pool="cache", diagnosis="shared_across_fork", reasons=("forked",))
        source.answer = a_reading([worse, LEAKING], [HELD])
        await press(pilot, "r")
        assert rows_of(pilot)[0].startswith("shop / cache | shared_across_fork")
        assert text_of(pilot, "#why") == "forked"


async def test_the_sort_key_and_a_title_choose_the_order() -> None:
    many = a_reported_pool(pool="queue", diagnosis="full", used=10, pending=9)
    async with a_top(PreparedSource(a_reading([CALM, LEAKING, many], [HELD]))) as pilot:
        await press(pilot, "s", "s")
        assert "sorted: waiting callers" in text_of(pilot, "#status")
        assert [row.split(" | ")[0] for row in rows_of(pilot)] == [
            "shop / queue",
            "shop / orders",
            "shop / cache",
        ]
        await pilot.click("#pools", offset=(3, 0))
        await settled(pilot)
        assert "sorted: name" in text_of(pilot, "#status")
        assert rows_of(pilot)[0].startswith("shop / cache")


async def test_the_group_key_shows_processes_and_services() -> None:
    async with a_top(PreparedSource(BOTH)) as pilot:
        await press(pilot, "g")
        assert rows_of(pilot)[0].startswith("shop / orders / web-1:7 | leaking")
        await press(pilot, "g")
        assert [row.split(" | ")[0] for row in rows_of(pilot)] == ["shop / 2 pools"]


async def test_the_verdict_key_selects_each_present_word_and_escape_shows_all_pools() -> None:
    async with a_top(PreparedSource(BOTH)) as pilot:
        await press(pilot, "v", "v")
        assert "only leaked" in text_of(pilot, "#status")
        assert len(rows_of(pilot)) == 1
        await press(pilot, "escape")
        assert len(rows_of(pilot)) == 2


async def test_the_search_selects_pools_and_enter_returns_to_the_table() -> None:
    async with a_top(PreparedSource(BOTH)) as pilot:
        await press(pilot, "slash", *"cache", "enter")
        assert [row.split(" | ")[0] for row in rows_of(pilot)] == ["shop / cache"]
        assert "search: cache" in text_of(pilot, "#status")
        assert pilot.app.focused is pilot.app.screen.query_one("#pools")
        await press(pilot, "slash", *"zzz", "enter")
        assert text_of(pilot, "#note") == "No pool matches the filter."


async def test_a_pause_stops_the_readings_and_says_so() -> None:
    source = PreparedSource(BOTH)
    async with a_top(source) as pilot:
        await press(pilot, "space")
        assert "PAUSED" in text_of(pilot, "#status")
        app = pilot.app
        assert isinstance(app, TopApp)
        app._tick()
        await settled(pilot)
        assert source.reads == 1
        await press(pilot, "space")
        app._tick()
        await settled(pilot)
        assert source.reads == 2


async def test_a_pool_shows_its_holders_and_its_waiting_callers() -> None:
    waiters = (ReportedWaiters("queue", "/pay", "pay.py", 9, "pay", 2.0, 4),)
    pool = a_reported_pool(service_instance_id="a1", waiters=waiters)
    other = a_reported_checkout(checkout_id=8, backend_pid=4243, age_s=9.0)
    async with a_top(PreparedSource(a_reading([pool], [HELD, other]))) as pilot:
        await press(pilot, "enter")
        assert isinstance(pilot.app.screen, PoolScreen)
        assert text_of(pilot, "#pool").startswith("shop / orders: leaking for ?")
        [holders] = rows_of(pilot, "#holders")
        assert holders == (
            "leaked | request_finished | 2 | 9.0 s | 4243, 4242 | /orders/{order_id}/export"
            " | shop/app.py:12 | ? | idle in transaction | address"
        )
        assert rows_of(pilot, "#waiters") == [
            "for a place in the pool | 4 | 2.0 s | /pay | pay.py:9 | ?"
        ]
        await press(pilot, "escape")
        assert isinstance(pilot.app.screen, PoolsScreen)


async def test_a_pool_that_is_gone_says_so() -> None:
    source = PreparedSource(BOTH)
    async with a_top(source) as pilot:
        await press(pilot, "enter")
        source.answer = a_reading([CALM])
        await press(pilot, "r")
        assert text_of(pilot, "#pool") == "The exporter has no data of this pool any more."


@pytest.mark.parametrize(
    ("keys", "wanted"), [(("b",), ()), (("enter", "b"), (("", "shop", "orders"),))]
)
async def test_the_blocking_key_shows_all_queues_or_those_of_the_pool(
    keys: tuple[str, ...], wanted: tuple[PoolName, ...]
) -> None:
    source = PreparedSource(BOTH, blocking=("PID 1: [bold]idle[/bold]",))
    async with a_top(source) as pilot:
        await press(pilot, *keys)
        assert isinstance(pilot.app.screen, TextScreen)
        assert text_of(pilot, "#text") == "PID 1: [bold]idle[/bold]"
        assert source.asked[-1] == wanted


async def test_the_profile_key_shows_where_the_time_of_the_pool_goes() -> None:
    source = PreparedSource(BOTH, occupancy=("3.0 s 100%  httpx.get",))
    async with a_top(source) as pilot:
        await press(pilot, "p")
        assert text_of(pilot, "#title") == "Time of connections of shop / orders"
        assert text_of(pilot, "#text") == "3.0 s 100%  httpx.get"
        source.occupancy = GONE
        await press(pilot, "r")
        assert text_of(pilot, "#text") == "3.0 s 100%  httpx.get"


async def test_a_slow_text_does_not_hold_up_the_keys() -> None:
    class Slow(PreparedSource):
        async def read_occupancy(self, pools: Sequence[ServicePoolState]) -> Sequence[str]:
            await asyncio.Event().wait()
            return ()

    async with a_top(Slow(BOTH)) as pilot:
        await pilot.press("p")
        await pilot.pause()
        assert text_of(pilot, "#text") == "reading …"
        await pilot.press("escape")
        await pilot.pause()
        assert isinstance(pilot.app.screen, PoolsScreen)


async def test_the_evidence_is_copied_without_characters_that_steer_a_terminal() -> None:
    hostile = a_reported_checkout(route="/a\x1b]0;owned\x07", process="web-1:7")
    async with a_top(PreparedSource(a_reading([LEAKING], [hostile]))) as pilot:
        await press(pilot, "y")
        copied = pilot.app.clipboard
        assert copied.startswith("1 connection of pool orders of shop: leaked")
        assert "SELECT pg_terminate_backend(4242);" in copied
        assert "route: /a?]0;owned?" in copied
        await press(pilot, "enter", "y")
        assert pilot.app.clipboard == copied


async def test_names_with_markup_or_control_characters_are_shown_as_text() -> None:
    pool = a_reported_pool(service="[red]x[/red]", pool="a\x1b[2Jb", reasons=("[b]why[/b]\x07",))
    async with a_top(PreparedSource(a_reading([pool]))) as pilot:
        assert rows_of(pilot)[0].startswith("[red]x[/red] / a?[2Jb |")
        assert text_of(pilot, "#why") == "[b]why[/b]?"
        await press(pilot, "enter")
        assert "\x1b" not in text_of(pilot, "#pool")


async def test_the_last_data_stay_and_are_marked_as_old_until_the_exporter_is_back() -> None:
    source = PreparedSource(BOTH)
    async with a_top(source) as pilot:
        source.answer = GONE
        await press(pilot, "r")
        problem = text_of(pilot, "#problem")
        assert "http://exporter does not answer: refused" in problem
        assert "the data is OLD, as of 03:12:45" in problem
        assert pilot.app.screen.query_one("#problem").display
        assert pilot.app.screen.query_one("#pools").has_class("old")
        assert len(rows_of(pilot)) == 2
        source.answer = BOTH
        await press(pilot, "r")
        assert not pilot.app.screen.query_one("#problem").display
        assert not pilot.app.screen.query_one("#pools").has_class("old")


async def test_an_exporter_that_never_answered_is_a_line_and_no_traceback() -> None:
    async with a_top(PreparedSource(GONE)) as pilot:
        assert "there is no data yet" in text_of(pilot, "#problem")
        assert rows_of(pilot) == []
        await press(pilot, "enter", "y", "b", "escape", "p")


async def test_the_quit_key_ends_the_program() -> None:
    async with a_top(PreparedSource(BOTH)) as pilot:
        await pilot.press("q")
    assert pilot.app.return_code == 0
