"""Read the limits of a process's container from its resource attributes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Final

from poolscope.catalogue import CONTAINER_CPU_LIMIT, CONTAINER_MEMORY_LIMIT

_MIB: Final = 2**20


@dataclass(frozen=True, slots=True)
class ContainerLimits:
    """CPUs (a fraction is possible) and bytes of memory; None is unknown, or without a limit."""

    cpus: float | None = None
    memory_bytes: int | None = None

    def __str__(self) -> str:
        """Return the limits as part of a sentence, or "" if there are none."""
        parts = []
        if self.cpus is not None:
            parts.append(f"{self.cpus:g} CPU{'s' * (self.cpus != 1)}")
        if self.memory_bytes is not None:
            parts.append(f"{self.memory_bytes / _MIB:.0f} MiB of memory")
        return " and ".join(parts)


NO_LIMITS: Final = ContainerLimits()
"""No known limit."""


def limits_of(resource: Mapping[str, str]) -> ContainerLimits:
    """Return the container limits that the process reports; an invalid value is unknown."""
    memory = _positive(resource.get(CONTAINER_MEMORY_LIMIT))
    return ContainerLimits(
        _positive(resource.get(CONTAINER_CPU_LIMIT)), None if memory is None else int(memory)
    )


def common_limits(resources: Iterable[Mapping[str, str]]) -> ContainerLimits:
    """Return the limits on which all of these processes agree, else none."""
    found = {limits_of(resource) for resource in resources}
    return found.pop() if len(found) == 1 else NO_LIMITS


def _positive(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if isfinite(number) and number > 0 else None
