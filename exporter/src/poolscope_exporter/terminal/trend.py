"""Draw the last minute of a pool in one line of text, from the answers that `top` has read."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from poolscope_exporter.core.judging.overview.service_pools import PoolSums

MINUTE_S: Final = 60.0
SLOT_S: Final = 5.0
"""The shortest time that one character covers; its highest use is drawn."""

BARS: Final = "▁▂▃▄▅▆▇█"
GAP: Final = "·"
"""A time without an answer, or with an unknown use or limit."""

_Sample = tuple[float, float | None]


@dataclass(slots=True)
class PoolTrends:
    """The use in the last minute by the key of a line, as shares of the limit."""

    slot_s: float = SLOT_S
    _samples: dict[str, deque[_Sample]] = field(default_factory=dict)

    def add_sums(self, sums: Mapping[str, PoolSums], now_s: float) -> None:
        """Add the present use of every line, and drop samples older than a minute."""
        for key, each in sums.items():
            self._samples.setdefault(key, deque()).append((now_s, used_share(each)))
        for key, samples in list(self._samples.items()):
            while samples and now_s - samples[0][0] >= MINUTE_S:
                samples.popleft()
            if not samples:
                del self._samples[key]

    def trend_line(self, key: str, now_s: float) -> str:
        """Return the last minute of a line, the oldest time first."""
        count = round(MINUTE_S / self.slot_s) or 1
        slots: list[float | None] = [None] * count
        for at_s, share in self._samples.get(key, ()):
            index = count - 1 - int((now_s - at_s) // self.slot_s)
            if index >= 0 and share is not None:
                slots[index] = max(share, slots[index] or 0.0)
        return draw_line(slots)


def used_share(sums: PoolSums) -> float | None:
    """Return the used share of the limit, or None if one of the two is unknown."""
    return None if sums.used is None or not sums.limit else sums.used / sums.limit


def draw_line(shares: Sequence[float | None]) -> str:
    """Return one character for each share, from an empty pool to a full one."""
    top = len(BARS) - 1
    heights = (None if each is None else round(min(1.0, each) * top) for each in shares)
    return "".join(GAP if each is None else BARS[each] for each in heights)
