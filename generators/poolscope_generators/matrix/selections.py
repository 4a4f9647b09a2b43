"""The tests of each counterpart: what the rows of the matrix run, and what those tests assert."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

EXPORTER = "tests/integration/exporter"
SYSTEM = "tests/system"
UNIT = "tests/unit/instrumentation"
INTEGRATION = "tests/integration/instrumentation"
CONFORMANCE = "tests/conformance"


class Scope(Enum):
    """How many of a row's tests run."""

    WHOLE = "whole"
    SELECTED = "selected"
    SHORT = "short"


@dataclass(frozen=True, slots=True)
class Selection:
    """The tests of a counterpart. `more` are the further ones of a whole run.

    `short` are the tests that CI runs for each change, of the rows that CI chose.
    """

    asserts: str
    selected: Sequence[str]
    more: Sequence[str] = ()
    short: Sequence[str] = ()

    def of(self, scope: Scope) -> Sequence[str]:
        """Return the folders and files that a run of this scope has."""
        match scope:
            case Scope.WHOLE:
                return (*self.selected, *self.more)
            case Scope.SELECTED:
                return self.selected
            case Scope.SHORT:
                return self.short


_WAYS = (
    "`check`. Every verdict, link and diagnosis of the scenarios. TLS with SCRAM, IPv6, Unix"
    " sockets, a standby. Several hosts in one DSN. Sessions that send WAL."
)
POSTGRES = Selection(
    f"{_WAYS} Every query with all rights, and with each right revoked. A whole run adds all tests"
    " of the exporter.",
    (
        "tests/matrix/test_postgres.py", f"{EXPORTER}/postgres/test_postgres.py",
        f"{EXPORTER}/postgres/test_revoked_rights.py", f"{EXPORTER}/commands/test_check.py",
    ),
    (EXPORTER,),
    (f"{EXPORTER}/postgres", f"{EXPORTER}/commands/test_check.py"),
)  # fmt: skip
OLD_POSTGRES = Selection(
    _WAYS, ("tests/matrix/test_postgres.py", f"{EXPORTER}/commands/test_check.py")
)
BOUNCER = Selection(
    "Links and the queue in pool modes `session` and `transaction`. Both consoles of a shared port."
    " A shutdown with the exporter attached. Prepared statements. TLS and SCRAM on the console and"
    " for the app. `auth_query`. An honest `unlinked` in pool mode `statement`.",
    (
        *(
            f"{SYSTEM}/test_{name}.py"
            for name in (
                "pgbouncer", "pgbouncer_shutdown", "through_pgbouncer", "behind_proxies",
                "prepared_statements",
            )
        ),
        "tests/matrix/test_pgbouncer.py",
    ),
    (f"{SYSTEM}/test_timed_behind_pgbouncer.py", f"{SYSTEM}/test_pooled_scenarios.py"),
    (f"{SYSTEM}/test_through_pgbouncer.py", f"{SYSTEM}/test_pgbouncer_shutdown.py"),
)  # fmt: skip
ODYSSEY = Selection(
    "The link is `unlinked:unknown_server`, or `unlinked:pooler` if Odyssey's address is a"
    " `--server-alias`. `check` reports that its connection came through a pooler.",
    ("tests/matrix/test_odyssey.py",),
)
PYTHON = Selection(
    "The recorder and the pusher, and the adapters on real pools, with the locked packages. A whole"
    " run adds the conformance suite and the exporter's unit tests.",
    (UNIT, f"{INTEGRATION}/adapters"),
    (CONFORMANCE, INTEGRATION, "tests/unit/exporter"),
    (UNIT,),
)
LIBRARY = Selection(
    "The adapters on real pools. A whole run adds the conformance suite.",
    (f"{UNIT}/adapters", f"{INTEGRATION}/adapters"),
    (CONFORMANCE, UNIT, INTEGRATION),
)
# Both ends of a push: what the pusher encodes, and what the official SDK makes of a MeterProvider.
TELEMETRY = Selection(
    "The encoding of each push, and the numbers that the exporter reads of the official SDK.",
    (
        UNIT, f"{INTEGRATION}/test_push.py", f"{INTEGRATION}/test_sending.py",
        f"{EXPORTER}/receiver/test_official_sdk.py",
    ),
    (),
    (f"{UNIT}/pushing", f"{INTEGRATION}/test_push.py"),
)  # fmt: skip
OTLP_BACKEND = Selection(
    "One Prometheus gets the series from `--forward-to`, another one scrapes. Both have the same"
    " series, panels and alerts. A whole run adds the ways through a Collector, and an app with its"
    " own MeterProvider.",
    (f"{SYSTEM}/test_otlp_backend.py",),
    (f"{SYSTEM}/test_transports.py", f"{SYSTEM}/test_meter_provider.py"),
)
PROMETHEUS = Selection(
    "The shipped configurations, rules and dashboard queries.",
    (f"{SYSTEM}/test_deploy_configs.py", f"{SYSTEM}/test_board_queries.py"),
    (f"{SYSTEM}/test_alerts_end_to_end.py", "tests/alerts"),
)
VMAGENT = Selection(
    "It scrapes the exporter by the job of the shipped configuration. The target is up, and no"
    " sample is lost.",
    ("tests/matrix/test_vmagent.py",),
)
PARSER = Selection(
    "The text of `/metrics` as this parser reads it, in each format that a scraper may ask for.",
    ("tests/unit/exporter/metrics",),
)
CHART = Selection(
    "The chart and the manifests in all variants, held against the schemas of Kubernetes.",
    ("tests/deploy/test_helm.py", "tests/deploy/test_kubernetes.py"),
)
COMPOSE = Selection(
    "The schema of Compose, the hardening of each service, every configuration that is mounted.",
    ("tests/deploy/test_compose.py",),
)
NONE = Selection("Nothing: the row has the reason.", ())
