"""Keep the record of what each kind of question costs a server, and which went unanswered."""

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from poolscope_exporter import clock

Answer = TypeVar("Answer")


class Tier(StrEnum):
    """A kind of question, each asked at its own pace."""

    CONNECT = "connect"
    FACTS = "facts"
    PULSE = "pulse"
    SUSPECTS = "suspects"
    SURVEY = "survey"
    CENSUS = "census"


@dataclass(frozen=True, slots=True)
class TierReport:
    """Seconds spent waiting for answers, and answers that did not come, by tier, 0 included."""

    seconds: Mapping[str, float] = field(default_factory=dict)
    missed: Mapping[str, int] = field(default_factory=dict)


class TierRecord:
    """The time spent on each tier and the answers missed, since the exporter started."""

    def __init__(self) -> None:
        self._seconds = dict.fromkeys(Tier, 0.0)
        self._missed = dict.fromkeys(Tier, 0)

    async def ask(self, tier: Tier, question: Awaitable[Answer]) -> Answer:
        """Return the answer; whether it comes or not, its time counts."""
        started_at_s = clock.monotonic()
        try:
            return await question
        except Exception:
            self._missed[tier] += 1
            raise
        finally:
            self._seconds[tier] += clock.monotonic() - started_at_s

    def tier_report(self) -> TierReport:
        """Return the record so far."""
        return TierReport(
            {tier.value: seconds for tier, seconds in self._seconds.items()},
            {tier.value: count for tier, count in self._missed.items()},
        )
