"""The use of a PgBouncer has a bounded number of names; the sum over all stays right."""

from poolscope_exporter.core.model.bouncer_traffic import (
    MAX_NAMED,
    OTHER,
    DatabaseTotals,
    LentConnections,
    named_pools,
    named_totals,
)


def pools(count: int) -> list[LentConnections]:
    return [
        LentConnections(f"db{n:03}", "shop", active=1, waiting=n, longest_s=float(n), lent=2)
        for n in range(count)
    ]


def totals(count: int) -> list[DatabaseTotals]:
    return [
        DatabaseTotals(f"db{n:03}", waited_s=float(n), queries=n, transactions=n)
        for n in range(count)
    ]


def test_as_many_as_fit_keep_their_names_in_order() -> None:
    assert named_pools(reversed(pools(MAX_NAMED))) == pools(MAX_NAMED)
    assert named_totals(reversed(totals(MAX_NAMED))) == totals(MAX_NAMED)


def test_the_rest_is_one_pool_with_the_longest_of_all_waits() -> None:
    *named, other = named_pools(pools(MAX_NAMED + 2))

    assert named == pools(MAX_NAMED)
    waiting = MAX_NAMED + MAX_NAMED + 1
    assert other == LentConnections(OTHER, OTHER, 2, waiting, MAX_NAMED + 1.0, 4, None)


def test_the_rest_is_one_database_and_what_none_of_them_knows_stays_unknown() -> None:
    *named, other = named_totals(totals(MAX_NAMED + 2))

    both = MAX_NAMED + MAX_NAMED + 1
    assert named == totals(MAX_NAMED)
    assert other == DatabaseTotals(OTHER, float(both), both, both, None)
