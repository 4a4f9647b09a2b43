"""Tests that share what is costly or a port run on one worker, the rest wherever there is room."""

import pytest

from support.processes.workers import GROUPS, ROOT, group_of


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
