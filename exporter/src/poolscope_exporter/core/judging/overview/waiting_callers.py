"""Merge the waiting callers of all processes of a pool."""

from collections.abc import Iterable
from dataclasses import replace

from poolscope_exporter.core.fleet.waiter_groups import WaiterGroup
from poolscope_exporter.core.judging.situation import PoolAssessment


def merged_waiters(processes: Iterable[PoolAssessment]) -> list[WaiterGroup]:
    """Return the waiting callers of all processes, the group with the oldest caller first."""
    groups = [g for each in processes if each.numbers.waiters for g in each.numbers.waiters.groups]
    found: dict[tuple[object, ...], WaiterGroup] = {}
    for group in sorted(groups, key=lambda each: -each.age_s):
        key = group.phase, group.route, group.code_file, group.code_line
        known = found.get(key)
        found[key] = replace(known, count=known.count + group.count) if known else group
    return list(found.values())
