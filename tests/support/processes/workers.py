"""Which tests one worker runs one after another, where pytest runs with several (`-n`).

Not by pytest-xdist's own `--dist loadgroup`: it marks the tests of a group by a suffix of their
node ids, which pytest 9.2 leaves out.
"""

from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest
from xdist.remote import Producer  # type: ignore[import-untyped]
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]
from xdist.workermanage import WorkerController  # type: ignore[import-untyped]

ROOT = Path(__file__).parents[3]
WHOLE_FILES = ("tests/unit/", "tests/contract/", "tests/deploy/", "tests/system/")
"""Their tests are so short that asking for each would take longer, or share what is costly."""

GROUPS = {
    "tests/e2e/test_demo.py": "the demo",
    "tests/system/test_uvx_demo.py": "the demo",
}
"""Files whose tests want the same thing: each demo takes the ports 9736 and 9737 if it can."""

PLAYED = "tests/scenarios/"
"""Where each test plays for about a minute, and mostly waits."""


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


def plays(worker: str, workers: int) -> bool:
    """Decide whether a worker, such as gw0, begins with the tests that wait: at most half do."""
    return int(worker.removeprefix("gw")) < workers // 2


def next_group(waiting: Iterable[str], *, is_playing: bool) -> str:
    """Return the group to run next: of the kind that the worker begins with, while there is one.

    The tests that wait then run beside tests that compute, and not beside each other at the end.
    """
    groups = [*waiting]
    return next((each for each in groups if each.startswith(PLAYED) == is_playing), groups[0])


class GroupScheduling(LoadScopeScheduling):  # type: ignore[misc] # it has no types
    """Gives each worker a whole group at a time, those with the most tests first."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)

    def _assign_work_unit(self, node: WorkerController) -> None:
        is_playing = plays(node.gateway.id, self.numnodes)
        self.workqueue.move_to_end(next_group(self.workqueue, is_playing=is_playing), last=False)
        super()._assign_work_unit(node)

    def _reschedule(self, node: WorkerController) -> None:
        """Keep one test waiting on the worker, which it needs, and not two: no other can run it."""
        if not self.workqueue or self._pending_of(self.assigned_work[node]) < 2:
            super()._reschedule(node)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> GroupScheduling:
    """Return how the tests are divided among the workers."""
    return GroupScheduling(config, log)
