"""Alert on what poolscope cannot see any more, and tell of configuration outside safe ranges."""

from collections.abc import Callable

from poolscope_alerts.model import NUMBER, POOL_WORDS, Alert, Component, Record, Sources, label
from poolscope_alerts.promql import SERVICE, SERVICE_POOL, Labels, by, duration, increase, selector
from poolscope_exporter.core import own_metrics as own
from poolscope_exporter.core.admission.points import Refusal
from poolscope_exporter.core.checks.thresholds import Severity, ThresholdId
from poolscope_exporter.core.judging.visibility import Role

_CHECKS = tuple(ThresholdId(f"C{number}") for number in (1, 2, 3, 4, 5, 6, 8, 9, 14, 15, 16))
"""C7 is the server's matter, C10 and C11 have alerts of their own."""


_USUAL = 0.9
"""Of the numbers of exporters within a day: a rollout that starts more for an hour is left out."""

PUSH_AGE = "service:poolscope_instance_last_push_age_seconds:min"
"""The time since the last push of any process of a service."""


def records() -> tuple[Record, ...]:
    """Return the recording rules."""
    return (Record(PUSH_AGE, by(SERVICE, own.INSTANCE_LAST_PUSH_AGE.name, "min"), SERVICE),)


def alerts(sources: Sources) -> tuple[Alert, ...]:
    """Return the alerts on what is not seen, and on configuration."""
    make: tuple[Callable[[Sources], Alert], ...] = (
        _poll_failing, _bouncer_failing, _privileges, _exporter_lost, _service_silent, _refusing,
        _misconfigured,
    )  # fmt: skip
    return tuple(each(sources) for each in make)


def absent_alert(sources: Sources) -> Alert:
    """Return the alert on the exporter itself: opt-in, for Prometheus must expect it first."""
    return Alert(
        name="PoolscopeAbsent",
        severity=Severity.WARNING,
        component=Component.POOLSCOPE,
        about=(),
        expression=f"absent({own.BUILD_INFO.name})",
        limit="Prometheus has no series of any exporter",
        summary="No poolscope exporter is scraped.",
        description=(
            "Prometheus has no series of any poolscope exporter: none of the other alerts can fire."
        ),
        for_s=sources.tuning.lasting_s,
    )


def _blind(
    sources: Sources,
    name: str,
    about: Labels,
    expression: str,
    *,
    limit: str,
    words: tuple[str, str],
) -> Alert:
    """Return an alert on what is not seen; `words` are summary and description."""
    return Alert(
        name=name,
        severity=Severity.WARNING,
        component=Component.POOLSCOPE,
        about=about,
        expression=expression,
        limit=limit,
        summary=words[0],
        description=words[1],
        for_s=sources.tuning.blind_s,
    )


def _poll_failing(sources: Sources) -> Alert:
    words = (
        f"Server {label('server')} does not answer the exporter: sessions, verdicts by the server "
        "and headroom are unknown until it does. Run `poolscope-exporter check` for the reason."
    )
    return _blind(
        sources,
        "PoolscopePollFailing",
        ("server",),
        f"{by(('server',), own.SERVER_UP.name)} == 0",
        limit="no exporter's last poll of the server succeeded",
        words=("The exporter cannot poll a database server.", words),
    )


def _bouncer_failing(sources: Sources) -> Alert:
    words = (
        f"PgBouncer {label('pgbouncer')} does not answer the exporter: connections through it are "
        "unlinked until it does. Run `poolscope-exporter check` for the reason."
    )
    return _blind(
        sources,
        "PoolscopePgBouncerFailing",
        ("pgbouncer",),
        f"{by(('pgbouncer',), own.PGBOUNCER_UP.name)} == 0",
        limit="no exporter's last poll of the PgBouncer succeeded",
        words=("The exporter cannot poll a PgBouncer.", words),
    )


def _privileges(sources: Sources) -> Alert:
    full = selector(own.PRIVILEGE_LEVEL.name, 'level="full"', over="1d")
    now = selector(own.PRIVILEGE_LEVEL.name, 'level="full"')
    words = (
        f"Server {label('server')}: the exporter's role saw all sessions within the last day and "
        "does not any more; other roles' sessions are hidden. Grant pg_read_all_stats again."
    )
    return _blind(
        sources,
        "PoolscopePrivilegesLost",
        ("server",),
        f"{by(('server',), now)} == 0 and {by(('server',), f'max_over_time({full})')} == 1",
        limit="the exporter's role could see other roles' sessions within a day, but cannot now",
        words=("The exporter can no longer see the applications' sessions.", words),
    )


def _exporter_lost(sources: Sources) -> Alert:
    """Alert on servers and services that lost their exporter while others go on.

    A service that ended on purpose is gone too: it counts only if an exporter is missing as well.
    """
    known, remembered = duration(sources.tuning.known_s), duration(sources.tuning.remembered_s)
    servers = _watched_no_more(sources, ("server",), own.SERVER_UP.name)
    services = _watched_no_more(sources, SERVICE, own.INSTANCE_LAST_PUSH_AGE.name)
    words = (
        f"{{{{ if $labels.server }}}}Server {label('server')}{{{{ else }}}}Service "
        f"{label('service_name')}{{{{ end }}}} was monitored within the last {remembered}, and no "
        "exporter monitors it now. No alert about it can fire. Start its exporter again, or "
        "let another one take over."
    )
    return _blind(
        sources,
        "PoolscopeExporterLost",
        (*SERVICE, "server"),
        f"{servers} or ({services} and on () ({_exporter_missing(sources)}))",
        limit=(
            f"a server or a service that was monitored {known} ago has no exporter now; remembered "
            f"for {remembered}"
        ),
        words=("No exporter monitors a server or a service any more.", words),
    )


def _watched_no_more(sources: Sources, labels: Labels, metric: str) -> str:
    """Return what an exporter watched for long enough, within the time remembered, but not now."""
    tuning, pace = sources.tuning, sources.pace
    over, known = duration(tuning.remembered_s / pace), duration(tuning.known_s / pace)
    before = f"last_over_time({selector(metric, over=over, offset=known)})"
    return f"({by(labels, before)} unless {by(labels, metric)})"


def _exporter_missing(sources: Sources) -> str:
    """Return a value if there are fewer exporters than usual; a rollout starts some for a moment.

    A sidecar ends with its pod, so only standalone exporters count.
    """
    tuning, pace = sources.tuning, sources.pace
    over, known = duration(tuning.remembered_s / pace), duration(tuning.known_s / pace)
    role = selector(own.EXPORTER_ROLE.name, f'role="{Role.STANDALONE}"')
    usual = f"quantile_over_time({_USUAL:g}, count({role})[{over}:1m] offset {known})"
    return f"(count({role}) or vector(0)) <= {usual} - 1"


def _service_silent(sources: Sources) -> Alert:
    """Alert on a service without a push, also after the exporter has dropped its processes.

    Its last known age tells a service that fell silent from one that shut down cleanly.
    """
    blind_s, pace = sources.tuning.blind_s, sources.pace
    remembered = duration(sources.tuning.remembered_s / pace)
    words = (
        f"No data from any process of {label('service_name')} for "
        "{{ $value | humanizeDuration }} or longer, without a clean shutdown. The service is down, "
        "cannot reach the exporter, or uses a wrong token. Its pools are not monitored."
    )
    return _blind(
        sources,
        "PoolscopeServiceSilent",
        SERVICE,
        f"last_over_time({PUSH_AGE}[{remembered}]) > {blind_s / pace:g}",
        limit=(
            f"no process of a service pushed for {duration(blind_s)}, and none shut down cleanly; "
            f"remembered for {duration(sources.tuning.remembered_s)}"
        ),
        words=("A service sends no data.", words),
    )


def _refusing(sources: Sources) -> Alert:
    window = duration(sources.tuning.event_window_s / sources.pace)
    benign = f'reason!="{Refusal.OUT_OF_ORDER}"'
    counted = increase(own.RECEIVER_REFUSED.name, window, benign, ("reason",))
    words = (
        f"About {NUMBER} points or pushes were rejected in "
        f"{duration(sources.tuning.event_window_s)} ({label('reason')}). Some pools are not "
        "monitored, or only in part. The live page lists the rejected data."
    )
    return _blind(
        sources,
        "PoolscopeRefusing",
        ("reason",),
        f"{counted} > 0",
        limit="an exporter refuses data that applications push",
        words=("The exporter rejects data that applications push.", words),
    )


def _misconfigured(sources: Sources) -> Alert:
    checks = "|".join(_CHECKS)
    warned = selector(own.CONFIG_CHECK.name, f'check_id=~"{checks}", result="warn"')
    labels = (*SERVICE_POOL, "check_id")
    return Alert(
        name="PoolMisconfigured",
        severity=Severity.INFO,
        component=Component.POOL,
        about=labels,
        expression=f"{by(labels, warned)} == 1",
        limit="a setting of the pool is outside its safe range",
        summary="A setting of the pool is outside its safe range.",
        description=(
            f"{POOL_WORDS}: check {label('check_id')} warns. The live page and "
            "/api/v1/pools show the value, the safe range and the cure."
        ),
        thresholds=_CHECKS,
        for_s=3 * sources.tuning.lasting_s,
    )
