"""Compute the changes that an open page lacks of the present view, in updates of bounded size."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from poolscope_exporter.web.console.page_parts import PageView

MAX_UPDATE: Final = 19_500
"""The most bytes of one update; the rest follows with the next one."""


@dataclass(frozen=True, slots=True)
class PageState:
    """The content of an open page: its fragments and lists, and the fragment that it got last.

    If it shows all of one view, `token` is the view's, else "".
    """

    fragments: Mapping[str, str] = field(default_factory=dict)
    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    token: str = ""
    last: str = ""


NOTHING_SHOWN: Final = PageState()


def state_of(view: PageView) -> PageState:
    """Return the state of a page that shows the whole view."""
    return PageState(view.fragments, view.lists, view.token)


def next_update(shown: PageState, view: PageView) -> tuple[str, PageState]:
    """Return the next update as JSON, "" for none, and the state of the page after it.

    It names the template of the view: a page of another one must load itself again.
    If the changes are too large, the fragments that did not fit last time come first.
    """
    changed = [each for each, html in view.fragments.items() if shown.fragments.get(each) != html]
    chosen = _fitting(_from_last(changed, shown.last), view.fragments, _lists_size(shown, view))
    fragments = {
        each: view.fragments[each] if each in chosen else shown.fragments[each]
        for each in view.fragments
        if each in chosen or each in shown.fragments
    }
    # The page has no element yet for a row that did not fit: it joins its list later.
    lists = {
        name: tuple(row for row in rows if row in fragments) for name, rows in view.lists.items()
    }
    moved = {name: rows for name, rows in lists.items() if shown.lists.get(name) != rows}
    if not chosen and not moved:
        return "", state_of(view)
    if len(chosen) == len(changed):
        after = state_of(view)
    else:
        after = PageState(fragments, lists, last=chosen[-1])
    changes = {each: view.fragments[each] for each in chosen}
    return _encoded(changes, moved, view.template), after


def _from_last(changed: list[str], last: str) -> list[str]:
    if last not in changed:
        return changed
    begin = changed.index(last) + 1
    return changed[begin:] + changed[:begin]


def _fitting(changed: list[str], fragments: Mapping[str, str], used: int) -> list[str]:
    """Return the first fragments that fit; at least one, so that no page stands still."""
    chosen: list[str] = []
    for each in changed:
        used += len(json.dumps({each: fragments[each]}))
        if chosen and used > MAX_UPDATE:
            break
        chosen.append(each)
    return chosen


def _lists_size(shown: PageState, view: PageView) -> int:
    moved = {name: rows for name, rows in view.lists.items() if shown.lists.get(name) != rows}
    return len(_encoded({}, moved))


def _encoded(
    fragments: Mapping[str, str], lists: Mapping[str, tuple[str, ...]], template: str = ""
) -> str:
    return json.dumps({"set": fragments, "lists": lists, "page": template})
