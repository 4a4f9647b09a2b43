"""The load on the sample app: steady healthy traffic, and a fixed set of harmful requests."""

import asyncio
import contextlib
import itertools
import random

import httpx

ORDERS = 50
HEALTHY_INTERVAL_S = 0.2
PAUSE_S = 2.0
FIRST_LEAK_AFTER_S = 3.0
LEAK_INTERVAL_S = 8.0
MOST_LEAKS = 6
RUSH_HOUR_REPORTS = 3
REQUEST_TIMEOUT_S = 30.0


async def run_load(shop: str) -> None:
    """Send requests to the app with base URL `shop` until cancelled.

    One report and one payment run nearly all the time, and one export leaks every eight seconds.
    After the sixth leak there are no further leaks. From then on, three reports run at a time, so
    the healthy requests wait in the queue.
    """
    async with (
        httpx.AsyncClient(
            base_url=shop, timeout=REQUEST_TIMEOUT_S, trust_env=False, limits=httpx.Limits()
        ) as client,
        asyncio.TaskGroup() as tasks,
    ):
        tasks.create_task(_browse(client))
        tasks.create_task(_report(client))
        tasks.create_task(_pay(client))
        tasks.create_task(_export(client))


async def _browse(client: httpx.AsyncClient) -> None:
    async with asyncio.TaskGroup() as tasks:
        while True:
            order = random.randint(1, ORDERS)  # noqa: S311 - which order is shown is no secret
            tasks.create_task(_send(client, "GET", f"/orders/{order}"))
            await asyncio.sleep(HEALTHY_INTERVAL_S)


async def _report(client: httpx.AsyncClient) -> None:
    while True:
        await _send(client, "GET", "/reports")
        await asyncio.sleep(PAUSE_S)


async def _pay(client: httpx.AsyncClient) -> None:
    for order in itertools.count():
        await _send(client, "POST", f"/checkout?order_id={order % ORDERS + 1}")
        await asyncio.sleep(PAUSE_S)


async def _export(client: httpx.AsyncClient) -> None:
    await asyncio.sleep(FIRST_LEAK_AFTER_S)
    for order in range(1, MOST_LEAKS + 1):
        await _send(client, "GET", f"/orders/{order}/export")
        await asyncio.sleep(LEAK_INTERVAL_S)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(RUSH_HOUR_REPORTS - 1):
            tasks.create_task(_report(client))


async def _send(client: httpx.AsyncClient, method: str, path: str) -> None:
    """Send one request and ignore its errors: the demo overloads the pool on purpose."""
    with contextlib.suppress(httpx.HTTPError):
        await client.request(method, path)
