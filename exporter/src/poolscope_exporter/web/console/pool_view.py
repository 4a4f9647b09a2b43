"""Build the page of one pool: who holds its connections, who waits, and how it is configured."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, Final

from poolscope_exporter.core.checks.model import ConfigCheck, Result
from poolscope_exporter.core.fleet.pool_totals import TIMES
from poolscope_exporter.core.fleet.process_names import ProcessNames, process_names
from poolscope_exporter.core.fleet.waiter_groups import WaiterGroup
from poolscope_exporter.core.judging.overview.held_groups import HeldGroup, group_held
from poolscope_exporter.core.judging.overview.service_pools import (
    PoolName,
    ServicePoolState,
    group_by_service,
    pool_name_of,
)
from poolscope_exporter.core.judging.overview.waiting_callers import merged_waiters
from poolscope_exporter.core.judging.situation import PoolAssessment, Situation
from poolscope_exporter.core.judging.verdicts import Verdict
from poolscope_exporter.core.model.trace_links import trace_link
from poolscope_exporter.web.console.drawings import draw_strip
from poolscope_exporter.web.console.look import Look, PoolDetails
from poolscope_exporter.web.console.page_parts import PageView, Parts
from poolscope_exporter.web.console.page_query import PageQuery, pool_path
from poolscope_exporter.web.console.pool_past import add_incidents, add_releases
from poolscope_exporter.web.console.start_view import (
    add_blocker_rows,
    process_fields,
    state_fields,
)
from poolscope_exporter.web.console.tickets.held_ticket import held_ticket, place_text
from poolscope_exporter.web.console.tickets.pool_tickets import (
    leak_ticket,
    pool_ticket,
    waiter_ticket,
)
from poolscope_exporter.web.lock_rows import root_blocker_row
from poolscope_exporter.web.profile.profile_rows import (
    DEFAULT_WINDOW_S,
    ProfileSelection,
    profile_rows,
)
from poolscope_exporter.web.rows import checkout_row

MAX_PROCESSES: Final = 100
MAX_GROUPS: Final = 50
MAX_MEMBERS: Final = 10
"""The most rows of the lists, and the most checkouts that are shown in one group."""

MAX_WAITERS: Final = 30
MAX_PROFILE: Final = 15
MAX_CHECKS: Final = 50

_STYLES: Final = {
    Verdict.WORKING: "good",
    Verdict.UNKNOWN: "dim",
    Verdict.UNCONFIRMED: "dim",
}


def find_pool(look: Look, service: str, pool: str, query: PageQuery) -> list[ServicePoolState]:
    """Return the pools of this name, the worst first: one for each namespace that has it."""
    named = [
        each
        for each in look.situation.pools
        if (each.pool.instance.name, each.pool.name) == (service, pool)
        and query.namespace in (None, each.pool.instance.namespace)
    ]
    judgements = [
        each
        for each in look.situation.judgements
        if each.checkout.pool.name == pool and each.checkout.pool.instance.name == service
    ]
    return group_by_service(named, judgements)


def pool_view(
    look: Look, states: Sequence[ServicePoolState], details: PoolDetails, query: PageQuery
) -> PageView:
    """Return the page of the first of these pools; the others have links."""
    state, situation = states[0], look.situation
    names = process_names(situation.instances)
    most = MAX_GROUPS if query.limit is None else min(MAX_GROUPS, query.limit)
    parts = Parts("pool_parts.html")
    _add_state(parts, look, state, names)
    _add_held(parts, look, state, query, most)
    _add_waiters(parts, state, look.taken_at)
    blockers = [
        each
        for each in situation.blockers
        if any(party.pool and pool_name_of(party.pool) == state.name for party in each.parties)
    ]
    rows = (root_blocker_row(each, names) for each in blockers[:most])
    add_blocker_rows(parts, rows, look.taken_at)
    parts.add_part("blockers-note", "blockers_note", len(blockers), max(0, len(blockers) - most))
    _add_processes(parts, state, names, query)
    _add_profile(parts, state, situation, details)
    parts.add_part("times", "times", list(TIMES), details.totals.times)
    leaks = details.totals.leaks
    parts.add_part("leaks", "leaks", leaks, leak_ticket(state, leaks, look.taken_at))
    add_incidents(parts, state.name, details.incidents)
    add_releases(parts, state, situation, details.releases)
    _add_checks(parts, state.processes)
    others = {each.name.namespace: pool_path(each.name) for each in states[1:]}
    facts = {"name": state.name, "others": others, "role": look.role}
    return PageView("pool.html", parts.fragments, parts.lists, facts)


def gone_view(look: Look, name: PoolName) -> PageView:
    """Return the page of a pool without any data."""
    parts = Parts("pool_parts.html")
    parts.add_part("asof", "as_of", look.taken_at, look.situation.withheld)
    last = [
        {
            "process": silent.process,
            "age_s": look.situation.taken_at_s - silent.last_push_s,
            **process_fields(each, {silent.instance: silent.process}),
        }
        for silent in look.silence.processes
        for each in silent.pools
        if (silent.instance.name, each.pool.name) == (name.service, name.pool)
    ]
    parts.add_part("gone", "gone", last[:MAX_MEMBERS])
    return PageView("gone.html", parts.fragments, parts.lists, {"name": name})


def _add_state(parts: Parts, look: Look, state: ServicePoolState, names: ProcessNames) -> None:
    strip = look.strips.get(state.name)
    row = {
        **state_fields(state),
        "strip": None if strip is None else draw_strip(strip),
        "processes": len(state.processes),
        "ticket": pool_ticket(state, names, look.taken_at),
    }
    parts.add_part("asof", "as_of", look.taken_at, look.situation.withheld)
    parts.add_part("state", "state", row)


def _add_held(
    parts: Parts,
    look: Look,
    state: ServicePoolState,
    query: PageQuery,
    most: int,
) -> None:
    names = process_names(look.situation.instances)
    judgements = [
        each
        for each in look.situation.judgements
        if pool_name_of(each.checkout.pool) == state.name
        and query.instance in (None, each.checkout.pool.instance.id)
        and query.verdict in (None, each.verdict)
    ]
    groups = group_held(judgements)
    rows = {
        json.dumps([group.verdict, group.reason, group.evidence, group.route, group.taken_at,
                    group.kept_at]): _held_row(state, group, names, look)
        for group in groups[:most]
    }  # fmt: skip
    parts.add_list("held", "held_row", rows)
    held = [each.numbers.held_total for each in state.processes]
    listed = [each.numbers.listed_total for each in state.processes]
    note = {
        "groups": len(groups),
        "more": max(0, len(groups) - most),
        "unlisted": sum(filter(None, held)) - sum(filter(None, listed)),
    }
    parts.add_part("held-note", "held_note", note)


def _held_row(
    state: ServicePoolState, group: HeldGroup, names: ProcessNames, look: Look
) -> dict[str, Any]:
    members = [
        {
            **checkout_row(each, names),
            "trace_link": trace_link(look.trace_url, each.checkout.trace_id),
        }
        for each in group.judgements[:MAX_MEMBERS]
    ]
    pids = [each["backend_pid"] for each in members if each["backend_pid"] is not None]
    is_bad = group.verdict is Verdict.WORKING and group.reason
    return {
        "verdict": group.verdict,
        "style": "dim" if is_bad else _STYLES.get(group.verdict, "bad"),
        "reason": group.reason,
        "evidence": group.evidence,
        "route": group.route,
        "taken_at": place_text(group.taken_at),
        "kept_at": None if group.kept_at is None else str(group.kept_at),
        "count": len(group.judgements),
        "oldest_s": group.oldest_s,
        "pids": pids,
        "members": members,
        "more": max(0, len(group.judgements) - MAX_MEMBERS),
        "ticket": held_ticket(state, group, names, look.taken_at),
    }


def _add_waiters(parts: Parts, state: ServicePoolState, taken_at: str) -> None:
    groups = islice(merged_waiters(state.processes), MAX_WAITERS)
    rows = {_waiter_key(group): _waiter_row(group) for group in groups}
    parts.add_list("waiters", "waiter_row", rows)
    waiting = sum(map(_true_waiting, state.processes))
    listed = sum(row["count"] for row in rows.values())
    is_known = any(each.numbers.pending is not None for each in state.processes)
    parts.add_part("waiters-note", "waiters_note", waiting, max(0, waiting - listed), is_known)
    ticket = waiter_ticket(state, waiting, [*rows.values()], taken_at)
    parts.add_part("waiters-ticket", "ticket_block", ticket)


def _true_waiting(state: PoolAssessment) -> int:
    """Return the number of waiting callers; a sender may count callers that it does not list."""
    waiters, pending = state.numbers.waiters, state.numbers.pending or 0
    return pending if waiters is None else max(waiters.waiting, waiters.listed)


def _waiter_key(group: WaiterGroup) -> str:
    return json.dumps([group.phase, group.route, group.code_file, group.code_line])


def _waiter_row(group: WaiterGroup) -> dict[str, Any]:
    file, line = group.code_file, group.code_line
    return {
        "phase": group.phase,
        "route": group.route,
        "asks_at": None if file is None else f"{file}:{line}",
        "function": group.code_function,
        "oldest_s": group.age_s,
        "now": None if group.now is None else str(group.now.line),
        "count": group.count,
    }


def _add_processes(
    parts: Parts, state: ServicePoolState, names: ProcessNames, query: PageQuery
) -> None:
    chosen = [each for each in state.processes if query.instance in (None, each.pool.instance.id)]
    rows = {
        repr(each.pool): {
            **process_fields(each, names),
            "server": each.server or each.pool.server_address,
            "bouncer": each.bouncer,
            "generation": each.numbers.generation,
            "timeouts": each.numbers.timeouts_total,
        }
        for each in chosen[:MAX_PROCESSES]
    }
    parts.add_list("processes", "process_row", rows)
    parts.add_part("processes-note", "processes_note", max(0, len(chosen) - MAX_PROCESSES))


def _add_profile(
    parts: Parts, state: ServicePoolState, situation: Situation, details: PoolDetails
) -> None:
    rows = [each for each in details.profile if each.pool.namespace == state.name.namespace]
    wanted = ProfileSelection(state.name.service, state.name.pool, DEFAULT_WINDOW_S)
    parts.add_part("profile", "profile", profile_rows(rows, situation, wanted), MAX_PROFILE)


@dataclass(slots=True)
class _CheckCount:
    check: ConfigCheck
    processes: int = 0


def _add_checks(parts: Parts, processes: Iterable[PoolAssessment]) -> None:
    """Add each result of a configuration check with the number of its processes."""
    found: dict[str, _CheckCount] = {}
    for each in processes:
        for check in each.checks:
            key = json.dumps(asdict(check))
            found.setdefault(key, _CheckCount(check)).processes += 1
    counted = list(found.values())
    unsafe = [each for each in counted if each.check.result is not Result.OK]
    safe = [each for each in counted if each.check.result is Result.OK]
    parts.add_part("checks", "checks", unsafe[:MAX_CHECKS], safe[:MAX_CHECKS])
