"""Situations in which the server refuses, restarts or ends sessions."""

import contextlib

import pytest

from conformance.case import Case
from poolscope import catalogue

TRIES = 4


async def refused_connect(case: Case) -> None:
    case.server.refuse()
    for _ in range(TRIES):
        with pytest.raises(case.pool.errors):
            await case.take(timeout_s=0.2)
        await case.check(out=0)
    # A pool that connects in threads of its own may not have tried yet.
    await case.until(lambda: bool(case.readings.value(catalogue.CONNECT_ERRORS, kind="refused")))
    case.server.accept()
    await case.warm_up()
    await case.check(out=0)


async def server_restart(case: Case) -> None:
    await case.give_back(*[await case.take() for _ in range(1 if case.column.has_one else 2)])
    case.server.refuse()
    await cut(case)
    for _ in range(TRIES):
        await try_once(case)
        await case.check(out=0)
    case.server.accept()
    handle = await case.take()
    await case.use(handle)
    await case.check(out=1)
    await case.give_back(handle)
    await case.check(out=0)


async def killed_idle(case: Case) -> None:
    await case.warm_up()
    await cut(case)
    await try_once(case)
    await case.check(out=0)
    await case.warm_up()
    await case.check(out=0)


async def killed_idle_pre_ping(case: Case) -> None:
    await case.warm_up()
    await cut(case)
    await case.warm_up()
    await case.check(out=0)
    assert case.failed == 0


async def killed_in_use(case: Case) -> None:
    handle = await case.take()
    await cut(case)
    with pytest.raises(case.pool.errors):
        await case.use(handle)
    await give_back_anyhow(case, handle)
    await case.check(out=0)


async def cut(case: Case) -> None:
    """End all sessions, and let the clients' ends of them notice."""
    case.may_hold_dead = True
    case.server.cut()
    await case.until(lambda: case.server.open == 0)
    for _ in range(10):
        await case.pause()


async def try_once(case: Case) -> None:
    """Do what a request does while the server is away: it fails early, late or not at all."""
    try:
        handle = await case.take(timeout_s=0.2)
    except case.pool.errors:
        return
    with contextlib.suppress(*case.pool.errors):
        await case.use(handle)
    await give_back_anyhow(case, handle)


async def give_back_anyhow(case: Case, handle: object) -> None:
    with contextlib.suppress(*case.pool.errors):
        await case.give_back(handle)
