"""Users who ask an app again and again, all at the same time, until they are told to stop."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx


@contextmanager
def a_crowd(url: str, users: int, pause_s: float = 0.0) -> Iterator[None]:
    """Let so many users ask for `url` while the context lasts; none waits longer than a minute."""
    over = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_all(url, users, pause_s, over)))
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


async def _all(url: str, users: int, pause_s: float, over: threading.Event) -> None:
    limits = httpx.Limits(max_connections=users)
    async with httpx.AsyncClient(trust_env=False, timeout=60, limits=limits) as client:
        await asyncio.gather(*(_one(client, url, pause_s, over) for _ in range(users)))


async def _one(client: httpx.AsyncClient, url: str, pause_s: float, over: threading.Event) -> None:
    while not over.is_set():
        with contextlib.suppress(httpx.HTTPError):  # the app may be restarted beneath them
            await client.get(url)
        await asyncio.sleep(pause_s)
