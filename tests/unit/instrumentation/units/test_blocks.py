"""A unit of work declared by hand: its name, its end, and units inside of each other."""

import asyncio
from collections.abc import Iterator

import pytest

import poolscope
from poolscope.catalogue import OTHER, UnitKind
from poolscope.recording.requests import CURRENT, Request
from poolscope.recording.tasks import this_thread
from poolscope.units import blocks
from poolscope.units.blocks import (
    MAX_NAME_LENGTH,
    MAX_NAMES,
    begin,
    begin_inside,
    bounded_name,
    end,
)


@pytest.fixture(autouse=True)
def no_names(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(blocks, "_names", set())
    token = CURRENT.set(None)
    yield
    CURRENT.reset(token)


def current() -> Request:
    unit = CURRENT.get()
    assert unit is not None
    return unit


def test_a_block_is_a_job_with_a_name_until_it_ends() -> None:
    with poolscope.unit_of_work("nightly import"):
        unit = current()
        assert (unit.kind, unit.route, unit.finished_at_s) == (UnitKind.JOB, "nightly import", None)
        assert unit.thread is this_thread.owner
    assert unit.finished_at_s is not None
    assert CURRENT.get() is None


def test_a_block_that_fails_ends_too_and_its_error_continues() -> None:
    units: list[Request] = []

    @poolscope.unit_of_work("nightly import")
    def fail() -> None:
        units.append(current())
        raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert units[0].finished_at_s is not None
    assert CURRENT.get() is None


def test_each_call_of_a_decorated_function_is_one_job() -> None:
    @poolscope.unit_of_work("sync orders")
    def sync(count: int) -> list[Request]:
        """Sync so many orders."""
        return [current(), *(sync(count - 1) if count else [])]

    assert sync.__doc__ == "Sync so many orders."
    units = sync(1)
    assert len(set(units)) == 2
    assert all(unit.finished_at_s for unit in units)


async def test_a_decorated_coroutine_function_is_one_job_of_its_task() -> None:
    @poolscope.unit_of_work("sync orders")
    async def sync() -> Request:
        await asyncio.sleep(0)
        return current()

    tasks = [asyncio.create_task(sync()) for _ in range(2)]
    units = [await task for task in tasks]
    assert [unit.task() for unit in units if unit.task] == tasks
    assert all(unit.finished_at_s for unit in units)
    assert CURRENT.get() is None


def test_a_block_inside_another_one_ends_by_itself() -> None:
    with poolscope.unit_of_work("all tenants"):
        outer = current()
        with poolscope.unit_of_work("one tenant"):
            inner = current()
        assert inner.finished_at_s is not None
        assert current() is outer
    assert outer.finished_at_s is not None


@pytest.mark.parametrize("kind", [UnitKind.REQUEST, UnitKind.JOB])
def test_a_task_that_a_request_or_job_runs_at_once_belongs_to_it(kind: UnitKind) -> None:
    outer = begin(kind)
    assert begin_inside(UnitKind.JOB, "mail") is None
    assert current() is outer
    end(outer)


def test_a_job_that_a_command_runs_is_a_unit_of_its_own() -> None:
    command = begin(UnitKind.COMMAND, "manage.py worker")
    job = begin_inside(UnitKind.JOB, "mail")
    assert job is current()
    end(job)
    assert current() is command


def test_a_job_begins_where_an_earlier_request_has_ended() -> None:
    """A scheduler that a request started runs its jobs in a copy of the context of the request."""
    begin(UnitKind.REQUEST).finished_at_s = 1.0
    assert begin_inside(UnitKind.JOB, "mail") is not None


def test_names_beyond_the_limit_are_other() -> None:
    names = [bounded_name(f"import {number}") for number in range(MAX_NAMES + 2)]
    assert names[MAX_NAMES - 1] == f"import {MAX_NAMES - 1}"
    assert names[MAX_NAMES:] == [OTHER, OTHER]
    assert bounded_name("import 0") == "import 0"


def test_a_long_name_is_cut() -> None:
    assert bounded_name("x" * 500) == "x" * MAX_NAME_LENGTH
