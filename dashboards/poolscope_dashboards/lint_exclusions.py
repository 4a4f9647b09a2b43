"""Tell the dashboard-linter which queries have no matchers on `job` and `instance`, and why."""

import json
import re
from collections.abc import Iterable, Iterator

from poolscope import catalogue as wire
from poolscope_alerts.promql import name
from poolscope_dashboards.kit.board import Board
from poolscope_dashboards.kit.panel import Query

RULES = ("target-instance-rule", "target-job-rule")
_REASON = (
    "Series that applications publish: over OTLP job and instance are the application's, over "
    "the exporter's /metrics they are the exporter's. The dashboards work on both."
)
_NAMES = re.compile(
    r"\b(?:{})".format(
        "|".join(re.escape(name(each)) for each in wire.METRICS if each.scope == wire.SCOPE)
    )
)


def lint_text(boards: Iterable[Board]) -> str:
    """Return the linter's file of exclusions, one entry for each query."""
    entries = [line for board in boards for line in _entries(board)]
    lines = ["# Written by make rules.", "exclusions:"]
    for rule in RULES:
        lines += [f"  {rule}:", f"    reason: {json.dumps(_REASON)}", "    entries:", *entries]
    return "\n".join(lines) + "\n"


def reads_applications(query: Query) -> bool:
    """Tell whether a query reads a series that applications publish."""
    return bool(_NAMES.search(query.expression))


def _entries(board: Board) -> Iterator[str]:
    for panel in board.panels:
        for index, query in enumerate(panel.queries):
            if reads_applications(query):
                yield f'      - dashboard: "{board.title}"'
                yield f'        panel: "{panel.title}"'
                yield f'        targetIdx: "{index}"'
