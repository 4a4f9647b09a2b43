"""What every test shares: the event loop that async tests run on."""

import pytest

pytest_plugins = ["support.postgres", "support.pgbouncer"]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"
