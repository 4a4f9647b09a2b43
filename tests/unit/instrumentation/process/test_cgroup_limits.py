"""Limits of control groups are read from files of both versions, the tightest counts."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from poolscope import catalogue
from poolscope.process.cgroup_limits import CgroupLimits, read_limits

GIB = 2**30

Files = Mapping[str, str]

FILES: Mapping[str, tuple[Files, CgroupLimits]] = {
    "version 2, its own name space": (
        {
            "proc/self/cgroup": "0::/\n",
            "sys/fs/cgroup/cpu.max": "150000 100000\n",
            "sys/fs/cgroup/memory.max": f"{GIB}\n",
        },
        CgroupLimits(1.5, GIB),
    ),
    "version 2, limited above": (
        {
            "proc/self/cgroup": "0::/kubepods/pod1/app\n",
            "sys/fs/cgroup/kubepods/pod1/cpu.max": "200000 100000\n",
            "sys/fs/cgroup/kubepods/pod1/app/cpu.max": "400000 100000\n",
            "sys/fs/cgroup/kubepods/pod1/memory.max": f"{4 * GIB}\n",
            "sys/fs/cgroup/kubepods/pod1/app/memory.max": f"{GIB}\n",
        },
        CgroupLimits(2.0, GIB),
    ),
    "version 2, the host's path": (
        {
            "proc/self/cgroup": "0::/system.slice/docker-4f.scope\n",
            "sys/fs/cgroup/cpu.max": "50000 100000\n",
            "sys/fs/cgroup/memory.max": "max\n",
        },
        CgroupLimits(0.5, None),
    ),
    "version 2, a name space entered from outside": (
        {
            "proc/self/cgroup": "0::/../../kubepods/app\n",
            "sys/fs/cgroup/cpu.max": "max 100000\n",
            "sys/fs/cgroup/memory.max": f"{GIB}\n",
        },
        CgroupLimits(None, GIB),
    ),
    "version 1": (
        {
            "proc/self/cgroup": "9:memory:/docker/4f\n4:cpu,cpuacct:/docker/4f\n1:name=systemd:/\n",
            "sys/fs/cgroup/cpu,cpuacct/docker/4f/cpu.cfs_quota_us": "250000\n",
            "sys/fs/cgroup/cpu,cpuacct/docker/4f/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            "sys/fs/cgroup/memory/docker/4f/memory.limit_in_bytes": f"{GIB}\n",
        },
        CgroupLimits(2.5, GIB),
    ),
    "version 1, no limit": (
        {
            "proc/self/cgroup": "9:memory:/\n4:cpu:/\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        },
        CgroupLimits(),
    ),
    "both versions": (
        {
            "proc/self/cgroup": "4:memory:/app\n0::/app\n",
            "sys/fs/cgroup/memory/app/memory.limit_in_bytes": f"{GIB}\n",
            "sys/fs/cgroup/unified/app/cpu.max": "100000 100000\n",
        },
        CgroupLimits(1.0, GIB),
    ),
    "no control groups": ({}, CgroupLimits()),
    "nonsense": (
        {
            "proc/self/cgroup": "\nabc\n0::\n0::/x\n",
            "sys/fs/cgroup/cpu.max": "1e9 ²\n",
            "sys/fs/cgroup/x/cpu.max": "100000 0\n",
            "sys/fs/cgroup/memory.max": "-5\n",
            "sys/fs/cgroup/x/memory.max": "\xff\n",
        },
        CgroupLimits(),
    ),
}


@pytest.mark.parametrize(("files", "limits"), FILES.values(), ids=FILES.keys())
def test_the_tightest_limit_is_read(files: Files, limits: CgroupLimits, tmp_path: Path) -> None:
    for name, text in files.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert read_limits(tmp_path) == limits


def test_a_limit_that_is_not_known_is_no_attribute() -> None:
    assert CgroupLimits().attributes == {}
    assert CgroupLimits(0.5, None).attributes == {catalogue.CONTAINER_CPU_LIMIT: 0.5}
    assert CgroupLimits(None, GIB).attributes == {catalogue.CONTAINER_MEMORY_LIMIT: GIB}
