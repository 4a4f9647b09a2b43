"""The rows of the matrix: each counterpart and version, how to get it, and what to run with it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from poolscope_generators.matrix import environments
from poolscope_generators.matrix.environments import ROOT, Environment

EXPORTER = "tests/integration/exporter"
SYSTEM = "tests/system"
INSTRUMENTATION = "tests/integration/instrumentation"

POSTGRES = (EXPORTER,)
POSTGRES_SHORT = (f"{EXPORTER}/postgres", f"{EXPORTER}/commands/test_check.py")
BOUNCER = (
    *sorted(str(path.relative_to(ROOT)) for path in (ROOT / SYSTEM).glob("test_*pgbouncer*.py")),
    f"{SYSTEM}/test_prepared_statements.py",
    f"{SYSTEM}/test_pooled_scenarios.py",
)
BOUNCER_SHORT = (f"{SYSTEM}/test_through_pgbouncer.py",)
PYTHON = ("tests/unit/instrumentation", "tests/unit/exporter", "tests/conformance", INSTRUMENTATION)
PYTHON_SHORT = PYTHON[:1]
LIBRARY = ("tests/unit/instrumentation", "tests/conformance", INSTRUMENTATION)
LIBRARY_SHORT = ("tests/unit/instrumentation/adapters", f"{INSTRUMENTATION}/adapters")
# Both ends of a push: what the pusher encodes, and what the official SDK makes of a MeterProvider.
TELEMETRY = (
    "tests/unit/instrumentation", f"{INSTRUMENTATION}/test_push.py",
    f"{INSTRUMENTATION}/test_sending.py", f"{EXPORTER}/receiver/test_official_sdk.py",
)  # fmt: skip
TELEMETRY_SHORT = ("tests/unit/instrumentation/pushing", *TELEMETRY[1:2])


@dataclass(frozen=True, slots=True)
class Row:
    """One version of a counterpart. `short` are the tests that CI runs for each change, if any."""

    name: str
    counterpart: str
    environment: Callable[[], Environment]
    tests: Sequence[str]
    short: Sequence[str] = ()
    looks_ahead: bool = False


class UnknownRowError(ValueError):
    """A name that no row has."""


ROWS: tuple[Row, ...] = (
    *(
        Row(
            f"postgres-{major}", "PostgreSQL", partial(environments.postgres_of_npm, major),
            POSTGRES, POSTGRES_SHORT if major == "14" else (),
        )
        for major in ("14", "15", "16", "17", "18")
    ),
    Row("pgbouncer-installed", "PgBouncer", environments.installed_bouncer, BOUNCER),
    Row("pgbouncer-trixie", "PgBouncer", partial(environments.bouncer_of_suite, "trixie"), BOUNCER),
    Row(
        "pgbouncer-sid", "PgBouncer", partial(environments.bouncer_of_suite, "sid"),
        BOUNCER, BOUNCER_SHORT,
    ),
    Row("odyssey-sid", "Odyssey", partial(environments.odyssey_of_suite, "sid"), ("tests/matrix",)),
    *(
        Row(
            f"python-{version}", "Python", partial(environments.python, version),
            PYTHON, PYTHON_SHORT if version == "3.14" else (), looks_ahead=version == "3.15",
        )
        for version in ("3.11", "3.12", "3.13", "3.14", "3.15")
    ),
    *(
        Row(name, "SQLAlchemy", partial(environments.library, name, "sqlalchemy"), LIBRARY)
        for name in ("sqlalchemy-2.0-oldest", "sqlalchemy-2.0-newest")
    ),
    Row("sqlalchemy-2.1", "SQLAlchemy", partial(environments.locked, "sqlalchemy"), LIBRARY),
    Row(
        "opentelemetry-oldest", "OpenTelemetry SDK",
        partial(environments.library, "opentelemetry-oldest", "opentelemetry-sdk"),
        TELEMETRY, TELEMETRY_SHORT,
    ),
    Row(
        "opentelemetry-newest", "OpenTelemetry SDK",
        partial(environments.locked, "opentelemetry-sdk"), TELEMETRY,
    ),
)  # fmt: skip
"""The newest of each is the locked one, or comes with a suite of Debian: CI runs it anyway."""


def chosen(names: Sequence[str]) -> tuple[Row, ...]:
    """Return the rows of these names, or all rows if there are no names."""
    known = {row.name: row for row in ROWS}
    if unknown := [name for name in names if name not in known]:
        raise UnknownRowError(f"no rows: {', '.join(unknown)}; there are {', '.join(known)}")
    return tuple(known[name] for name in names) or ROWS
