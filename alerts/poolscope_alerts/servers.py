"""Alert on what all pools share: the server's limits and its CPU, and the proxy's limits."""

from collections.abc import Callable, Iterable

from poolscope import catalogue as wire
from poolscope.catalogue import ConnectErrorKind, InvalidationReason
from poolscope_alerts.model import NUMBER, PERCENT, Alert, Component, Sources, label
from poolscope_alerts.promql import (
    KIND,
    POOL,
    REASON,
    Labels,
    by,
    duration,
    increase,
    name,
    selector,
)
from poolscope_exporter.core import own_metrics as own
from poolscope_exporter.core.checks.thresholds import Severity, ThresholdId
from poolscope_exporter.core.model.servers import Change
from poolscope_exporter.core.own_metrics import OwnMetric
from poolscope_exporter.polling.errors import Reason

USER_CPU = "poolscope:server_cpu:ratio"
"""A user's own series, with the label `server`, that says better how busy its CPUs are (0 to 1)."""

_SERVER: Labels = ("server",)
_SERVER_WORDS = f"Server {label('server')}"

UNREACHED = (
    ConnectErrorKind.REFUSED, ConnectErrorKind.UNREACHABLE, ConnectErrorKind.TIMEOUT,
    ConnectErrorKind.NAME_RESOLUTION, ConnectErrorKind.RESET, ConnectErrorKind.TLS,
    ConnectErrorKind.NOT_READY,
)  # fmt: skip
"""The kinds of failure without a server that answers; the others are settings of role or pool."""

SILENT = (Reason.REFUSED, Reason.TIMEOUT, Reason.NAME_RESOLUTION, Reason.TLS, Reason.TERMINATED)
"""The reasons of failed polls without a server that answers; the rest are the exporter's."""

RESTART_ENDS = (
    InvalidationReason.SOCKET, InvalidationReason.ADMIN, InvalidationReason.PING,
    InvalidationReason.LOST_WHILE_IDLE, InvalidationReason.ERROR,
)  # fmt: skip
"""How the connections of a restarted server end, each once; some drivers do not say why."""

_LEADING = by((*POOL, *_SERVER), own.POOL_DESTINATION.name)
"""The pools, by the server to which they lead."""

_DOWN_WINDOW_S = 60.0
_BRIDGE_S = 60.0
"""Bridges a missed scrape; the page ends soon after the server answers again."""


def alerts(sources: Sources) -> tuple[Alert, ...]:
    """Return the alerts on servers, the worst first."""
    make: tuple[Callable[[Sources], Alert], ...] = (
        _down, _full, _headroom, _limit, _overbooked, _cpu, _bouncer, _restarted,
    )  # fmt: skip
    return tuple(each(sources) for each in make)


def _of(metric: OwnMetric, matchers: str = "", labels: Labels = _SERVER, how: str = "max") -> str:
    return by(labels, selector(metric.name, matchers), how)


_FREE = _of(own.SERVER_HEADROOM)
_SESSIONS = by(_SERVER, _of(own.SERVER_CONNECTIONS, labels=("server", "state")), "sum")
_LIMIT = _of(own.SERVER_CONNECTIONS_LIMIT, 'scope="server"')
_OF_NAMES = _of(own.SERVER_CONNECTIONS_LIMIT, 'scope=~"role|database"', how="min")


def _alert(
    sources: Sources, name: str, expression: str, limit: str, words: tuple[str, str]
) -> Alert:
    """Return an alert on a reserve that is eaten; `words` are summary and description."""
    row = sources[ThresholdId.T9]
    return Alert(
        name=name,
        severity=row.severity,
        component=Component.DATABASE,
        about=_SERVER,
        expression=expression,
        limit=limit,
        summary=words[0],
        description=f"{words[1]} {row.advice}",
        thresholds=(row.id,),
        for_s=row.for_s or sources.tuning.lasting_s,
        keep_firing_s=sources.tuning.keep_firing_s,
    )


def _down(sources: Sources) -> Alert:
    """Alert if neither the exporter nor the pools reach the server.

    A failed poll alone may be a matter of the exporter, and failing pools a matter of their role or
    their network: only both together are the server.
    """
    recent = duration(sources.tuning.connect_recent_s / sources.pace)
    window = duration(_DOWN_WINDOW_S / sources.pace)
    up = selector(own.SERVER_UP.name, over=recent)
    unanswered = f"{by(_SERVER, f'max_over_time({up})')} == 0"
    failing = f"({_LEADING} and on ({', '.join(POOL)}) ({_reach_nothing(window)}))"
    return Alert(
        name="DatabaseDown",
        severity=Severity.CRITICAL,
        component=Component.DATABASE,
        about=_SERVER,
        expression=(
            f"{by(_SERVER, failing, 'count')} > 0"
            f" and {unanswered}"
            f" and {unanswered_polls(duration(sources.tuning.lasting_s / sources.pace))} > 0"
        ),
        limit=(
            f"no poll of the server succeeded for {duration(sources.tuning.connect_recent_s)}, and "
            "pools of applications cannot connect to it either"
        ),
        summary="The database server is down or unreachable.",
        description=(
            f"{_SERVER_WORDS} answers neither the exporter nor {NUMBER} pool(s) of applications. "
            "Their callers get errors. A larger pool does not help: bring the server or its "
            "network back. Pools connect again without a restart."
        ),
        keep_firing_s=_BRIDGE_S,
        within_s=sources.tuning.connect_recent_s,
    )


def _reach_nothing(window: str) -> str:
    """Return the pools that cannot connect, or that time out if polls do: a host that hangs."""
    kinds = f'{KIND}=~"{"|".join(UNREACHED)}"'
    refused = f"{increase(name(wire.CONNECT_ERRORS), window, kinds)} > 0"
    timed_out = f"{increase(name(wire.TIMEOUTS), window)} > 0"
    hanging = f"({_LEADING} and on (server) {unanswered_polls(window, (Reason.TIMEOUT,))} > 0)"
    return f"{refused} or {timed_out} and on ({', '.join(POOL)}) {hanging}"


def unanswered_polls(window: str, reasons: Iterable[Reason] = SILENT) -> str:
    """Return how many polls of each server failed for one of the reasons."""
    matcher = f'reason=~"{"|".join(reasons)}"'
    return increase(own.POLL_FAILURES.name, window, matcher, _SERVER)


def _restarted(sources: Sources) -> Alert:
    """Inform about a restart once, in place of the stale sockets of all its pools."""
    over = duration(sources.tuning.event_window_s / sources.pace)
    replaced = f'change="{Change.REPLACED}"'
    changes = f"{increase(own.SERVER_CHANGES.name, over, replaced, _SERVER)} > 0"
    reasons = f'{REASON}=~"{"|".join(RESTART_ENDS)}"'
    lost = by(POOL, increase(name(wire.INVALIDATED), over, reasons, (*POOL, REASON)), "sum")
    ended = by(_SERVER, f"{_LEADING} * on ({', '.join(POOL)}) group_left () {lost}", "sum")
    return Alert(
        name="DatabaseRestarted",
        severity=Severity.INFO,
        component=Component.DATABASE,
        about=_SERVER,
        expression=f"{ended} and on (server) {changes} or 0 * ({changes})",
        limit=(
            "the server was replaced (a restart or a failover) within "
            f"{duration(sources.tuning.event_window_s)}"
        ),
        summary="A database server was restarted, or failed over.",
        description=(
            f"{_SERVER_WORDS} was restarted, or failed over, in the last "
            f"{duration(sources.tuning.event_window_s)}."
            f" About {NUMBER} connections of its pools ended with it, each of them once. This "
            "alert replaces the alerts on their stale sockets and ended sessions."
        ),
    )


def _full(sources: Sources) -> Alert:
    return Alert(
        name="DatabaseFull",
        severity=Severity.CRITICAL,
        component=Component.DATABASE,
        about=_SERVER,
        expression=f"{_FREE} <= 0",
        limit="the tightest limit of the server allows no further session",
        summary="The database server has no free connection slot.",
        description=(
            f"{_SERVER_WORDS}: no further session fits under its tightest limit. Every new "
            "connection fails, also those of new pods. The live page shows the limit and its "
            "largest users."
        ),
        thresholds=(ThresholdId.T9,),
        keep_firing_s=sources.tuning.keep_firing_s,
    )


def _headroom(sources: Sources) -> Alert:
    share = 1 - sources[ThresholdId.T9].limit
    words = f"{_SERVER_WORDS}: {PERCENT} of the slots available to applications are in use."
    return _alert(
        sources,
        "DatabaseHeadroomLow",
        f"{_SESSIONS} / {_LIMIT} >= {share:g}",
        f"{share:.0%} or more of the sessions that the server admits to applications exist",
        (f"At most {1 - share:.0%} of the database server's connection slots are free.", words),
    )


def _limit(sources: Sources) -> Alert:
    share = sources[ThresholdId.T9].limit
    words = f"{_SERVER_WORDS}: {PERCENT} of a role's or a database's connection limit is left."
    return _alert(
        sources,
        "DatabaseLimitNear",
        f"{_FREE} / {_OF_NAMES} <= {share:g} and {_FREE} < {_LIMIT} - {_SESSIONS}",
        f"{share:.0%} or less is left of a role's or a database's limit, the tightest there is",
        ("A role or a database has nearly used up its connection limit.", words),
    )


def _overbooked(sources: Sources) -> Alert:
    row = sources[ThresholdId.C7]
    way = ("server", "pgbouncer")
    leading = by((*POOL, *way), own.POOL_DESTINATION.name)
    warned = by(POOL, selector(own.CONFIG_CHECK.name, f'check_id="{row.id}", result="warn"'))
    lasting_s = row.for_s or 3 * sources.tuning.lasting_s
    return Alert(
        name="DatabaseOverbooked",
        severity=sources[ThresholdId.T9].severity,
        component=Component.DATABASE,
        about=way,
        expression=by(way, f"{leading} and on ({', '.join(POOL)}) {warned} == 1", "count") + " > 0",
        limit="the pools of all processes together may open more than the server should allow",
        summary="All pools together may open more connections than the server should admit.",
        description=(
            f"{{{{ if $labels.pgbouncer }}}}PgBouncer {label('pgbouncer')} before server"
            f"{{{{ else }}}}Server{{{{ end }}}} {label('server')}: {NUMBER} pool(s) together may "
            f"open more connections than it admits, less a reserve of {row.limit:.0%}. At the next "
            f"peak it rejects connections. {row.advice}"
        ),
        thresholds=(ThresholdId.T9, row.id),
        for_s=lasting_s,
    )


def _cpu(sources: Sources) -> Alert:
    row = sources[ThresholdId.T7]
    over_s = 300.0
    active = f"avg_over_time({own.SERVER_ACTIVE_ON_CPU.name}[{duration(over_s / sources.pace)}])"
    ours = f"{by(_SERVER, active)} / {_of(own.SERVER_CPUS)}"
    users = by(_SERVER, f"avg_over_time({USER_CPU}[{duration(over_s / sources.pace)}])")
    return Alert(
        name="DatabaseCpuSaturated",
        severity=row.severity,
        component=Component.DATABASE,
        about=_SERVER,
        expression=f"({users} or {ours}) >= {row.limit:g}",
        limit=f"{row.limit:.0%} or more of the CPUs are busy, on average over {duration(over_s)}",
        summary="The database server's CPUs are nearly saturated.",
        description=(
            f"{_SERVER_WORDS}: {PERCENT} of its CPUs are busy. A larger pool would make every "
            f"query slower. {row.advice}"
        ),
        thresholds=(row.id,),
        for_s=row.for_s,
        keep_firing_s=sources.tuning.keep_firing_s,
    )


def _bouncer(sources: Sources) -> Alert:
    row = sources[ThresholdId.T9]
    labels: Labels = ("pgbouncer", "scope")
    free = _of(own.PGBOUNCER_HEADROOM, labels=labels)
    limit = _of(own.PGBOUNCER_LIMIT, labels=labels)
    return Alert(
        name="PgBouncerHeadroomLow",
        severity=row.severity,
        component=Component.DATABASE,
        about=labels,
        expression=f"{free} / {limit} <= {row.limit:g}",
        limit=f"{row.limit:.0%} or less is left of a limit of the PgBouncer",
        summary="A PgBouncer has nearly used up a limit.",
        description=(
            f"PgBouncer {label('pgbouncer')}: {PERCENT} is left of its limit of "
            f"{label('scope')}. Beyond it, clients queue in the PgBouncer. {row.advice}"
        ),
        thresholds=(row.id,),
        for_s=sources.tuning.lasting_s,
        keep_firing_s=sources.tuning.keep_firing_s,
    )
