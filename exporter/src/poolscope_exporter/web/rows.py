"""Convert judgements to the rows that the API, the page and the events share."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from poolscope_exporter.core.capacity.headroom import Headroom
from poolscope_exporter.core.capacity.pods import PodDemand
from poolscope_exporter.core.capacity.room_for_pods import RoomForPods
from poolscope_exporter.core.checks.model import CheckId, ConfigCheck
from poolscope_exporter.core.fleet.process_names import ProcessNames
from poolscope_exporter.core.fleet.waiter_groups import PoolWaiters, WaiterGroup
from poolscope_exporter.core.judging.diagnosis import PoolDiagnosis
from poolscope_exporter.core.judging.overview.service_pools import failures_per_minute
from poolscope_exporter.core.judging.situation import PoolAssessment
from poolscope_exporter.core.judging.verdicts import Blocker, Judgement
from poolscope_exporter.core.judging.views import BouncerView, ServerView
from poolscope_exporter.core.linking.link import Link, NoLink
from poolscope_exporter.core.model.checkouts import Checkout, Pool
from poolscope_exporter.core.model.now_places import NowPlace
from poolscope_exporter.core.model.rejected_data import RejectedData
from poolscope_exporter.web.bouncer_rows import traffic_fields
from poolscope_exporter.web.owner_rows import session_fields
from poolscope_exporter.web.session_rows import event_of, session_row

_NAMES = ("service_namespace", "service", "pool", "db_namespace", "server_address", "server_port")

_OF_SERVERS = frozenset({CheckId.C7})
"""Checks with one result for all pools of a server."""

Row = Mapping[str, Any]


def checkout_row(judgement: Judgement, names: ProcessNames) -> Row:
    """Return one held checkout; None is unknown, ages are seconds."""
    session = judgement.link.session if isinstance(judgement.link, Link) else None
    return {
        "verdict": judgement.verdict,
        "evidence": judgement.evidence,
        **checkout_place(judgement.checkout, names),
        "backend_pid": _backend_pid(judgement),
        "pgbouncer": judgement.link.bouncer,
        "age_s": round(judgement.age_s, 3),
        "server_state": session.state if session else None,
        "server_query_age_s": session.query_age_s if session else None,
        "wait_event": _wait_event(judgement.link),
        "link": link_text(judgement.link),
        "reason": judgement.reason,
        "lasted_s": judgement.link.lasted_s if isinstance(judgement.link, NoLink) else None,
        "confirmed": judgement.confirmed,
        "blocked_by": [_blocker(blocker, names) for blocker in judgement.blocked_by],
    }


def pool_row(state: PoolAssessment, names: ProcessNames) -> Row:
    """Return one pool; None is unknown, or has no meaning for the pool's class."""
    numbers = state.numbers
    return {
        **pool_identity(state.pool, names),
        **diagnosis_fields(state.diagnosis),
        "used": numbers.used,
        "idle": numbers.idle,
        "overflow": None if numbers.overflow is None else max(0, numbers.overflow),
        "max": numbers.max,
        "pending": numbers.pending,
        "failures_per_minute": _rounded(failures_per_minute(numbers)),
        **waiter_fields(numbers.waiters),
        "timeouts_total": numbers.timeouts_total,
        "held": numbers.held_total,
        "listed": numbers.listed_total,
        "leaks_total": numbers.leaks_total,
        "leaks_recovered_total": numbers.leaks_recovered_total,
        "size": numbers.size,
        "max_overflow": numbers.max_overflow,
        "timeout_s": numbers.timeout_s,
        "connect_timeout_s": numbers.connect_timeout_s,
        "create_p95_s": _rounded(numbers.create_p95_s),
        "recycle_s": numbers.recycle_s,
        "idle_timeout_s": numbers.idle_timeout_s,
        "server": state.server,
        "pgbouncer": state.bouncer,
        "pod": _pod(state.pod) if state.pod else None,
        "proxy_idle_timeout_s": state.proxy_idle.seconds if state.proxy_idle else None,
        "proxy_idle_timeout_source": state.proxy_idle.source if state.proxy_idle else None,
        "config_checks": [_check(check) for check in state.checks],
        "created_at": numbers.generation.call_site if numbers.generation else None,
        "generation": numbers.generation.number if numbers.generation else None,
        "pool_class": numbers.pool_class,
        "library": numbers.library,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def diagnosis_fields(found: PoolDiagnosis) -> Row:
    """Return the diagnosis of a pool, its certainty, its age and its reasons."""
    age_s = found.since_s
    return {
        "diagnosis": found.diagnosis,
        "is_probable": found.is_probable,
        "diagnosis_age_s": None if age_s is None else round(age_s, 3),
        "reasons": list(found.reasons),
    }


def waiter_fields(waiters: PoolWaiters | None) -> Row:
    """Return the waiting callers of a pool in groups, and their number; None is unknown."""
    if waiters is None:
        return {"waiters": None, "waiters_waiting": None, "waiters_listed": None}
    return {
        "waiters": [_waiter_group(group) for group in waiters.groups],
        "waiters_waiting": waiters.waiting,
        "waiters_listed": waiters.listed,
    }


def server_row(view: ServerView) -> Row:
    """Return one server; None is unknown."""
    identity = view.identity
    return {
        "server": view.server,
        "up": view.up,
        "reason": view.reason,
        "last_success_age_s": view.last_success_age_s,
        "version_num": identity.version_num if identity else None,
        "in_recovery": identity.in_recovery if identity else None,
        "place": view.place,
        "role": identity.role if identity else None,
        "privilege": identity.privilege if identity else None,
        "connections": view.connections,
        "limit": view.limits.usable if view.limits else None,
        "headroom": _headroom(view.headroom) if view.headroom else None,
        "room_for_pods": [_room(each) for each in view.room],
        "left_out": view.left_out,
        **session_fields(view),
    }


def bouncer_row(view: BouncerView) -> Row:
    """Return one PgBouncer; None is unknown, time-outs are seconds and 0 for none."""
    return {
        "pgbouncer": view.bouncer,
        "up": view.up,
        "reason": view.reason,
        "last_success_age_s": view.last_success_age_s,
        "version": view.version,
        "clients": view.clients,
        "timeouts_s": view.timeouts_s,
        "is_one_of_several": view.is_one_of_several,
        "paused": sorted(view.paused),
        **traffic_fields(view.traffic),
        "potential_clients": view.potential_clients,
        "headroom": _headroom(view.headroom) if view.headroom else None,
        "room_for_pods": [_room(each) for each in view.room],
    }


def pool_identity(pool: Pool, names: ProcessNames) -> Row:
    """Return the identity of a pool and its process."""
    return {
        "service": pool.instance.name,
        "service_namespace": pool.instance.namespace,
        "service_instance_id": pool.instance.id,
        "process": names.get(pool.instance, pool.instance.id),
        "pool": pool.name,
        "db_namespace": pool.db_namespace,
        "server_address": pool.server_address,
        "server_port": pool.server_port or None,
    }


def link_text(link: Link | NoLink) -> str:
    """Return the link's level, or `unlinked:` and the reason."""
    return link.level if isinstance(link, Link) else f"unlinked:{link.reason}"


def _waiter_group(group: WaiterGroup) -> Row:
    return {
        "phase": group.phase,
        "route": group.route,
        "code_file": group.code_file,
        "code_line": group.code_line,
        "code_function": group.code_function,
        "age_s": round(group.age_s, 3),
        "count": group.count,
        "now": None if group.now is None else now_row(group.now),
    }


def _check(check: ConfigCheck) -> Row:
    return {
        "check_id": check.check_id,
        "result": check.result,
        "setting": check.setting,
        "value": check.value,
        "safe_range": check.safe_range,
        "cure": check.cure,
    }


def _pool_of(checkout: Checkout, names: ProcessNames) -> Row:
    return {**pool_identity(checkout.pool, names), "checkout_id": checkout.id}


def _place_of(checkout: Checkout) -> Row:
    return {
        "route": checkout.route,
        "code_file": checkout.code_file,
        "code_line": checkout.code_line,
        "code_function": checkout.code_function,
        "backend_pid": checkout.backend_pid,
        "trace_id": checkout.trace_id,
        "now": None if checkout.now is None else now_row(checkout.now),
    }


def now_row(now: NowPlace) -> Row:
    """Return where an owner was at the last look before the push; None is unknown."""
    return {
        "summary": str(now.line),
        "code_file": now.code_file,
        "code_line": now.code_line,
        "code_function": now.code_function,
        "call": now.call,
        "looks": now.looks,
        "age_s": round(now.age_s, 3),
    }


def _backend_pid(judgement: Judgement) -> int | None:
    """Return the session's backend PID; the PID that PgBouncer gives an app is made up."""
    link = judgement.link
    if isinstance(link, Link):
        return link.session.pid
    return judgement.checkout.backend_pid if link.bouncer is None else None


def _blocker(blocker: Blocker, names: ProcessNames) -> Row:
    session = session_row(blocker.session)
    if blocker.checkout is None:
        return {
            "backend_pid": blocker.pid,
            "idle_in": pool_identity(blocker.idle_in, names) if blocker.idle_in else None,
            "last_checkout": checkout_place(blocker.last, names) if blocker.last else None,
            "session": session,
        }
    place = checkout_place(blocker.checkout, names)
    return {**place, "backend_pid": blocker.pid, "session": session}


def checkout_place(checkout: Checkout, names: ProcessNames) -> Row:
    """Return a checkout's identity, and the line that took the connection."""
    return {**_pool_of(checkout, names), **_place_of(checkout)}


def _wait_event(link: Link | NoLink) -> str | None:
    return event_of(link.session) if isinstance(link, Link) else None


def _headroom(room: Headroom) -> Row:
    return {
        "free": room.free,
        "tightest": room.tightest,
        "name": room.name,
        "limit": room.limit,
        "used": room.used,
    }


def _pod(pod: PodDemand) -> Row:
    return {
        "kind": pod.kind,
        "processes": pod.processes,
        "size": pod.size,
        "max": pod.most,
        "cpu_limit": pod.limits.cpus,
        "memory_limit_bytes": pod.limits.memory_bytes,
    }


def _room(room: RoomForPods) -> Row:
    return {
        "service": room.service,
        "service_namespace": room.namespace,
        "kind": room.kind,
        "pods": room.pods,
        "connections": room.connections,
        "more": room.more,
    }


def group_by_configuration(pools: Iterable[Row]) -> list[dict[str, Any]]:
    """Return one row for all processes with the same pool name and the same check results.

    A row has the names, the number of `processes`, the id and name of one of them, and
    `config_checks`. Checks of a whole server are not among them: `group_by_server` has those.
    """
    found: dict[str, dict[str, Any]] = {}
    for pool in pools:
        names = {name: pool[name] for name in _NAMES}
        checks = [each for each in pool["config_checks"] if each["check_id"] not in _OF_SERVERS]
        row = found.setdefault(
            json.dumps([names, checks]),
            {
                **names,
                "service_instance_id": pool["service_instance_id"],
                "process": pool["process"],
                "processes": 0,
                "config_checks": checks,
            },
        )
        row["processes"] += 1
    return list(found.values())


def group_by_server(pools: Iterable[Row]) -> list[dict[str, Any]]:
    """Return one row for each result of a check of a whole server, which all its pools share.

    A row has the number of `pools`, their `addresses`, and the fields of the check.
    """
    found: dict[str, dict[str, Any]] = {}
    for pool in pools:
        for check in pool["config_checks"]:
            if check["check_id"] in _OF_SERVERS:
                row = found.setdefault(json.dumps(check), {**check, "pools": 0, "addresses": []})
                row["pools"] += 1
                address = _address(pool)
                if address not in row["addresses"]:
                    row["addresses"].append(address)
    return list(found.values())


def _address(pool: Row) -> str:
    host, port = pool["server_address"], pool["server_port"]
    return host if port is None else f"{host}:{port}"


def rejected_row(rejected: RejectedData, now_s: float) -> dict[str, Any]:
    """Return the fields of `RejectedRow`."""
    return {
        "sender": rejected.sender,
        "reason": rejected.reason,
        "count": rejected.count,
        "metric": rejected.metric,
        "last_age_s": max(0.0, now_s - rejected.last_at_s),
    }
