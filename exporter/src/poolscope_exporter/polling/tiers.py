"""Record the time that each kind of query takes on a server, and the missed answers."""

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from poolscope_exporter import clock

Answer = TypeVar("Answer")


class Tier(StrEnum):
    """A kind of query; each has its own interval."""

    CONNECT = "connect"
    FACTS = "facts"
    PULSE = "pulse"
    SUSPECTS = "suspects"
    LOCKS = "locks"
    SURVEY = "survey"
    CENSUS = "census"
    GROUPS = "groups"


@dataclass(frozen=True, slots=True)
class TierReport:
    """Seconds of waiting and the number of missed answers, by tier; tiers without any have 0."""

    seconds: Mapping[str, float] = field(default_factory=dict)
    missed: Mapping[str, int] = field(default_factory=dict)


class TierRecord:
    """The time spent on each tier and the missed answers, since the exporter started."""

    def __init__(self) -> None:
        self._seconds = dict.fromkeys(Tier, 0.0)
        self._missed = dict.fromkeys(Tier, 0)

    async def ask(self, tier: Tier, question: Awaitable[Answer]) -> Answer:
        """Return the answer; add its time to the record, also if it does not come."""
        started_at_s = clock.monotonic()
        try:
            return await question
        except Exception:
            self._missed[tier] += 1
            raise
        finally:
            self._seconds[tier] += clock.monotonic() - started_at_s

    def tier_report(self) -> TierReport:
        """Return the record up to now."""
        return TierReport(
            {tier.value: seconds for tier, seconds in self._seconds.items()},
            {tier.value: count for tier, count in self._missed.items()},
        )
