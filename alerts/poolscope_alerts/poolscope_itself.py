"""Alert on what poolscope cannot see any more, and tell of configuration outside safe ranges."""

from collections.abc import Callable

from poolscope_alerts.model import NUMBER, POOL_WORDS, Alert, Component, Sources, label
from poolscope_alerts.promql import SERVICE, SERVICE_POOL, Labels, by, duration, increase, selector
from poolscope_exporter.core import own_metrics as own
from poolscope_exporter.core.checks.thresholds import Severity, ThresholdId
from poolscope_exporter.core.fleet.admission import Refusal

_CHECKS = tuple(ThresholdId(f"C{number}") for number in (1, 2, 3, 4, 5, 6, 8, 9))
"""C7 is the server's matter, C10 and C11 have alerts of their own."""


def alerts(sources: Sources) -> tuple[Alert, ...]:
    """Return the alerts on what is not seen, and on configuration."""
    make: tuple[Callable[[Sources], Alert], ...] = (
        _poll_failing, _bouncer_failing, _privileges, _service_silent, _refusing, _misconfigured,
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
        "and headroom are unknown until it does. `poolscope-exporter check` says why."
    )
    return _blind(
        sources,
        "PoolscopePollFailing",
        ("server",),
        f"{by(('server',), own.SERVER_UP.name)} == 0",
        limit="no exporter's last poll of the server succeeded",
        words=("The exporter cannot ask a database server.", words),
    )


def _bouncer_failing(sources: Sources) -> Alert:
    words = (
        f"PgBouncer {label('pgbouncer')} does not answer the exporter: connections through it are "
        "unlinked until it does. `poolscope-exporter check` says why."
    )
    return _blind(
        sources,
        "PoolscopePgBouncerFailing",
        ("pgbouncer",),
        f"{by(('pgbouncer',), own.PGBOUNCER_UP.name)} == 0",
        limit="no exporter's last poll of the PgBouncer succeeded",
        words=("The exporter cannot ask a PgBouncer.", words),
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
        limit="the exporter's role saw other roles' sessions within the last day, and may not now",
        words=("The exporter may not see the applications' sessions any more.", words),
    )


def _service_silent(sources: Sources) -> Alert:
    age = by(SERVICE, own.INSTANCE_LAST_PUSH_AGE.name, "min")
    after = duration(sources.tuning.blind_s)
    words = (
        f"No process of {label('service_name')} has pushed for "
        "{{ $value | humanizeDuration }}, and none said good-bye: its pools are not seen."
    )
    return _blind(
        sources,
        "PoolscopeServiceSilent",
        SERVICE,
        f"{age} > {sources.tuning.blind_s / sources.pace:g}",
        limit=f"no process of a service pushed for {after}, and none ended in order",
        words=("A service has fallen silent.", words),
    )


def _refusing(sources: Sources) -> Alert:
    window = duration(sources.tuning.event_window_s / sources.pace)
    benign = f'reason!="{Refusal.OUT_OF_ORDER}"'
    counted = increase(own.RECEIVER_REFUSED.name, window, benign, ("reason",))
    words = (
        f"About {NUMBER} points or pushes were refused in {duration(sources.tuning.event_window_s)}"
        f" ({label('reason')}): some pools are not, or not wholly, seen."
    )
    return _blind(
        sources,
        "PoolscopeRefusing",
        ("reason",),
        f"{counted} > 0",
        limit="an exporter refuses what applications push",
        words=("The exporter refuses what applications push.", words),
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
            "/api/v1/pools say the value, the safe range and the cure."
        ),
        thresholds=_CHECKS,
        for_s=3 * sources.tuning.lasting_s,
    )
