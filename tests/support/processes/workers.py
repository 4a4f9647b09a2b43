"""Which tests one worker runs one after another, where pytest runs with several (`-n`).

Not by pytest-xdist's own `--dist loadgroup`: it marks the tests of a group by a suffix of their
node ids, which pytest 9.2 leaves out.
"""

from functools import cache
from pathlib import Path

import pytest
from xdist.remote import Producer  # type: ignore[import-untyped]
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

ROOT = Path(__file__).parents[3]
WHOLE_FILES = ("tests/unit/", "tests/contract/", "tests/deploy/", "tests/system/")
"""Their tests are so short that asking for each would take longer, or share what is costly."""

GROUPS = {
    "tests/e2e/test_demo.py": "the demo",
    "tests/system/test_uvx_demo.py": "the demo",
}
"""Files whose tests want the same thing: each demo takes the ports 9736 and 9737 if it can."""


def group_of(node_id: str) -> str:
    """Return what is the same for all tests that one worker is to run one after another."""
    path, _, _ = node_id.partition("::")
    if path in GROUPS:
        return GROUPS[path]
    return path if path.startswith(WHOLE_FILES) or shares_what_it_makes(path) else node_id


@cache
def shares_what_it_makes(path: str) -> bool:
    """Decide whether a file has a fixture for all its tests: another worker would make it again."""
    return 'scope="module"' in (ROOT / path).read_text()


class GroupScheduling(LoadScopeScheduling):  # type: ignore[misc] # it has no types
    """Gives each worker a whole group at a time, those with the most tests first."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> GroupScheduling:
    """Return how the tests are divided among the workers."""
    return GroupScheduling(config, log)
