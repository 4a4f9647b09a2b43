"""Connections that cannot be opened, over all processes of a service."""

from poolscope import catalogue as wire
from poolscope_alerts.model import Sources
from poolscope_alerts.promql import KIND, POOL, SERVICE_POOL, by, duration, name, rate, selector

FAILING_WINDOW_S = 60.0


def cannot_connect(sources: Sources) -> str:
    """Return the share of failed attempts to open a connection, by pool of a service and kind."""
    tuning = sources.tuning
    window_s = FAILING_WINDOW_S / sources.pace
    over = duration(window_s)
    by_kind = _errors(over, KIND)
    attempts = f"({_errors(over)} + {_opened(over)})"
    return (
        f"{by_kind} / ignoring ({KIND}) group_left () {attempts}"
        f" > {tuning.connect_failing_share:g}"
        f" and {by_kind} * {window_s:g} >= {tuning.connect_failing_least:g}"
        f" and ignoring ({KIND}) ({_lasts(sources)})"
        f" unless ignoring ({KIND}) {_errors(duration(_recent_s(sources)))} == 0"
    )


def _lasts(sources: Sources) -> str:
    """Return the expression that a restart of the database is too short for.

    A rate looks back on failures that are over, so `for` cannot tell a restart of a few seconds
    from an outage. Attempts must have failed in two scrapes one after the other, the second without
    a success; or, where some succeed, in the minute before too.
    """
    tuning, recent_s = sources.tuning, _recent_s(sources)
    window_s = FAILING_WINDOW_S / sources.pace
    recent, minute = duration(recent_s), duration(window_s)
    return (
        f"{_errors(recent)} > 0 and {_errors(recent, offset=duration(recent_s / 2))} > 0"
        f" unless {_opened(recent)} > 0"
        f" or {_errors(minute, offset=minute)} * {window_s:g} >= {tuning.connect_failing_least:g}"
    )


def _recent_s(sources: Sources) -> float:
    return sources.tuning.connect_recent_s / sources.pace


def _errors(over: str, *labels: str, offset: str = "") -> str:
    """Return how many attempts fail per second, over all processes; two exporters count once."""
    errors = f"rate({selector(name(wire.CONNECT_ERRORS), over=over, offset=offset)})"
    return by((*SERVICE_POOL, *labels), by((*POOL, KIND), errors), "sum")


def _opened(over: str) -> str:
    """Return how many connections are opened per second, over all processes."""
    return _per_service(rate(name(wire.OPENED), over))


def _per_service(expression: str) -> str:
    return by(SERVICE_POOL, expression, "sum")
