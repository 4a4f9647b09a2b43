"""What every test shares: the event loop that async tests run on."""

import pytest

pytest_plugins = [
    "support.applications.mariadb",
    "support.pgbouncer",
    "support.postgres.server",
    "support.prometheus.replayed",
    "support.documents.fault_records",
    "scenarios.runs",
]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"
