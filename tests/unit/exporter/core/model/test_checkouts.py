"""A pool is the same one whichever of its attributes' readers names it."""

import pytest

from poolscope import catalogue
from poolscope_exporter.core.model.checkouts import pool_of
from support.exporter.builders import a_checkout, a_pool, an_instance, identity_of

OF_ANOTHER_PROCESS = a_pool(an_instance("shop-2"))


@pytest.mark.parametrize(
    ("port", "expected"),
    [("5432", 5432), ("65535", 65_535), ("65536", 0), ("", 0), ("-1", 0), ("x", 0), ("٣", 0)],
)
def test_port_that_is_none_reads_as_not_told(port: str, expected: int) -> None:
    attributes = {**identity_of(a_pool()), catalogue.SERVER_PORT: port}
    assert pool_of(an_instance(), attributes) == a_pool(server_port=expected)


@pytest.mark.parametrize(
    ("namespace", "database"), [("orders", "orders"), ("orders|public", "orders"), ("", "")]
)
def test_database_of_a_pool_is_named_without_its_schema(namespace: str, database: str) -> None:
    assert a_pool(db_namespace=namespace).database == database


def test_checkout_has_one_key_over_all_pushes() -> None:
    first, later = a_checkout(1, age_s=10.0), a_checkout(1, age_s=15.0, route="/other")
    assert first.key == later.key
    assert a_checkout(2).key != first.key != a_checkout(1, pool=OF_ANOTHER_PROCESS).key
