"""The test suites that `make peers` runs, and the differences that have a known reason."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

PORT: Final = "{port}"
"""The place of the server's port in an option or a variable."""

ENGINE_TESTS: Final = tuple(
    f"test/engine/test_{name}.py"
    for name in ("pool", "reconnect", "execute", "transaction", "parseconnect", "logging")
)
SQLALCHEMY_FILES: Final = ("test", "lib/sqlalchemy/testing/plugin", "pyproject.toml", "setup.cfg")
"""Of SQLAlchemy's `lib`, only the plugin that its conftest.py reads: the rest is installed."""

OF_SCRIPTS: Final = ("test_prepare_release.py", "test_translate.py", "test_docs_cleanup.py")
"""The tests of the scripts with which FastAPI and SQLModel are released."""


OF_DJANGO: Final = (
    "asgi", "async", "backends", "db_utils", "handlers", "multiple_database", "select_for_update",
    "servers", "transaction_hooks", "transactions",
)  # fmt: skip
"""The parts of Django's tests that make, share or end connections."""


class UnknownSuiteError(ValueError):
    """A name that no suite has; the message lists the names."""


@dataclass(frozen=True, slots=True)
class Suite:
    """One run of a distribution's tests.

    `unpacked` are the parts of the sdist that the tests read: the package itself must come from
    the environment. `known` gives the reason for each test that may differ, by node id.
    """

    name: str
    distribution: str
    unpacked: tuple[str, ...]
    targets: tuple[str, ...]
    options: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    known: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def needs_postgres(self) -> bool:
        """Return whether an option or a variable names the server's port."""
        return any(PORT in text for text in (*self.options, *self.environment.values()))


def _without(*names: str) -> tuple[str, ...]:
    return tuple(f"--ignore=tests/{name}" for name in names)


def _sqlalchemy(name: str, *urls: str) -> Suite:
    return Suite(
        name,
        "sqlalchemy",
        SQLALCHEMY_FILES,
        (*ENGINE_TESTS, "test/ext/asyncio"),
        ("-p", "without_contrib", *(word for url in urls for word in ("--dburi", url))),
    )


def _django(name: str, environment: Mapping[str, str] = MappingProxyType({})) -> Suite:
    return Suite(
        name,
        "django",
        ("tests", "pyproject.toml"),
        tuple(f"tests/{part}" for part in OF_DJANGO),
        ("-p", "django_suite", "-o", "python_files=test*.py"),
        {
            "DJANGO_SETTINGS_MODULE": "django_suite_settings",
            "PEERS_DJANGO": " ".join(OF_DJANGO),
            "PEERS_DJANGO_PORT": PORT,
            **environment,
        },
    )


def _postgres_url(driver: str) -> str:
    return f"postgresql+{driver}://postgres@127.0.0.1:{PORT}/postgres"


SUITES: Final = (
    Suite("starlette", "starlette", ("tests", "pyproject.toml"), ("tests",)),
    Suite(
        "fastapi",
        "fastapi",
        ("tests", "docs_src", "pyproject.toml"),
        ("tests",),
        _without("test_tutorial", "benchmarks", "memory_benchmarks", *OF_SCRIPTS),
        known={
            "tests/test_telemetry/test_integrations.py::test_api_only_and_no_implicit_sdk_import": (
                "the test forbids to import opentelemetry.sdk, which poolscope imports itself"
            )
        },
    ),
    Suite(
        "sqlmodel",
        "sqlmodel",
        ("tests", "docs_src", "pyproject.toml"),
        ("tests",),
        _without("test_tutorial", *OF_SCRIPTS),
    ),
    Suite(
        "asyncpg",
        "asyncpg",
        ("tests", "pyproject.toml"),
        ("tests",),
        _without("test__sourcecode.py"),
        {"PGHOST": "127.0.0.1", "PGPORT": PORT, "PGUSER": "postgres", "PGDATABASE": "postgres"},
    ),
    _sqlalchemy("sqlalchemy-sqlite", "sqlite:///:memory:", "sqlite+aiosqlite:///:memory:"),
    _sqlalchemy("sqlalchemy-psycopg", _postgres_url("psycopg"), _postgres_url("psycopg_async")),
    _sqlalchemy("sqlalchemy-asyncpg", _postgres_url("asyncpg")),
    Suite(
        "celery",
        "celery",
        ("t", "pyproject.toml"),
        ("t/unit",),
        ("-p", "celery.contrib.pytest"),
        {"PEERS_THREADS_FIRST": "1"},
    ),
    _django("django"),
    _django("django-pool", {"PEERS_DJANGO_POOL": "1"}),
)

PSYCOPG: Final = Suite(
    "psycopg",
    "psycopg-pool",
    (),
    ("tests/pool",),
    ("--test-dsn", f"postgresql://postgres@127.0.0.1:{PORT}/postgres"),
)
"""Its sdist has no tests, so its source is a folder that the user gives."""


def chosen(names: Sequence[str], suites: Sequence[Suite]) -> list[Suite]:
    """Return the suites with these names or distributions; all of them if there are no names."""
    known = {word for suite in suites for word in (suite.name, suite.distribution)}
    if unknown := set(names) - known:
        raise UnknownSuiteError(f"no suite {sorted(unknown)}; there are {sorted(known)}")
    wanted = set(names) or known
    return [suite for suite in suites if wanted & {suite.name, suite.distribution}]
