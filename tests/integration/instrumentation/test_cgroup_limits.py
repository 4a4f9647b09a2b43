"""The limits of a real control group reach the resource, where the machine lets us make one."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from poolscope import catalogue

MEMORY = 256 * 2**20

MOUNTS = Path("/sys/fs/cgroup")

JOIN_AND_TELL = """
import json, os, sys
for folder in sys.argv[1:]:
    open(f"{folder}/cgroup.procs", "w").write(str(os.getpid()))
from poolscope.process.identity import ProcessIdentity
print(json.dumps(dict(ProcessIdentity("shop").resource.attributes)))
"""


def limits_of_a_version() -> dict[Path, dict[str, str]]:
    """Return the folders of this machine's version of control groups, with what limits them."""
    if (MOUNTS / "cgroup.controllers").exists():
        return {MOUNTS: {"memory.max": str(MEMORY), "cpu.max": "50000 100000"}}
    cpu = {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "50000"}
    return {MOUNTS / "memory": {"memory.limit_in_bytes": str(MEMORY)}, MOUNTS / "cpu": cpu}


@pytest.fixture
def limited_folders() -> Iterator[list[Path]]:
    """Make control groups with limits; they are gone when the test is over."""
    with ExitStack() as stack:
        made = []
        for top, limits in limits_of_a_version().items():
            folder = top / f"poolscope-test-{os.getpid()}"
            try:
                folder.mkdir()
                stack.callback(folder.rmdir)
                for name, limit in limits.items():
                    (folder / name).write_text(limit)
            except OSError as error:
                pytest.skip(f"this machine gives us no control group: {error}")
            made.append(folder)
        yield made


def test_a_process_in_a_limited_group_tells_its_limits(limited_folders: list[Path]) -> None:
    command = [sys.executable, "-c", JOIN_AND_TELL, *map(str, limited_folders)]
    told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert told[catalogue.CONTAINER_CPU_LIMIT] == 0.5
    assert told[catalogue.CONTAINER_MEMORY_LIMIT] == MEMORY
