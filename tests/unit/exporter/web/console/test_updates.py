"""An open page gets what changed, in updates of bounded size, until it shows the whole view."""

import json
from collections.abc import Mapping
from typing import Any

from poolscope_exporter.web.console.page_parts import PageView
from poolscope_exporter.web.console.updates import (
    MAX_UPDATE,
    NOTHING_SHOWN,
    PageState,
    next_update,
    state_of,
)


def a_view(fragments: Mapping[str, str], *rows: str, token: str = "2") -> PageView:
    return PageView("start.html", fragments, {"pools": rows}, {}, token)


def read(text: str) -> dict[str, Any]:
    return dict(json.loads(text))


def test_only_what_changed_is_sent() -> None:
    before = state_of(a_view({"a": "1", "b": "1"}, "a", "b", token="1"))
    text, after = next_update(before, a_view({"a": "1", "b": "2"}, "a", "b"))

    assert read(text) == {"set": {"b": "2"}, "lists": {}, "page": "start.html"}
    assert after.token == "2"


def test_an_equal_view_sends_nothing_and_continues_from_it() -> None:
    text, after = next_update(state_of(a_view({"a": "1"}, token="1")), a_view({"a": "1"}))

    assert (text, after.token) == ("", "2")


def test_a_row_that_is_gone_leaves_its_list() -> None:
    before = state_of(a_view({"a": "1", "b": "1"}, "a", "b"))
    text, _ = next_update(before, a_view({"b": "1"}, "b"))

    assert read(text) == {"set": {}, "lists": {"pools": ["b"]}, "page": "start.html"}


def test_no_update_is_larger_than_its_bound_and_the_rest_follows() -> None:
    fragments = {f"row-{n}": f"{n}" * 3_000 for n in range(10, 40)}
    view = a_view(fragments, *fragments)
    shown: PageState = NOTHING_SHOWN
    page: dict[str, str] = {}
    sizes = []
    while shown.token != view.token:
        text, shown = next_update(shown, view)
        sizes.append(len(text))
        page.update(read(text)["set"])
        listed = read(text)["lists"]["pools"]
        assert set(listed) <= page.keys()

    assert max(sizes) <= MAX_UPDATE
    assert page == fragments
    assert listed == list(fragments)


def test_rows_that_did_not_fit_come_first_although_others_changed_again() -> None:
    def view_at(time: int) -> PageView:
        return a_view({f"row-{n}": f"{time}" * 9_000 for n in range(4)}, token=f"{time}")

    shown, got = NOTHING_SHOWN, []
    for time in range(1, 5):
        text, shown = next_update(shown, view_at(time))
        got += list(read(text)["set"])

    assert got == ["row-0", "row-1", "row-2", "row-3", "row-0", "row-1", "row-2", "row-3"]
