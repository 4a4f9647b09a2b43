"""Checkouts that are out for minutes without evidence, by line."""

from dataclasses import replace

from poolscope.catalogue import OTHER, Evidence, OwnerKind
from poolscope_exporter.core.judging.verdicts import Judgement, Verdict
from poolscope_exporter.core.linking.link import NoLink, Unlinked
from poolscope_exporter.core.model.checkouts import Checkout
from poolscope_exporter.metrics.long_held import (
    LONG_HELD_S,
    MAX_LINES_PER_POOL,
    Line,
    long_held_lines,
)
from support.exporter.builders import a_checkout


def line_of(checkout: Checkout) -> Line:
    return checkout.route or "", f"{checkout.code_file}:{checkout.code_line}"


def held(number: int, age_s: float = LONG_HELD_S, route: str = "/orders") -> Judgement:
    checkout = a_checkout(number, route=route, evidence=None)
    link = NoLink(Unlinked.NOT_SAMPLED, None)
    return Judgement(checkout, age_s, Verdict.WORKING, None, None, link, confirmed=True)


def of_owner(judgement: Judgement, kind: OwnerKind) -> Judgement:
    return replace(judgement, checkout=replace(judgement.checkout, owner_kind=kind))


def counts(*judgements: Judgement) -> list[tuple[Line, int]]:
    return [(line, count) for _, line, count in long_held_lines(judgements, line_of)]


def test_checkouts_of_one_line_are_counted_together() -> None:
    assert counts(held(1), held(2)) == [(("/orders", "shop/orders.py:42"), 2)]


def test_checkouts_that_are_young_declared_or_leaked_are_left_out() -> None:
    young = held(1, LONG_HELD_S - 0.1)
    declared = of_owner(held(2), OwnerKind.LONG_LIVED)
    leaked = replace(held(3), evidence=Evidence.REQUEST_FINISHED)
    assert counts(young, declared, leaked) == []


def test_lines_beyond_the_limit_are_other_and_the_largest_keep_their_names() -> None:
    judgements = [held(number, route=f"/{number}") for number in range(MAX_LINES_PER_POOL + 2)]
    largest = [held(100 + number, route="/z") for number in range(2)]
    found = dict(counts(*judgements, *largest))
    assert found["/z", "shop/orders.py:42"] == 2
    assert found[OTHER, OTHER] == 3
    assert len(found) == MAX_LINES_PER_POOL + 1
