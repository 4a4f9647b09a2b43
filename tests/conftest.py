"""What every test shares: the event loop that async tests run on."""

from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

from support.processes.garbage import set_aside_what_is_left, set_aside_what_is_loaded

# A busy machine is slow, and a test that fails must fail again.
settings.register_profile(
    "lanes",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("lanes")

pytest_plugins = [
    "support.processes.workers",
    "support.applications.mariadb",
    "support.pgbouncer",
    "support.postgres.server",
    "support.prometheus.replayed",
    "support.documents.fault_records",
    "scenarios.runs",
    "scenarios.timed.records",
]


def pytest_collection_finish() -> None:
    """Begin the tests with a garbage collector that looks at little."""
    set_aside_what_is_loaded()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Generator[None, None, None]:
    """After each test file, spare the collector what the file leaves behind."""
    yield
    if nextitem is None or nextitem.path != item.path:
        set_aside_what_is_left()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"
