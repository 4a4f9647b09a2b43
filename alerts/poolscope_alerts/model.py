"""Say what an alert is, before it is written for Prometheus."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from poolscope_alerts.promql import POOL, SERVICE, SERVICE_POOL, Labels
from poolscope_alerts.tuning import Tuning
from poolscope_exporter.core.checks.thresholds import Severity, Threshold, ThresholdId, Thresholds


class Component(Enum):
    """What an alert is about; inhibition and routing go by it."""

    POOL = "connection-pool"
    DATABASE = "database"
    POOLSCOPE = "poolscope"


_OUTLASTS_S = 60.0
"""More than the time between two evaluations, and between two scrapes."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything that the rules are made from.

    `pace` divides every duration: an end-to-end test cannot wait for minutes.
    """

    thresholds: Thresholds
    tuning: Tuning
    pace: float = 1.0

    def __getitem__(self, row: ThresholdId) -> Threshold:
        return self.thresholds[row]

    def keep_firing_s(self, looks_back_s: float = 0.0) -> float:
        """Return how long an alert goes on; looking back over a window is going on already."""
        return max(0.0, self.tuning.keep_firing_s - looks_back_s)

    def keep_silencing_s(self) -> float:
        """Return how long an alert goes on that silences others: until they have all ended.

        Else somebody is told of slow checkouts just when the exhaustion is over.
        """
        return self.tuning.keep_firing_s + _OUTLASTS_S


@dataclass(frozen=True, slots=True)
class Alert:
    """One alerting rule.

    `about` are the labels that the expression leaves. `limit` says in words what the expression
    tests, for the runbook. `for_s` 0 is at once. If the expression judges a time by itself, that is
    `within_s`. `labels` are static ones beside severity.
    """

    name: str
    severity: Severity
    component: Component
    about: Labels
    expression: str
    limit: str
    summary: str
    description: str
    thresholds: tuple[ThresholdId, ...] = ()
    for_s: float = 0.0
    within_s: float = 0.0
    keep_firing_s: float = 0.0
    labels: Mapping[str, str] = field(default_factory=dict)


CALLERS_HURT: Final[Mapping[str, str]] = {"callers": "hurt"}
"""The label of the critical one of two alerts with one name."""


@dataclass(frozen=True, slots=True)
class Record:
    """One recording rule; `about` are the labels that its expression leaves."""

    name: str
    expression: str
    about: Labels = SERVICE_POOL


@dataclass(frozen=True, slots=True)
class Group:
    """Rules that are evaluated one after the other: what is recorded before what reads it.

    `interval_s` is the time between two evaluations; 0 is as often as Prometheus evaluates others.
    """

    name: str
    rules: tuple[Alert | Record, ...]
    interval_s: float = 0.0


def label(name: str) -> str:
    """Return the template of a label's value."""
    return f"{{{{ $labels.{name} }}}}"


SERVICE_WORDS = label("service_name")
POOL_WORDS = f"Pool {label(POOL[3])} of {SERVICE_WORDS}"
"""How a description of a pool begins."""

PROCESS_WORDS = f"{POOL_WORDS} (process {label('service_instance_id')})"
NEXT_STEP = "The live page has the diagnosis of the pool, with the next step."
"""Ends the texts on a symptom: its causes have different cures."""

NUMBER = '{{ $value | printf "%.0f" }}'
PERCENT = "{{ $value | humanizePercentage }}"

_SHORT = {"service_name": "service", POOL[3]: "pool", "service_instance_id": "process",
          "server": "server", "pgbouncer": "pgbouncer"}  # fmt: skip
PLACEHOLDERS: Mapping[str, str] = {**_SHORT, "reason": "reason"}
"""The name for a label's value in the commands of a runbook, as in `$pool`."""

_OF_PAGE = {"service_name": "service", POOL[3]: "pool", "service_instance_id": "instance"}
_BOARDS = {
    Component.POOL: "poolscope-pool",
    Component.DATABASE: "poolscope-server",
    Component.POOLSCOPE: "poolscope-exporter",
}


def certain_labels(alert: Alert) -> Labels:
    """Return the labels that always have a value.

    The server of a pool may be unknown. An alert on servers or services has either of them.
    """
    unsure: set[str] = {"server"} if alert.component is Component.POOL else set()
    if alert.component is Component.POOLSCOPE and "server" in alert.about:
        unsure = set(SERVICE)
    return tuple(label for label in alert.about if label not in unsure)


def dashboard_path(alert: Alert) -> str:
    """Return the dashboard of an alert, with its variables filled.

    Beside a server there need not be a PgBouncer: its variable stays at all of them.
    """
    about = set(certain_labels(alert))
    about -= {"pgbouncer"} if "server" in about else set()
    known = [(_SHORT[name], name) for name in _SHORT if name in about]
    query = "&".join(f"var-{short}={{{{ $labels.{n} | urlquery }}}}" for short, n in known)
    return _BOARDS[alert.component] + (f"?{query}" if query else "")


def page_query(alert: Alert) -> str:
    """Return the query of the exporter's live page that selects the pools of an alert."""
    known = [(short, each) for each, short in _OF_PAGE.items() if each in certain_labels(alert)]
    query = "&".join(f"{short}={{{{ $labels.{each} | urlquery }}}}" for short, each in known)
    return f"?{query}" if query else ""


def is_per_process(alert: Alert) -> bool:
    """Tell whether an alert has a pool's full identity, and not its service's alone."""
    return set(POOL) <= set(alert.about) and set(alert.about) != set(SERVICE_POOL)
