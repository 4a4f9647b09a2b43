"""Tests that share what is costly or a port run on one worker, the rest wherever there is room."""

import pytest

from support.processes.workers import GROUPS, PLAYED, ROOT, group_of, next_group, plays


@pytest.mark.parametrize("path", GROUPS)
def test_the_files_of_a_group_exist(path: str) -> None:
    assert (ROOT / path).is_file()


@pytest.mark.parametrize(
    ("node_id", "group"),
    [
        ("tests/e2e/test_demo.py::test_one", "the demo"),
        ("tests/system/test_uvx_demo.py::test_two", "the demo"),
        ("tests/unit/support/test_workers.py::test[a]", "tests/unit/support/test_workers.py"),
        (
            "tests/integration/exporter/test_exhaustion.py::test[16]",
            "tests/integration/exporter/test_exhaustion.py",
        ),
        (
            "tests/conformance/test_conformance.py::test[a::b]",
            "tests/conformance/test_conformance.py::test[a::b]",
        ),
    ],
)
def test_a_group_is_its_own_a_whole_file_or_one_test(node_id: str, group: str) -> None:
    assert group_of(node_id) == group


@pytest.mark.parametrize(("workers", "playing"), [(1, 0), (2, 1), (3, 1), (5, 2), (9, 4)])
def test_at_most_half_of_the_workers_begin_with_what_waits(workers: int, playing: int) -> None:
    assert sum(plays(f"gw{number}", workers) for number in range(workers)) == playing


def test_what_waits_runs_beside_what_computes_while_there_is_both() -> None:
    waiting = ["tests/unit/a.py", "tests/unit/b.py", "tests/scenarios/c.py::test", "the demo"]
    assert next_group(waiting, is_playing=True) == "tests/scenarios/c.py::test"
    assert next_group(waiting, is_playing=False) == "tests/unit/a.py"


@pytest.mark.parametrize("is_playing", [True, False])
@pytest.mark.parametrize("group", ["tests/unit/a.py", "tests/scenarios/b.py::test"])
def test_no_worker_stands_idle_because_one_kind_is_used_up(group: str, is_playing: bool) -> None:
    assert next_group([group], is_playing=is_playing) == group


def test_there_are_tests_that_wait() -> None:
    assert [*(ROOT / PLAYED).rglob("test_*.py")]
