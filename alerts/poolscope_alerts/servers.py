"""Alert on what all pools share: the server's limits and its CPU, and the proxy's limits."""

from collections.abc import Callable

from poolscope_alerts.model import NUMBER, PERCENT, Alert, Component, Sources, label
from poolscope_alerts.promql import POOL, Labels, by, duration, selector
from poolscope_exporter.core import own_metrics as own
from poolscope_exporter.core.checks.thresholds import Severity, ThresholdId
from poolscope_exporter.core.own_metrics import OwnMetric

USER_CPU = "poolscope:server_cpu:ratio"
"""A user's own series, with the label `server`, that says better how busy its CPUs are (0 to 1)."""

_SERVER: Labels = ("server",)
_SERVER_WORDS = f"Server {label('server')}"


def alerts(sources: Sources) -> tuple[Alert, ...]:
    """Return the alerts on servers, the worst first."""
    make: tuple[Callable[[Sources], Alert], ...] = (
        _full, _headroom, _limit, _overbooked, _cpu, _bouncer,
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


def _full(sources: Sources) -> Alert:
    return Alert(
        name="DatabaseFull",
        severity=Severity.CRITICAL,
        component=Component.DATABASE,
        about=_SERVER,
        expression=f"{_FREE} <= 0",
        limit="the tightest limit of the server admits no further session",
        summary="The database server admits no further session.",
        description=(
            f"{_SERVER_WORDS}: {NUMBER} further sessions fit under its tightest limit. Every pool "
            "that wants to open a connection now fails. The page names the limit and who uses it."
        ),
        thresholds=(ThresholdId.T9,),
        keep_firing_s=sources.tuning.keep_firing_s,
    )


def _headroom(sources: Sources) -> Alert:
    share = 1 - sources[ThresholdId.T9].limit
    words = f"{_SERVER_WORDS}: {PERCENT} of the sessions that it admits to applications exist."
    return _alert(
        sources,
        "DatabaseHeadroomLow",
        f"{_SESSIONS} / {_LIMIT} >= {share:g}",
        f"{share:.0%} or more of the sessions that the server admits to applications exist",
        ("The database server's reserve of sessions is eaten.", words),
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
        limit="the pools of all processes together may open more than the server should admit",
        summary="All pools together may open more connections than the server should admit.",
        description=(
            f"{{{{ if $labels.pgbouncer }}}}PgBouncer {label('pgbouncer')} before server"
            f"{{{{ else }}}}Server{{{{ end }}}} {label('server')}: the limits of the pools of all "
            f"processes add up to more than is admitted there, less a reserve of {row.limit:.0%}; "
            f"{NUMBER} pool(s) take part. At the next peak connections will be refused. "
            f"{row.advice}"
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
            f"{label('scope')}. Beyond it clients queue in the bouncer. {row.advice}"
        ),
        thresholds=(row.id,),
        for_s=sources.tuning.lasting_s,
        keep_firing_s=sources.tuning.keep_firing_s,
    )
