"""A pool is the same one whichever of its attributes' readers names it."""

import pytest

from poolscope import catalogue
from poolscope_exporter.core.model.checkouts import pool_of
from support.exporter.builders import a_pool, an_instance, identity_of


@pytest.mark.parametrize(
    ("port", "expected"),
    [("5432", 5432), ("65535", 65_535), ("65536", 0), ("", 0), ("-1", 0), ("x", 0), ("٣", 0)],
)
def test_port_that_is_none_reads_as_not_told(port: str, expected: int) -> None:
    attributes = {**identity_of(a_pool()), catalogue.SERVER_PORT: port}
    assert pool_of(an_instance(), attributes) == a_pool(server_port=expected)
