"""What every test shares: the event loop that async tests run on."""

import pytest

pytest_plugins = [
    "support.mariadb",
    "support.pgbouncer",
    "support.postgres",
    "support.replayed",
    "support.fault_records",
    "scenarios.results",
]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"
