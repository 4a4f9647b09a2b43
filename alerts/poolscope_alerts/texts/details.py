"""Write the numbers of a pool into the description of its alert: Prometheus queries them then.

Each sentence stands only if its query finds something, so no text has an empty label. Grafana's
templates have no `query`: its rules do without these sentences.
"""

from typing import Final

from poolscope import catalogue as wire
from poolscope.catalogue import Metric
from poolscope_alerts.model import Alert, Component, label
from poolscope_alerts.promql import PHASE, POOL, PROCESS, ROUTE, Labels, name
from poolscope_exporter.core import own_metrics as own
from poolscope_exporter.core.judging.diagnosis import Diagnosis
from poolscope_exporter.core.own_metrics import INSTANCE_LABELS
from poolscope_exporter.core.prometheus_names import label_name

ADVICE: Final = {
    Diagnosis.CONNECT_FAILING: "Look at the server, the network and the role, not at the pool.",
    Diagnosis.LOOP_BLOCKED: "Move the blocking code off the event loop.",
    Diagnosis.THREADS_EXHAUSTED: "Give the process more worker threads, or wait in fewer of them.",
    Diagnosis.SERVER_FULL: "Do not enlarge the pool: raise the limit there, or run fewer pools.",
    Diagnosis.CONNECTING: "Look at the network, name resolution and TLS: they make opening slow.",
    Diagnosis.SHARED_ACROSS_FORK: "Open the pool in the child, after the fork.",
    Diagnosis.DEADLOCKED: "Use one connection per request, and pass it on.",
    Diagnosis.LEAKING: "Return the connection on every path of the route that leaks.",
    Diagnosis.BLOCKED: "End the transaction that holds the lock.",
    Diagnosis.SLOW_QUERIES: "Cancel the slow query on the server, then make it faster.",
    Diagnosis.HELD_IDLE: "Return the connection, or end its transaction, before other slow work.",
    Diagnosis.SERVER_SLOW: "Do not enlarge the pool: the database is the bottleneck.",
    Diagnosis.UNDERSIZED: (
        "Raise max_overflow (asyncpg, psycopg_pool: max_size), if the server has room."
    ),
    Diagnosis.FULL: "No cause is established yet: look at the holders on the live page.",
}
"""The next step for each diagnosis of a pool with a problem."""

COUNTED: Final[dict[str, Metric]] = {
    "PoolTimeoutBudgetBurn": wire.TIMEOUTS,
    "PoolStaleSockets": wire.INVALIDATED,
    "PoolStaleSocketsCaught": wire.INVALIDATED,
    "PoolSessionsEnded": wire.INVALIDATED,
    "PoolBlockingCheckouts": wire.BLOCKING_CHECKOUTS,
    "PoolNestedCheckouts": wire.NESTED_CHECKOUTS,
    "PoolSharedSessions": wire.SHARED_CONNECTIONS,
    "PoolSharedAcrossFork": wire.INHERITED_CHECKOUTS,
}
"""The alerts that go on for minutes after the last event, and the counter of the events."""

_CALM_S = 150
_HOST, _POD = label_name(wire.HOST_NAME), label_name(wire.K8S_POD_NAME)


def details(alert: Alert) -> str:
    """Return the sentences to append to a description; empty if the alert is not on a pool."""
    identity = tuple(each for each in POOL if each in alert.about)
    if alert.component is not Component.POOL or len(identity) < len(POOL) - 1:
        return ""
    server = _server() if own.POOL_DESTINATION.labels[-2] in alert.about else ""
    parts = (_diagnosis(identity), _route(identity), _call(identity), _waiters(identity), server)
    return "".join((*parts, _host(identity), _calm(alert, identity)))


def _query(expression: str, labels: Labels, then: str) -> str:
    """Return a template for the first series of a query; `%s` in it is the identity's matchers."""
    matchers = ",".join(f"{each}=%q" for each in labels)
    values = " ".join(f"$labels.{each}" for each in labels)
    asked = expression.replace("%s", matchers).replace('"', '\\"')
    return f'{{{{ with query (printf "{asked}" {values}) }}}}{then}{{{{ end }}}}'


def _first(what: str) -> str:
    return f"{{{{ . | first | {what} }}}}"


def _diagnosis(identity: Labels) -> str:
    healthy = f'diagnosis!~"{Diagnosis.HEALTHY}|{Diagnosis.UNKNOWN}"'
    asked = f"max by (diagnosis) ({own.POOL_DIAGNOSIS.name}{{%s,{healthy}}}) == 1"
    found = '{{ $found := . | first | label "diagnosis" }}'
    advice = "".join(
        f'{{{{ {"if" if not at else "else if"} eq $found "{each}" }}}} {text}'
        for at, (each, text) in enumerate(ADVICE.items())
    )
    return _query(asked, identity, f"{found} Diagnosis: {{{{ $found }}}}.{advice}{{{{ end }}}}")


def _route(identity: Labels) -> str:
    held = f'{own.HELD_CHECKOUTS.name}{{%s,{ROUTE}!=""}}'
    asked = f"topk(1, sum by ({ROUTE}, verdict) ({held}))"
    route, verdict = _first(f'label "{ROUTE}"'), _first('label "verdict"')
    then = f" Route {route} holds the most connections for long: {_first('value')}, {verdict}."
    return _query(asked, identity, then)


def _call(identity: Labels) -> str:
    """Return the call in which most holders of the service's pool are now."""
    shared = tuple(each for each in identity if each in own.HOLDING_CALL.labels)
    asked = f"topk(1, sum by (call) ({own.HOLDING_CALL.name}{{%s}}))"
    call = _first('label "call"')
    return _query(asked, shared, f" Most holders are now in {call}: {_first('value')}.")


def _waiters(identity: Labels) -> str:
    asked = f"sum by ({PHASE}) ({name(wire.PENDING)}{{%s}}) > 0"
    each = f' {{{{ . | value }}}} ({{{{ . | label "{PHASE}" }}}})'
    return _query(asked, identity, f" Callers that wait:{{{{ range . }}}}{each}{{{{ end }}}}.")


def _server() -> str:
    server = own.SERVER_UP.labels
    named = f" Server {label(server[0])}"
    up = f"max({own.SERVER_UP.name}{{%s}}) == 0"
    free = f"max({own.SERVER_HEADROOM.name}{{%s}})"
    silent = _query(up, server, f"{named} does not answer the exporter.")
    room = _query(free, server, f"{named} has room for {_first('value')} more session(s).")
    return f"{{{{ if $labels.{server[0]} }}}}{silent}{room}{{{{ end }}}}"


def _host(identity: Labels) -> str:
    """Return the host and the pod of the process; both may be unknown."""
    if INSTANCE_LABELS[2] not in identity:
        return ""
    asked = own.INSTANCE_INFO.name + "{%s}"
    host = f'{{{{ with . | first | label "{_HOST}" }}}} Host: {{{{ . }}}}.{{{{ end }}}}'
    pod = f'{{{{ with . | first | label "{_POD}" }}}} Pod: {{{{ . }}}}.{{{{ end }}}}'
    return _query(asked, PROCESS, host + pod)


def _calm(alert: Alert, identity: Labels) -> str:
    """Return since when nothing happened, for an alert that goes on after the last event.

    A budget is calm long before its short window is: hours are looked at every five minutes, and
    the last look may be that old.
    """
    metric = COUNTED.get(alert.name)
    if metric is None:
        return ""
    extra = tuple(each for each in alert.about if each in map(label_name, metric.attributes))
    over = alert.labels.get("short", "30m")
    step, grows_in, look_s = ("5m", "5m", 300) if over.endswith("h") else ("30s", "1m", 0)
    grown = f"max(increase({name(metric)}{{%s}}[{grows_in}])) > 0"
    asked = f"time() - max_over_time(timestamp({grown})[{over}:{step}]) > {_CALM_S + look_s}"
    ago = _first("value | humanizeDuration")
    return _query(asked, (*identity, *extra), f" The last one was {ago} ago: it is calm now.")
