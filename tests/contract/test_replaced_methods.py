"""Whatever we put on a library's class looks like what was there: frameworks call by the looks."""

import inspect
import sys
from collections.abc import Iterator, Mapping
from types import FunctionType, ModuleType
from typing import Any
from unittest.mock import create_autospec

import asyncpg  # type: ignore[import-untyped] # noqa: F401 - its classes are walked
import fastapi  # noqa: F401 - as above
import psycopg_pool  # noqa: F401 - as above
import pytest
import sqlalchemy.ext.asyncio
import sqlalchemy.orm  # noqa: F401 - as above

from support.applications.apps import instrumented
from support.processes.coroutine_functions import is_coroutine_function

LIBRARIES = ("asyncpg", "fastapi", "psycopg", "psycopg_pool", "sqlalchemy", "starlette")

Key = tuple[type, str]


def modules() -> Iterator[ModuleType]:
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in LIBRARIES:
            yield module


def methods() -> Mapping[Key, Any]:
    """Return everything that the classes of the libraries have, by class and name."""
    classes = {
        value
        for module in modules()
        for value in list(vars(module).values())
        if isinstance(value, type) and value.__module__.partition(".")[0] in LIBRARIES
    }
    return {
        (owner, name): value
        for owner in classes
        for name, value in list(vars(owner).items())
        if isinstance(value, classmethod) or callable(value)
    }


def function_of(method: Any) -> Any:
    return method.__func__ if isinstance(method, classmethod) else method


def replaced() -> Mapping[str, tuple[Any, Any]]:
    """Return what is another while we are attached, by its name: what was there, and ours."""
    before = methods()
    with instrumented():
        during = methods()
    return {
        f"{owner.__module__}.{owner.__qualname__}.{name}": (
            function_of(before.get((owner, name), getattr(owner, name))),
            function_of(value),
        )
        for (owner, name), value in during.items()
        if before.get((owner, name)) is not value
    }


REPLACED = replaced()


def looks(function: Any) -> Mapping[str, Any]:
    return {
        "asyncio": is_coroutine_function(function),
        "inspect": inspect.iscoroutinefunction(inspect.unwrap(function)),
        "generator": inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function),
        "signature": str(inspect.signature(function)),
        **{
            name: getattr(function, name)
            for name in ("__module__", "__name__", "__qualname__", "__doc__")
        },
    }


WRITTEN_IN_PYTHON = sorted(
    name for name, (original, _) in REPLACED.items() if isinstance(original, FunctionType)
)
"""Of what is written in C, as the `__init__` of an exception, no function can have all looks."""


def test_the_walk_finds_what_each_adapter_replaces() -> None:
    for name in (
        "asyncpg.pool.Pool._acquire",
        "asyncpg.pool.Pool.acquire",
        "psycopg_pool.pool.ConnectionPool.getconn",
        "psycopg_pool.pool_async.AsyncConnectionPool.getconn",
        "psycopg_pool.pool.ConnectionPool.__init__",
        "sqlalchemy.pool.base.Pool.connect",
        "sqlalchemy.orm.session.SessionTransaction._connection_for_bind",
        "starlette.applications.Starlette.__call__",
    ):
        assert name in REPLACED


@pytest.mark.parametrize("name", WRITTEN_IN_PYTHON)
def test_a_replaced_method_looks_like_the_original(name: str) -> None:
    original, ours = REPLACED[name]
    assert looks(ours) == looks(original)
    if sys.version_info >= (3, 12):
        assert inspect.iscoroutinefunction(ours) is inspect.iscoroutinefunction(original)


@pytest.mark.parametrize("name", WRITTEN_IN_PYTHON)
def test_a_mock_of_a_replaced_method_is_one_of_the_original(name: str) -> None:
    mocks = [create_autospec(each) for each in REPLACED[name]]
    assert len({type(mock) for mock in mocks}) == 1
    assert len({str(inspect.signature(mock)) for mock in mocks}) == 1
