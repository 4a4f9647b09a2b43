"""Bind each instance to the token's owner that first used its id; others may not push for it."""

from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass

from poolscope_exporter.core.fleet.retention import COUNTER_RETENTION_S
from poolscope_exporter.core.model.checkouts import Instance

MAX_BOUND = 20_000
"""The most bindings that are kept: several times the number of instances in the fleet."""


@dataclass(frozen=True, slots=True)
class _Binding:
    owner: str
    last_push_at_s: float


class InstanceOwners:
    """The owner of each instance; times are one monotonic clock.

    A binding ends when the token file no longer has a token of its owner. It also ends when no push
    for the instance arrives for as long as counters are kept.
    """

    def __init__(self, max_bound: int = MAX_BOUND) -> None:
        self._max_bound = max_bound
        self._bound: OrderedDict[Instance, _Binding] = OrderedDict()

    def bind(self, instance: Instance, owner: str, owners: Collection[str], now_s: float) -> bool:
        """Return whether the owner may push for the instance; bind an instance without an owner."""
        known = self._bound.get(instance)
        if known and known.owner != owner and self._holds(known, owners, now_s):
            return False
        self._bound[instance] = _Binding(owner, now_s)
        self._bound.move_to_end(instance)
        if len(self._bound) > self._max_bound:
            self._make_room(owner)
        return True

    def _holds(self, binding: _Binding, owners: Collection[str], now_s: float) -> bool:
        return binding.owner in owners and now_s - binding.last_push_at_s <= COUNTER_RETENTION_S

    def _make_room(self, owner: str) -> None:
        # A sender with ever new ids loses its oldest binding, so that no other sender loses one.
        own = (instance for instance, binding in self._bound.items() if binding.owner == owner)
        del self._bound[next(own)]
