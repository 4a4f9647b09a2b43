"""Read how many CPUs and how much memory the control groups of this process allow."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from poolscope import catalogue

_NO_LIMIT_V1: Final = 2**62
"""Version 1 has no value for "no limit": it uses the largest number of whole pages."""


@dataclass(frozen=True, slots=True)
class CgroupLimits:
    """The limits of a process by its control groups: CPUs, also in fractions, and bytes.

    None means that no limit is known.
    """

    cpus: float | None = None
    memory_bytes: int | None = None

    @property
    def attributes(self) -> Mapping[str, float | int]:
        """Return the known limits, as resource attributes."""
        found = {
            catalogue.CONTAINER_CPU_LIMIT: self.cpus,
            catalogue.CONTAINER_MEMORY_LIMIT: self.memory_bytes,
        }
        return {name: value for name, value in found.items() if value is not None}


def read_limits(root: Path = Path("/")) -> CgroupLimits:
    """Return the tightest limits of the process's control groups, of versions 1 and 2.

    A file that cannot be read gives no limit. `root` is the folder with `proc` and `sys`.
    """
    cpus: list[float] = []
    memory: list[int] = []
    for controllers, group in _groups(root):
        for folder in _folders(root / "sys/fs/cgroup", controllers, group):
            cpus += _cpus(folder)
            memory += _memory(folder)
    return CgroupLimits(min(cpus, default=None), min(memory, default=None))


def _groups(root: Path) -> Iterator[tuple[str, PurePosixPath]]:
    """Yield the control groups of the process: the names of the controllers, and the path."""
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, group = (*line.split(":", 2), "", "")[:3]
        yield controllers, PurePosixPath(group)


def _folders(mounts: Path, controllers: str, group: PurePosixPath) -> Iterator[Path]:
    """Yield the folders of a group and all above it, because each of them limits the process.

    In a container, the path is often the host's: only its end is visible, or nothing of it.
    """
    if not controllers:  # version 2: all controllers are in one place
        tops = [mounts, mounts / "unified"]
    else:
        tops = [mounts / name for name in {controllers, *controllers.split(",")}]
    names = [part for part in group.parts if part not in ("/", "..")]
    for top in tops:
        for length in range(len(names) + 1):
            yield top.joinpath(*names[:length])


def _cpus(folder: Path) -> Iterator[float]:
    """Yield the limit on CPUs of one folder, if it has one."""
    quota, period = (*_read(folder / "cpu.max").split(), "", "")[:2]
    if not quota:
        quota = _read(folder / "cpu.cfs_quota_us").strip()
        period = _read(folder / "cpu.cfs_period_us").strip()
    if quota.isdigit() and period.isdigit() and int(quota) and int(period):
        yield int(quota) / int(period)


def _memory(folder: Path) -> Iterator[int]:
    """Yield the limit on memory of one folder, if it has one."""
    for name in ("memory.max", "memory.limit_in_bytes"):
        limit = _read(folder / name).strip()
        if limit.isdigit() and 0 < int(limit) < _NO_LIMIT_V1:
            yield int(limit)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii", errors="replace")
    except (OSError, ValueError):  # no such file, or an invalid path
        return ""
