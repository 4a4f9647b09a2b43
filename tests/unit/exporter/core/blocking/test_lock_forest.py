"""The forest of lock queues: each waiter hangs under one root, whatever the graph."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolscope_exporter.core.blocking.lock_forest import (
    LockTree,
    QueuedSession,
    RootKind,
    lock_forest,
)
from poolscope_exporter.core.model.lock_waits import PREPARED

PIDS = st.integers(PREPARED, 9)
GRAPHS = st.dictionaries(st.integers(1, 9), st.lists(PIDS, max_size=4).map(tuple))
"""Small PIDs, so that cycles, loops of one session, and several roots of one waiter are common."""


def shape_of(trees: list[LockTree]) -> list[tuple[RootKind, int, list[tuple[int, int, int]]]]:
    return [
        (tree.kind, tree.root, [(each.pid, each.behind, each.depth) for each in tree.queue])
        for tree in trees
    ]


@given(GRAPHS)
def test_each_waiter_hangs_under_exactly_one_root(waits: Mapping[int, tuple[int, ...]]) -> None:
    trees = lock_forest(waits)

    placed = [each.pid for tree in trees for each in tree.queue]
    in_deadlock = [tree.root for tree in trees if tree.kind is RootKind.DEADLOCK]
    alone = {pid for pid, blockers in waits.items() if set(blockers) == {pid}}
    waiting = {pid for pid, blockers in waits.items() if blockers}
    assert len(placed + in_deadlock) == len({*placed, *in_deadlock})
    assert waiting - alone <= {*placed, *in_deadlock} <= waiting


@given(GRAPHS)
def test_each_step_leads_to_a_session_that_is_waited_for_and_on_to_the_root(
    waits: Mapping[int, tuple[int, ...]],
) -> None:
    for tree in lock_forest(waits):
        depths = {tree.root: 0}
        for each in tree.queue:
            assert each.behind in waits[each.pid]
            assert each.depth == depths[each.behind] + 1
            assert {each.behind, *each.others} == set(waits[each.pid])
            depths[each.pid] = each.depth


@given(GRAPHS)
def test_a_holder_waits_for_nobody_and_a_deadlock_has_no_way_to_one(
    waits: Mapping[int, tuple[int, ...]],
) -> None:
    for tree in lock_forest(waits):
        if tree.kind is RootKind.HOLDER:
            assert waits[tree.root] == ()
        elif tree.kind is RootKind.DEADLOCK:
            reached, frontier = set[int](), set(waits[tree.root])
            while frontier:
                reached |= frontier
                frontier = {b for pid in frontier for b in waits[pid]} - reached
            assert tree.root in reached
            assert all(waits.get(pid) for pid in reached)
        else:
            assert tree.root not in waits


def test_the_root_of_a_row_that_many_update_is_its_holder_not_the_next_waiter() -> None:
    # 20 waits for the transaction of 10 and holds the tuple lock, behind which 30 and 40 queue.
    waits = {20: (10,), 30: (20,), 40: (20, 30), 10: ()}

    assert shape_of(lock_forest(waits)) == [
        (RootKind.HOLDER, 10, [(20, 10, 1), (30, 20, 2), (40, 20, 2)])
    ]
    [tree] = lock_forest(waits)
    assert tree.queue[2] == QueuedSession(40, behind=20, depth=2, others=(30,))


def test_two_roots_keep_separate_queues_and_the_longest_comes_first() -> None:
    waits = {10: (), 11: (), 20: (10,), 30: (11,), 31: (11,)}

    assert [(tree.root, len(tree.queue)) for tree in lock_forest(waits)] == [(11, 2), (10, 1)]


@pytest.mark.parametrize(
    ("waits", "kind", "root"),
    [
        ({20: (10,), 10: ()}, RootKind.HOLDER, 10),
        ({20: (10,)}, RootKind.UNKNOWN, 10),
        ({20: (PREPARED,)}, RootKind.PREPARED, PREPARED),
        ({20: (10,), 10: (20,)}, RootKind.DEADLOCK, 10),
        ({20: (10, 5), 10: (20,), 5: ()}, RootKind.HOLDER, 5),
        ({20: (10, 5), 5: ()}, RootKind.HOLDER, 5),
    ],
)
def test_the_kind_of_a_root_says_why_the_walk_ends(
    waits: Mapping[int, tuple[int, ...]], kind: RootKind, root: int
) -> None:
    assert [(tree.kind, tree.root) for tree in lock_forest(waits)] == [(kind, root)]


def test_a_session_behind_a_deadlock_is_in_its_tree() -> None:
    waits = {10: (20,), 20: (10,), 30: (20,)}

    assert shape_of(lock_forest(waits)) == [(RootKind.DEADLOCK, 10, [(20, 10, 1), (30, 20, 2)])]


def test_the_root_of_a_deadlock_is_a_member_of_it() -> None:
    waits = {10: (20,), 20: (30,), 30: (20,)}

    assert shape_of(lock_forest(waits)) == [(RootKind.DEADLOCK, 20, [(10, 20, 1), (30, 20, 1)])]


def test_a_server_without_lock_waits_has_no_tree() -> None:
    assert lock_forest({}) == lock_forest({10: ()}) == []
