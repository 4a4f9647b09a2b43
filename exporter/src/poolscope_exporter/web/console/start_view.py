"""Build the start page: what is wrong now, in which pool, since when, and how much room is left."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from poolscope_exporter.core.checks.model import Result
from poolscope_exporter.core.fleet.process_names import ProcessNames, process_names
from poolscope_exporter.core.judging.diagnosis import Diagnosis
from poolscope_exporter.core.judging.overview.last_words import Silence, SilentProcess
from poolscope_exporter.core.judging.overview.service_pools import (
    ServicePoolState,
    group_by_service,
    overview_numbers,
    verdicts_by_pool,
)
from poolscope_exporter.core.judging.situation import PoolAssessment, Situation
from poolscope_exporter.web.console.drawings import connection_bar, draw_strip, style_of
from poolscope_exporter.web.console.look import Look
from poolscope_exporter.web.console.page_parts import PageView, Parts
from poolscope_exporter.web.console.page_query import PageQuery, pool_path
from poolscope_exporter.web.console.tickets.blocker_ticket import blocker_ticket
from poolscope_exporter.web.lock_rows import root_blocker_row
from poolscope_exporter.web.rows import bouncer_row, rejected_row, server_row

WORST: Final = 100
"""The most rows of a list; the number of the others is shown below it."""

FEW: Final = 3
"""The most processes that are named in the row of a pool; its page has the others."""

MAX_QUEUE: Final = 10
"""The most waiting sessions that are shown behind one blocker."""

Row = Mapping[str, Any]


def start_view(look: Look, query: PageQuery) -> PageView:
    """Return the start page; the query selects its pools."""
    situation = query.rows.narrowed(look.situation)
    names = process_names(situation.instances)
    states = query.matching_states(
        group_by_service(situation.pools, situation.judgements),
        names,
        verdicts_by_pool(situation.judgements),
    )
    most = WORST if query.limit is None else min(WORST, query.limit)
    parts = Parts("start_parts.html")
    silent = _silent(look.silence, query)
    _add_head(parts, look, states, silent)
    _add_pools(parts, look, states, names, most)
    _add_blockers(parts, situation, names, most, look.taken_at)
    rows = {each.process: _silent_row(each, situation.taken_at_s) for each in silent[:most]}
    parts.add_list("silent", "silent_row", rows)
    parts.add_part("silent-note", "silent_note", len(silent), max(0, len(silent) - most))
    _add_servers(parts, look, situation, most)
    return PageView("start.html", parts.fragments, parts.lists, {"role": look.role})


def _silent(silence: Silence, query: PageQuery) -> list[SilentProcess]:
    text = (query.q or "").casefold()
    return [
        each
        for each in silence.processes
        if query.service in (None, each.instance.name)
        and query.namespace in (None, each.instance.namespace)
        and query.instance in (None, each.instance.id)
        and text in f"{each.instance.name}\n{each.process}".casefold()
    ]


def _add_head(
    parts: Parts,
    look: Look,
    states: Sequence[ServicePoolState],
    silent: Sequence[SilentProcess],
) -> None:
    situation, numbers = look.situation, overview_numbers(states)
    parts.add_part("asof", "as_of", look.taken_at, situation.withheld)
    # None is unknown, and unknown is not calm.
    tiles = {
        "troubled": (numbers.troubled, "pools in trouble", f"of {numbers.pools}"),
        "waiting": (numbers.waiting, "callers waiting", ""),
        "leaked": (numbers.leaked, "connections leaked", "out now"),
        "failures": (
            numbers.failures_per_minute,
            "failures per minute",
            "callers without a connection",
        ),
        "silent": (len(silent), "silent processes", "of the last hour"),
    }
    for name, tile in tiles.items():
        parts.add_part(f"n-{name}", "tile", name, *tile)
    parts.lists["numbers"] = tuple(f"n-{name}" for name in tiles)


def _add_pools(
    parts: Parts,
    look: Look,
    states: Sequence[ServicePoolState],
    names: ProcessNames,
    most: int,
) -> None:
    shown = [each for each in states if each.worst.diagnosis is not Diagnosis.HEALTHY]
    healthy = [each for each in states if each.worst.diagnosis is Diagnosis.HEALTHY]
    rows = {"\0".join(each.name): _pool_row(each, look, names) for each in shown[:most]}
    parts.add_list("pools", "pool_row", rows)
    note = {
        "shown": len(shown),
        "more": max(0, len(shown) - most),
        "healthy": len(healthy),
        "is_empty": not states,
        "are_pools": bool(look.situation.pools),
        "has_pushes": look.silence.has_pushes or bool(look.situation.instances),
        "last": _last_push(look),
    }
    parts.add_part("pools-note", "pools_note", note)
    calm = {
        "\0".join(each.name): {
            **_name_fields(each),
            "processes": len(each.processes),
            "reason": next(iter(each.worst.reasons), ""),
        }
        for each in healthy[:most]
    }
    parts.add_list("healthy", "healthy_row", calm)
    parts.add_part("healthy-count", "healthy_count", len(healthy), max(0, len(healthy) - most))


def _last_push(look: Look) -> Row | None:
    """Return which silent process pushed last, and how long ago; None if no process is silent."""
    last = next(iter(look.silence.processes), None)
    if last is None:
        return None
    age_s = look.situation.taken_at_s - last.last_push_s
    return {"process": last.process, "service": last.instance.name, "age_s": age_s}


def _name_fields(state: ServicePoolState) -> dict[str, Any]:
    name = state.name
    return {
        "service": name.service,
        "namespace": name.namespace,
        "pool": name.pool,
        "path": pool_path(name),
    }


def _pool_row(state: ServicePoolState, look: Look, names: ProcessNames) -> Row:
    strip = look.strips.get(state.name)
    return {
        **_name_fields(state),
        **state_fields(state),
        "strip": None if strip is None else draw_strip(strip),
        "processes": [process_fields(each, names) for each in state.processes[:FEW]],
        "more_processes": max(0, len(state.processes) - FEW),
        "warnings": warned_checks(state),
    }


def warned_checks(state: ServicePoolState) -> list[str]:
    """Return the ids of the configuration checks that warn in any process."""
    checks = (check for each in state.processes for check in each.checks)
    return sorted({check.check_id for check in checks if check.result is Result.WARN})


def state_fields(state: ServicePoolState) -> dict[str, Any]:
    """Return the diagnosis and the numbers of a pool in all its processes."""
    found = state.worst
    return {
        "diagnosis": found.diagnosis,
        "style": style_of(found.diagnosis),
        "is_probable": found.is_probable,
        "since_s": state.since_s,
        "reasons": found.reasons,
        "of_process": len(state.processes) > 1,
        "diagnoses": state.diagnoses,
        "sums": state.sums,
        "leaked": state.leaked,
        "bar": connection_bar(state.sums),
    }


def process_fields(state: PoolAssessment, names: ProcessNames) -> dict[str, Any]:
    """Return one process of a pool."""
    instance, numbers = state.pool.instance, state.numbers
    return {
        "process": names.get(instance, instance.id),
        "service": instance.name,
        "instance": instance.id,
        "diagnosis": state.diagnosis.diagnosis,
        "style": style_of(state.diagnosis.diagnosis),
        "is_probable": state.diagnosis.is_probable,
        "since_s": state.diagnosis.since_s,
        "reason": next(iter(state.diagnosis.reasons), ""),
        "reasons": state.diagnosis.reasons,
        "used": numbers.used,
        "max": numbers.max,
        "idle": numbers.idle,
        "waiting": numbers.pending,
    }


def _silent_row(silent: SilentProcess, now_s: float) -> Row:
    return {
        "service": silent.instance.name,
        "process": silent.process,
        "age_s": max(0.0, now_s - silent.last_push_s),
        "pools": [process_fields(each, {}) | {"pool": each.pool.name} for each in silent.pools[:2]],
        "more": max(0, len(silent.pools) - 2),
    }


def _add_blockers(
    parts: Parts, situation: Situation, names: ProcessNames, most: int, taken_at: str
) -> None:
    blockers = situation.blockers[:most]
    rows = (root_blocker_row(each, names) for each in blockers)
    add_blocker_rows(parts, rows, taken_at)
    parts.add_part(
        "blockers-note",
        "blockers_note",
        len(situation.blockers),
        max(0, len(situation.blockers) - most),
    )


def add_blocker_rows(parts: Parts, blockers: Iterable[Row], taken_at: str) -> None:
    """Add the list of the root blockers, each with the first sessions of its queue."""
    rows: dict[str, Row] = {}
    for row in blockers:
        queue = row["queue"][:MAX_QUEUE]
        key = f"{row['server']}\0{row['kind']}\0{row['backend_pid']}\0{len(rows)}"
        rows[key] = {
            **row,
            "queue": queue,
            "more": max(0, len(row["queue"]) - MAX_QUEUE),
            "ticket": blocker_ticket(row, taken_at),
        }
    parts.add_list("blockers", "blocker_row", rows)


def _add_servers(parts: Parts, look: Look, situation: Situation, most: int) -> None:
    is_whole = look.role != "sidecar"
    servers = {
        each.server: {**server_row(each), "is_whole": is_whole} for each in situation.servers[:most]
    }
    parts.add_list("servers", "server_row", servers)
    parts.add_part("servers-note", "servers_note", len(situation.servers))
    bouncers = {each.bouncer: bouncer_row(each) for each in situation.bouncers[:most]}
    parts.add_list("bouncers", "bouncer_row", bouncers)
    rejected = {
        f"{each.sender}\0{each.reason}\0{each.metric}": rejected_row(each, situation.taken_at_s)
        for each in situation.rejected[:most]
    }
    parts.add_list("rejected", "rejected_row", rejected)
