"""Keep the last 15 minutes of each pool: its diagnosis, its use and its waiting callers.

A sample has four bytes, so that the history of a large fleet stays small.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from struct import Struct
from typing import Final

from poolscope_exporter.core.judging.diagnosis import Diagnosis
from poolscope_exporter.core.judging.overview.service_pools import PoolName, ServicePoolState
from poolscope_exporter.core.judging.overview.worst_first import DIAGNOSES

SLOT_S: Final = 10.0
"""The time that one sample covers: the worst of several situations in it is kept."""

SLOTS: Final = 90
"""The number of samples per pool: 15 minutes."""

MAX_POOLS: Final = 2_000
"""The most pools with a history; a pool that is gone for longest gives way."""

_SAMPLE: Final = Struct("<BBH")
SAMPLE_BYTES: Final = _SAMPLE.size
_NO_DATA: Final = 255
_UNKNOWN_SHARE: Final = 255
_UNKNOWN_WAITING: Final = 65_535
_MOST_SHARE: Final = 250
_EMPTY: Final = _SAMPLE.pack(_NO_DATA, _UNKNOWN_SHARE, _UNKNOWN_WAITING)


@dataclass(frozen=True, slots=True)
class PoolSample:
    """The worst of a pool in one slot: its diagnosis, used connections in percent, and waiters."""

    diagnosis: Diagnosis
    used_percent: int | None
    waiting: int | None


@dataclass(slots=True)
class _Ring:
    slot: int
    samples: bytearray


class PoolHistory:
    """The samples of all pools; times are one monotonic clock."""

    def __init__(self, max_pools: int = MAX_POOLS) -> None:
        self._max_pools = max_pools
        self._rings: dict[PoolName, _Ring] = {}
        self._slot: int | None = None

    def record_states(self, states: Iterable[ServicePoolState], now_s: float) -> None:
        """Add the present states to the sample of now; drop pools without any sample."""
        slot = int(now_s // SLOT_S)
        if slot != self._slot:
            self._slot = slot
            self._expire(slot)
        for state in states:
            ring = self._rings.get(state.name) or self._new_ring(state.name, slot)
            if ring is not None:
                _advance(ring, slot)
                _keep_worst(ring, slot, state)

    def strips(self, now_s: float) -> Mapping[PoolName, bytes]:
        """Return the samples of each pool, packed, the oldest first; `unpack_strip` reads them."""
        slot = int(now_s // SLOT_S)
        return {name: _ordered(ring, slot) for name, ring in self._rings.items()}

    def _new_ring(self, name: PoolName, slot: int) -> _Ring | None:
        if len(self._rings) >= self._max_pools and not self._drop_oldest(slot):
            return None
        ring = self._rings[name] = _Ring(slot, bytearray(_EMPTY * SLOTS))
        return ring

    def _drop_oldest(self, slot: int) -> bool:
        """Drop the pool that is gone for longest; return whether any is gone."""
        name, ring = min(self._rings.items(), key=lambda item: item[1].slot)
        if ring.slot >= slot - 1:
            return False
        del self._rings[name]
        return True

    def _expire(self, slot: int) -> None:
        gone = [name for name, ring in self._rings.items() if ring.slot <= slot - SLOTS]
        for name in gone:
            del self._rings[name]


def unpack_strip(strip: bytes) -> list[PoolSample | None]:
    """Return the samples of a strip, None for a slot without data."""
    return [_sample(*fields) for fields in _SAMPLE.iter_unpack(strip)]


def _sample(code: int, share: int, waiting: int) -> PoolSample | None:
    if code == _NO_DATA:
        return None
    return PoolSample(
        DIAGNOSES[code],
        None if share == _UNKNOWN_SHARE else share,
        None if waiting == _UNKNOWN_WAITING else waiting,
    )


def _advance(ring: _Ring, slot: int) -> None:
    """Empty the slots that passed without a sample."""
    for passed in range(max(ring.slot + 1, slot - SLOTS + 1), slot + 1):
        at = passed % SLOTS * SAMPLE_BYTES
        ring.samples[at : at + SAMPLE_BYTES] = _EMPTY
    ring.slot = max(ring.slot, slot)


def _keep_worst(ring: _Ring, slot: int, state: ServicePoolState) -> None:
    at = slot % SLOTS * SAMPLE_BYTES
    code, share, waiting = _SAMPLE.unpack_from(ring.samples, at)
    # No data has the highest code, and the worst diagnosis the lowest.
    code = min(code, DIAGNOSES.index(state.worst.diagnosis))
    share = _greater(share, _percent(state), _UNKNOWN_SHARE)
    waiting = _greater(waiting, state.sums.waiting, _UNKNOWN_WAITING)
    _SAMPLE.pack_into(ring.samples, at, code, share, waiting)


def _percent(state: ServicePoolState) -> int | None:
    used, limit = state.sums.used, state.sums.limit
    return None if used is None or not limit else min(_MOST_SHARE, round(100 * used / limit))


def _greater(kept: int, value: int | None, unknown: int) -> int:
    if value is None:
        return kept
    value = max(0, min(value, unknown - 1))
    return value if kept == unknown else max(kept, value)


def _ordered(ring: _Ring, slot: int) -> bytes:
    """Return the samples of the last slots up to `slot`; the ring may have ended before."""
    passed = max(0, min(SLOTS, slot - ring.slot))
    begin = (ring.slot + 1) % SLOTS * SAMPLE_BYTES
    ordered = bytes(ring.samples[begin:] + ring.samples[:begin])
    return ordered[passed * SAMPLE_BYTES :] + _EMPTY * passed
