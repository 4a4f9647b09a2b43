"""A wait ends with an event or with its time, and leaves nothing behind."""

import asyncio

import pytest

from poolscope_exporter.polling.waiting import wait_for_any


async def test_wait_ends_at_once_where_an_event_is_set() -> None:
    unset, is_set = asyncio.Event(), asyncio.Event()
    is_set.set()

    async with asyncio.timeout(5):
        await wait_for_any(300.0, unset, is_set)


@pytest.mark.parametrize("seconds", [0.0, -1.0])
async def test_wait_without_time_ends_without_an_event(seconds: float) -> None:
    async with asyncio.timeout(5):
        await wait_for_any(seconds, asyncio.Event())


async def test_wait_that_ended_leaves_no_task() -> None:
    before = asyncio.all_tasks()
    await wait_for_any(0.0, asyncio.Event(), asyncio.Event())
    await asyncio.sleep(0)  # the tasks that were cancelled end in this turn

    assert asyncio.all_tasks() == before
