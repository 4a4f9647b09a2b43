"""A pytest plugin: SQLAlchemy's tests without citext and hstore, which the wheel's server lacks."""

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart() -> None:
    """Empty the list of the extensions that SQLAlchemy creates before its first test."""
    from sqlalchemy.dialects.postgresql import provision  # noqa: PLC0415 - not before their conftest

    provision._extensions.clear()  # noqa: SLF001 - there is no option
