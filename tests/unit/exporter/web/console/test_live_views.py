"""A view is rendered once for all open pages, and each page gets its changes at its own pace."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable

import pytest

from poolscope_exporter.web.console.live_views import ALIVE_S, MAX_PAGES, LiveViews
from poolscope_exporter.web.console.page_parts import PageView


class Clock:
    """A clock that a wait moves on."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.waited: list[float] = []
        self.stops = False

    def __call__(self) -> float:
        return self.now_s

    async def wait(self, seconds: float) -> bool:
        self.waited.append(seconds)
        self.now_s += seconds
        return not self.stops


class Source:
    """A view with one fragment, which shows how often it was rendered."""

    def __init__(self, text: Callable[[int], str] = str) -> None:
        self.rendered = 0
        self.text = text

    def prepare(self) -> Callable[[], PageView]:
        self.rendered += 1
        number = self.rendered
        return lambda: PageView("start.html", {"a": self.text(number)}, {}, {})


def views_at(clock: Clock) -> LiveViews:
    return LiveViews(clock, clock.wait)


async def events(stream: AsyncIterator[bytes], count: int) -> list[str]:
    return [(await anext(stream)).decode() for _ in range(count)]


async def test_a_view_is_rendered_once_for_all_who_look_within_a_second() -> None:
    clock, source = Clock(), Source()
    views = views_at(clock)
    found = await asyncio.gather(*(views.current_view("/", source.prepare) for _ in range(5)))
    assert {view.token for view in found} == {found[0].token}
    clock.now_s += 0.99
    assert (await views.current_view("/", source.prepare)).fragments == {"a": "1"}
    clock.now_s += 0.01
    assert (await views.current_view("/", source.prepare)).fragments == {"a": "2"}


async def test_views_of_different_addresses_are_separate() -> None:
    views, source = views_at(Clock()), Source()
    await views.current_view("/", source.prepare)
    await views.current_view("/?q=x", source.prepare)
    assert source.rendered == 2


async def test_a_page_gets_what_changed_since_the_view_that_it_shows() -> None:
    clock, source = Clock(), Source()
    views = views_at(clock)
    shown = await views.current_view("/", source.prepare)
    retry, update = await events(views.stream("/", source.prepare, shown.token, 2), 2)

    assert retry.startswith("retry: ")
    mark, data, *_ = update.split("\n")
    assert mark.startswith("id: ")
    assert json.loads(data.removeprefix("data: "))["set"] == {"a": "2"}


async def test_a_page_with_an_unknown_token_gets_everything() -> None:
    views, source = views_at(Clock()), Source(lambda _: "same")
    _, update = await events(views.stream("/", source.prepare, "of-another-run", 2), 2)
    assert '"a": "same"' in update


async def test_without_a_change_there_is_only_a_sign_of_life() -> None:
    clock, source = Clock(), Source(lambda _: "same")
    views = views_at(clock)
    shown = await views.current_view("/", source.prepare)
    _, alive = await events(views.stream("/", source.prepare, shown.token, 2), 2)

    assert alive.startswith(": ")
    assert sum(clock.waited) >= ALIVE_S


async def test_all_pages_wake_at_the_same_instants() -> None:
    clock, source = Clock(), Source()
    clock.now_s = 100.7
    await events(views_at(clock).stream("/", source.prepare, "", 2), 2)
    assert clock.waited == [pytest.approx(1.3)]


async def test_a_slow_page_takes_no_update_from_the_others() -> None:
    clock, source = Clock(), Source()
    views = views_at(clock)
    slow = views.stream("/", source.prepare, "", 2)
    await events(slow, 2)  # and reads no further
    quick = await events(views.stream("/", source.prepare, "", 2), 5)

    numbers = [json.loads(each.split("data: ")[1])["set"]["a"] for each in quick[1:]]
    assert numbers == ["2", "3", "4", "5"]
    (late,) = await events(slow, 1)
    assert f'"a": "{source.rendered}"' in late


async def test_open_pages_are_bounded_and_a_closed_one_makes_room() -> None:
    views, source = views_at(Clock()), Source()
    streams = [views.stream(n, source.prepare, "", 2) for n in range(MAX_PAGES)]
    for each in streams:
        await anext(each)
    assert views.is_full

    await streams[0].aclose()  # type: ignore[attr-defined]
    assert not views.is_full


async def test_a_stream_ends_when_the_exporter_stops() -> None:
    clock, source = Clock(), Source()
    clock.stops = True
    assert [each async for each in views_at(clock).stream("/", source.prepare, "", 2)] == [
        b"retry: 3000\n\n"
    ]


def slowly(clock: Clock) -> Callable[[], Callable[[], PageView]]:
    def render() -> PageView:
        clock.now_s += 1.0
        return PageView("start.html", {"a": str(clock.now_s)}, {}, {})

    return lambda: render


async def test_slow_rendering_lengthens_the_time_between_updates() -> None:
    clock = Clock()
    await events(views_at(clock).stream("/", slowly(clock), "", 2), 3)
    assert clock.waited[1] > 2


async def test_a_closed_page_no_longer_slows_the_others() -> None:
    clock, source = Clock(), Source()
    views = views_at(clock)
    slow = views.stream("/slow", slowly(clock), "", 2)
    await events(slow, 2)
    await slow.aclose()  # type: ignore[attr-defined]

    await events(views.stream("/", source.prepare, "", 2), 3)
    assert max(clock.waited[1:]) <= 2
