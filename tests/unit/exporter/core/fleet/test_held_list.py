"""The held checkouts of a process change only with a push, and give their room back."""

from poolscope_exporter.core.admission.limits import SharedBudgets
from poolscope_exporter.core.admission.points import Refusal
from poolscope_exporter.core.fleet.held_list import MAX_HELD, HeldList
from poolscope_exporter.core.model.pushes import Push
from support.exporter.builders import a_checkout, a_pool, a_push, holding

REPORTS = a_pool(name="reports")


def a_listing(*checkout_ids: int) -> Push:
    return a_push(held=(holding(*(a_checkout(each) for each in checkout_ids), pool=a_pool()),))


def test_checkout_that_is_listed_again_keeps_when_it_was_first_heard_of() -> None:
    held = HeldList(max_pools=5, shares=SharedBudgets(10, 10).shares())
    held.replace_lists(a_listing(1), 5.0, 100.0)
    held.replace_lists(a_listing(1, 2), 5.0, 105.0)

    first_heard = {
        h.checkout.id: h.first_reported_at_s for h in held.lists_since(0)[a_pool()].listed
    }
    assert first_heard == {1: 100.0, 2: 105.0}


def test_push_without_a_list_of_a_pool_leaves_the_last_one_in_place() -> None:
    held = HeldList(max_pools=5, shares=SharedBudgets(10, 10).shares())
    held.replace_lists(a_listing(1), 5.0, 100.0)
    held.replace_lists(a_push(held=(holding(pool=REPORTS),)), 5.0, 105.0)

    assert held.lists_since(100.0).keys() == {a_pool(), REPORTS}
    assert held.lists_since(100.1).keys() == {REPORTS}


def test_list_of_a_process_has_a_bound_that_no_room_of_others_lifts() -> None:
    held = HeldList(max_pools=5, shares=SharedBudgets(10, 10 * MAX_HELD).shares())
    refused = held.replace_lists(a_listing(*range(MAX_HELD + 1)), 5.0, 100.0)

    assert refused == {Refusal.TOO_MANY_CHECKOUTS: 1}
    assert len(held.lists_since(0)[a_pool()].listed) == MAX_HELD


def test_room_is_taken_for_what_is_held_and_given_back_after() -> None:
    budgets = SharedBudgets(10, 10)
    held = HeldList(max_pools=5, shares=budgets.shares())
    held.replace_lists(a_listing(1, 2, 3), 5.0, 100.0)
    held.replace_lists(a_push(backend_pids={a_pool(): frozenset({1, 2})}), 5.0, 105.0)
    assert (budgets.held.used, budgets.sessions.used) == (3, 2)

    held.drop_lists(before_s=105.0)
    assert (budgets.held.used, budgets.sessions.used) == (0, 2)

    held.drop_all()
    assert (budgets.held.used, budgets.sessions.used) == (0, 0)
