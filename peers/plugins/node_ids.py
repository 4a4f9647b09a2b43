"""A pytest plugin: write node ids into junit XML, and run only the tests with given node ids."""

import os

import pytest


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Select by the final node ids: SQLAlchemy's tests get theirs after the collection."""
    only = os.environ.get("PEERS_ONLY")
    if only:
        config.hook.pytest_deselected(items=[each for each in items if each.nodeid != only])
        items[:] = [each for each in items if each.nodeid == only]
    for item in items:
        item.user_properties.append(("node_id", item.nodeid))
