"""The calls in which holders wait have ten series for each pool."""

from dataclasses import replace

from poolscope_exporter.core.judging.verdicts import Judgement, Verdict
from poolscope_exporter.core.linking.link import NoLink, Unlinked
from poolscope_exporter.core.model.now_places import NowPlace
from poolscope_exporter.metrics.holding_calls import MAX_CALLS_PER_POOL, holding_calls
from support.exporter.builders import a_checkout


def held_in(call: str | None, *, is_seen: bool = True) -> Judgement:
    now = NowPlace("shop.py", 1, "f", call) if is_seen else None
    link = NoLink(Unlinked.NO_SERVER, None)
    checkout = replace(a_checkout(), now=now)
    return Judgement(checkout, 10.0, Verdict.UNKNOWN, None, None, link, confirmed=False)


def counts(judgements: list[Judgement]) -> dict[str, int]:
    return {call: count for _, call, count in holding_calls(judgements)}


def test_holders_are_counted_by_call_and_a_running_one_as_application() -> None:
    held = [held_in("httpx.get"), held_in("httpx.get"), held_in(None), held_in("", is_seen=False)]
    assert counts(held) == {"httpx.get": 2, "application": 1}


def test_further_calls_are_other() -> None:
    held = [held_in(f"lib.call{n:02}") for n in range(MAX_CALLS_PER_POOL + 3)]
    held.append(held_in("lib.call12"))
    found = counts(held)
    assert found["other"] == 3
    assert found["lib.call12"] == 2
    assert len(found) == MAX_CALLS_PER_POOL + 1
