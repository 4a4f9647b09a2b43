"""The rows of the matrix: each counterpart and version, how to get it, and what to run with it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from poolscope_generators.matrix import environments, selections
from poolscope_generators.matrix.environments import Environment
from poolscope_generators.matrix.selections import Scope, Selection


@dataclass(frozen=True, slots=True)
class Row:
    """One version of a counterpart.

    CI runs the short tests of a row for each change if `is_an_end`. A row that `is_promised` must
    be good; the others look ahead or back, or say why the counterpart was not run. A machine
    `may_lack` Python 3.12, because no suite of Debian has it; another job of CI runs it.
    """

    name: str
    counterpart: str
    environment: Callable[[], Environment]
    selection: Selection
    is_an_end: bool = False
    is_promised: bool = True
    may_lack: bool = False

    def tests(self, scope: Scope) -> Sequence[str]:
        """Return the folders and files of a run; a short run has none unless CI chose the row."""
        return () if scope is Scope.SHORT and not self.is_an_end else self.selection.of(scope)


class UnknownRowError(ValueError):
    """A name that no row has."""


def _row_that_is_not_run(name: str, counterpart: str, reason: str) -> Row:
    environment = partial(environments.not_run, reason)
    return Row(name, counterpart, environment, selections.NONE, is_promised=False)


ROWS: tuple[Row, ...] = (
    *(
        Row(
            f"postgres-{major}", "PostgreSQL before 14",
            partial(environments.postgres_of_npm, major), selections.OLD_POSTGRES,
            is_promised=False,
        )
        for major in ("12", "13")
    ),
    *(
        Row(
            f"postgres-{major}", "PostgreSQL", partial(environments.postgres_of_npm, major),
            selections.POSTGRES, is_an_end=major == "14",
        )
        for major in ("14", "15", "16", "17", "18")
    ),
    Row(
        "pgbouncer-installed", "PgBouncer", environments.installed_bouncer, selections.BOUNCER
    ),
    Row(
        "pgbouncer-trixie", "PgBouncer", partial(environments.bouncer_of_suite, "trixie"),
        selections.BOUNCER,
    ),
    Row(
        "pgbouncer-sid", "PgBouncer", partial(environments.bouncer_of_suite, "sid"),
        selections.BOUNCER, is_an_end=True,
    ),
    Row(
        "odyssey-sid", "Odyssey", partial(environments.odyssey_of_suite, "sid"), selections.ODYSSEY
    ),
    *(
        Row(
            f"python-{version}", "Python", partial(environments.python, version),
            selections.PYTHON, is_an_end=version == "3.14", may_lack=version == "3.12",
        )
        for version in ("3.11", "3.12", "3.13", "3.14")
    ),
    Row(
        "python-3.15", "Python", partial(environments.python_ahead, "3.15"), selections.PYTHON,
        is_promised=False,
    ),
    *(
        Row(
            name, "SQLAlchemy", partial(environments.library, name, "sqlalchemy"),
            selections.LIBRARY,
        )
        for name in ("sqlalchemy-2.0-oldest", "sqlalchemy-2.0-newest")
    ),
    Row(
        "sqlalchemy-2.1", "SQLAlchemy", partial(environments.locked, "sqlalchemy"),
        selections.LIBRARY,
    ),
    Row(
        "opentelemetry-oldest", "OpenTelemetry SDK",
        partial(environments.library, "opentelemetry-oldest", "opentelemetry-sdk"),
        selections.TELEMETRY, is_an_end=True,
    ),
    Row(
        "opentelemetry-newest", "OpenTelemetry SDK",
        partial(environments.locked, "opentelemetry-sdk"), selections.TELEMETRY,
    ),
    Row(
        "prometheus-installed", "Prometheus", environments.installed_prometheus,
        selections.PROMETHEUS,
    ),
    Row("prometheus-3", "Prometheus", environments.otlp_prometheus, selections.OTLP_BACKEND),
    Row("vmagent", "vmagent", environments.vmagent, selections.VMAGENT),
    Row(
        "prometheus-client", "prometheus-client (parser)",
        partial(environments.locked, "prometheus-client"), selections.PARSER,
    ),
    Row(
        "helm", "Helm, with schemas of Kubernetes 1.25 and 1.37", environments.helm,
        selections.CHART,
    ),
    Row(
        "compose", "Compose, by check-jsonschema",
        partial(environments.locked, "check-jsonschema"), selections.COMPOSE,
    ),
    _row_that_is_not_run("pgcat", "pgcat", "written in Rust; neither on crates.io nor in Debian"),
    _row_that_is_not_run("pgdog", "pgdog", "written in Rust; neither on crates.io nor in Debian"),
    _row_that_is_not_run("supavisor", "Supavisor", "written in Elixir; not in Debian"),
    _row_that_is_not_run("pint", "pint", "the Go module proxy does not have it"),
)  # fmt: skip
"""The newest of each is the locked one, or comes with a suite of Debian: CI runs it anyway."""


def chosen(names: Sequence[str]) -> tuple[Row, ...]:
    """Return the rows of these names, or all rows if there are no names."""
    known = {row.name: row for row in ROWS}
    if unknown := [name for name in names if name not in known]:
        raise UnknownRowError(f"no rows: {', '.join(unknown)}; there are {', '.join(known)}")
    return tuple(known[name] for name in names) or ROWS
