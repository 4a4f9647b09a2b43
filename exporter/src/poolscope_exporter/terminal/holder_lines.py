"""Build one line for each group of holders and of waiting callers of a pool."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from poolscope_exporter.core.fleet.waiter_groups import WaiterGroup
from poolscope_exporter.core.judging.overview.held_groups import HeldGroup, group_held
from poolscope_exporter.core.judging.overview.service_pools import (
    ServicePoolState,
    pool_name_of,
)
from poolscope_exporter.core.judging.sentences import WAITS_FOR
from poolscope_exporter.core.judging.verdicts import Judgement
from poolscope_exporter.core.linking.link import Link
from poolscope_exporter.terminal.cells import (
    UNKNOWN,
    TextCell,
    age_cell,
    number_cell,
    text_cell,
    word_cell,
)
from poolscope_exporter.terminal.pool_lines import PoolLine, held_of
from poolscope_exporter.terminal.printable import printable
from poolscope_exporter.terminal.states import PoolsReading
from poolscope_exporter.web.console.tickets.held_ticket import (
    held_ticket,
    place_text,
    session_pid,
)
from poolscope_exporter.web.rows import link_text

FEW_PIDS: Final = 3
"""The most backend PIDs in one cell; the copied evidence has the others."""


class HolderColumn(StrEnum):
    """A column of the table of holders; its value is its title."""

    VERDICT = "verdict"
    EVIDENCE = "evidence"
    COUNT = "held"
    OLDEST = "oldest"
    PIDS = "PIDs"
    ROUTE = "route"
    TAKEN_AT = "taken at"
    KEPT_AT = "kept at"
    STATE = "session"
    LINK = "link"


class WaiterColumn(StrEnum):
    """A column of the table of waiting callers; its value is its title."""

    PHASE = "waits"
    COUNT = "callers"
    OLDEST = "oldest"
    ROUTE = "route"
    LINE = "asks at"
    NOW = "now"


@dataclass(frozen=True, slots=True)
class HolderLine:
    """The holders with equal verdict, route and lines, in one pool."""

    key: str
    state: ServicePoolState
    group: HeldGroup


def holder_lines(reading: PoolsReading, line: PoolLine) -> list[HolderLine]:
    """Return the groups of the held checkouts of each pool of a line, the worst first."""
    held = held_of(reading, line)
    return [
        HolderLine(_key_of(state, group), state, group)
        for state in line.pools
        for group in group_held(
            each for each in held if pool_name_of(each.checkout.pool) == state.name
        )
    ]


def holder_cells(group: HeldGroup) -> Mapping[HolderColumn, TextCell]:
    """Return the cells of a group of holders by column."""
    kept_at = None if group.kept_at is None else str(group.kept_at)
    return {
        HolderColumn.VERDICT: word_cell(group.verdict),
        HolderColumn.EVIDENCE: text_cell(group.evidence or ""),
        HolderColumn.COUNT: number_cell(len(group.judgements)),
        HolderColumn.OLDEST: age_cell(group.oldest_s),
        HolderColumn.PIDS: text_cell(session_pids(group.judgements)),
        HolderColumn.ROUTE: text_cell(group.route or "no route"),
        HolderColumn.TAKEN_AT: text_cell(place_text(group.taken_at)),
        HolderColumn.KEPT_AT: text_cell(kept_at),
        HolderColumn.STATE: text_cell(_joined(map(_session_state, group.judgements))),
        HolderColumn.LINK: text_cell(_joined(link_text(each.link) for each in group.judgements)),
    }


def waiter_cells(group: WaiterGroup) -> Mapping[WaiterColumn, TextCell]:
    """Return the cells of a group of waiting callers by column."""
    line = None if group.code_file is None else f"{group.code_file}:{group.code_line}"
    return {
        WaiterColumn.PHASE: text_cell(WAITS_FOR[group.phase]),
        WaiterColumn.COUNT: number_cell(group.count),
        WaiterColumn.OLDEST: age_cell(group.age_s),
        WaiterColumn.ROUTE: text_cell(group.route or "no route"),
        WaiterColumn.LINE: text_cell(line),
        WaiterColumn.NOW: text_cell(None if group.now is None else str(group.now.line)),
    }


def session_pids(judgements: Sequence[Judgement]) -> str:
    """Return the backend PIDs of the linked sessions, at most three, and how many more."""
    pids = [pid for each in judgements if (pid := session_pid(each)) is not None]
    more = f" and {len(pids) - FEW_PIDS} more" if len(pids) > FEW_PIDS else ""
    return ", ".join(map(str, pids[:FEW_PIDS])) + more if pids else UNKNOWN


def evidence_text(reading: PoolsReading, lines: Iterable[HolderLine]) -> str:
    """Return the evidence on these groups as the page of a pool has it, safe for a terminal."""
    tickets = (
        held_ticket(each.state, each.group, reading.names, reading.taken_at) for each in lines
    )
    return "\n\n".join(
        "\n".join(printable(line) for line in ticket.split("\n")) for ticket in tickets
    )


def line_evidence(reading: PoolsReading, line: PoolLine) -> str:
    """Return the evidence on all holders of a line, or its diagnosis if it has none."""
    holders = holder_lines(reading, line)
    if holders:
        return evidence_text(reading, holders)
    found = line.state.worst
    texts = [f"{line.title}: {found.diagnosis}, as of {reading.taken_at}", *found.reasons]
    return "\n".join(map(printable, texts))


def _joined(words: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(words))


def _session_state(judgement: Judgement) -> str:
    link = judgement.link
    return (link.session.state if isinstance(link, Link) else None) or UNKNOWN


def _key_of(state: ServicePoolState, group: HeldGroup) -> str:
    return json.dumps([state.name, group.verdict, group.reason, group.evidence, group.route,
                       group.taken_at, group.kept_at])  # fmt: skip
