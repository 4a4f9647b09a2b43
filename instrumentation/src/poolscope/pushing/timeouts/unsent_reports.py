"""Keep the reports of first time-outs until an exporter accepts them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from poolscope import catalogue
from poolscope.pushing.samples import Sample, identity_attributes
from poolscope.recording.pool import PoolIdentity

MAX_TEXT: Final = 4000
"""The most characters of a report on the wire; the log has all of them."""

MAX_KEPT: Final = 50
"""The most pools with a kept report; an app may make and drop pools without end."""

SENT_AT_ONCE: Final = 5
"""The most reports in one push, so that a push has a bounded size."""

FRESH_S: Final = 120.0
"""For this long, a pool keeps its first report; later, a new one belongs to other trouble."""

_CUT: Final = "\n…"


@dataclass(frozen=True, slots=True)
class UnsentReport:
    """The report of one pool, made at `made_at_s`."""

    identity: PoolIdentity
    text: str
    made_at_s: float


class UnsentReports:
    """At most one report for each pool; times are the monotonic clock.

    Only the pusher's thread uses it.
    """

    def __init__(self) -> None:
        self._kept: dict[PoolIdentity, UnsentReport] = {}

    def keep_report(self, identity: PoolIdentity, text: str, now_s: float) -> None:
        """Keep a report, unless the pool has a fresh one; above the limit, drop the oldest."""
        kept = self._kept.pop(identity, None)
        if kept is None or now_s - kept.made_at_s >= FRESH_S:
            kept = UnsentReport(identity, _shortened(text), now_s)
        self._kept[identity] = kept
        if len(self._kept) > MAX_KEPT:
            self.drop_sent(self._oldest()[:1])

    def due_reports(self) -> list[UnsentReport]:
        """Return the reports for a push, the oldest first; `drop_sent` ends them."""
        return self._oldest()[:SENT_AT_ONCE]

    def drop_sent(self, reports: Iterable[UnsentReport]) -> None:
        """Drop the reports that an exporter accepted."""
        for report in reports:
            if self._kept.get(report.identity) is report:
                del self._kept[report.identity]

    def _oldest(self) -> list[UnsentReport]:
        return sorted(self._kept.values(), key=lambda report: report.made_at_s)


def report_samples(reports: Iterable[UnsentReport], now_s: float) -> Iterator[Sample]:
    """Yield one sample for each report, with its age."""
    for report in reports:
        attributes = {**identity_attributes(report.identity), catalogue.TIMEOUT_TEXT: report.text}
        yield Sample(catalogue.TIMEOUT_REPORT, attributes, max(0.0, now_s - report.made_at_s))


def _shortened(text: str) -> str:
    """Return at most the limit, in whole lines if possible, as a text that can be encoded."""
    # A path that is no UTF-8 would make every push fail for as long as the report is kept.
    text = text.encode("utf-8", "replace").decode("utf-8")
    if len(text) <= MAX_TEXT:
        return text
    head = text[: MAX_TEXT - len(_CUT)]
    return (head.rpartition("\n")[0] or head) + _CUT
