"""The sessions that are not listed are counted, and names that may not be shown are not."""

from collections.abc import Sequence

from poolscope_exporter.core.model.servers import ConfiguredServer
from poolscope_exporter.core.model.session_groups import (
    MAX_GROUPS,
    MAX_OWNERS,
    Owner,
    SessionGroup,
    largest_groups,
    largest_owners,
)

ALL = ConfiguredServer("main")
SHOP_ONLY = ConfiguredServer("main", shown_roles=frozenset({"shop"}))
ORDERS_ONLY = ConfiguredServer("main", shown_databases=frozenset({"orders"}))


def a_group(sessions: int = 1, role: str | None = "shop", database: str = "orders") -> SessionGroup:
    return SessionGroup(role, database, "shop", "10.0.0.7", sessions)


def groups_of_sizes(sizes: Sequence[int]) -> list[SessionGroup]:
    return [a_group(size) for size in sizes]


def test_up_to_ten_groups_are_listed_and_no_session_is_lost() -> None:
    ten, eleven = groups_of_sizes(range(10, 0, -1)), groups_of_sizes(range(11, 0, -1))

    assert largest_groups(ten, 55, 0, ALL).groups == tuple(ten)
    assert largest_groups(ten, 55, 0, ALL).others == 0
    found = largest_groups(eleven, 70, 3, ALL)
    assert (len(found.groups), found.others, found.hidden) == (MAX_GROUPS, 70 - 65, 3)


def test_groups_that_may_not_be_shown_are_others() -> None:
    found = [a_group(40, role="tenant"), a_group(9, role=None), a_group(2)]

    shown = largest_groups(found, 51, 0, SHOP_ONLY)

    assert ([each.role for each in shown.groups], shown.others) == (["shop"], 49)


def test_roles_and_databases_are_ordered_by_size_and_then_by_name() -> None:
    counts: dict[Owner, int] = {("b", "x"): 2, ("a", "x"): 2, (None, "x"): 2, ("c", "x"): 9}

    found = largest_owners(counts, ALL)

    assert [role for (role, _), _ in found.counts] == ["c", None, "a", "b"]
    assert found.others == 0


def test_at_most_fifty_roles_and_databases_have_a_separate_count() -> None:
    counts: dict[Owner, int] = {
        (f"tenant_{number:03}", "orders"): 2 for number in range(MAX_OWNERS + 3)
    }

    found = largest_owners(counts, ALL)

    assert (len(found.counts), found.others) == (MAX_OWNERS, 6)


def test_roles_and_databases_that_may_not_be_shown_are_others() -> None:
    counts: dict[Owner, int] = {
        ("shop", "orders"): 3,
        ("shop", "billing"): 4,
        ("tenant", "orders"): 5,
    }

    assert largest_owners(counts, SHOP_ONLY).others == 5
    found = largest_owners(counts, ORDERS_ONLY)
    assert (dict(found.counts), found.others) == (
        {("tenant", "orders"): 5, ("shop", "orders"): 3},
        4,
    )
