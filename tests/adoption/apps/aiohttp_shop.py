"""A shop on aiohttp and asyncpg's pool."""

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
from aiohttp import web
from truth import count_checkout

if os.environ.get("ADOPTION_LINE"):
    import poolscope

    poolscope.instrument()

TIMEOUT_S = 10
CLOSES_WITHIN_S = 3
POOL = web.AppKey("pool", asyncpg.Pool)
kept: list[Any] = []
routes = web.RouteTableDef()


@routes.get("/stock/{item}")
async def read_stock(request: web.Request) -> web.Response:
    async with request.app[POOL].acquire(timeout=TIMEOUT_S) as connection:
        count_checkout()
        query = "SELECT amount FROM stock WHERE id = $1"
        return web.json_response(await connection.fetchval(query, int(request.match_info["item"])))


@routes.get("/report")
async def report(request: web.Request) -> web.Response:
    async with request.app[POOL].acquire(timeout=TIMEOUT_S) as connection:
        count_checkout()
        await connection.execute("SELECT pg_sleep(1.5)")
    return web.json_response("done")


@routes.get("/export")
async def export(request: web.Request) -> web.Response:
    connection = await request.app[POOL].acquire(timeout=TIMEOUT_S)
    count_checkout()
    await connection.execute("SELECT 1")
    kept.append(connection)  # the leak: nothing releases it
    return web.json_response("exported")


async def with_pool(app: web.Application) -> AsyncIterator[None]:
    dsn = os.environ["ADOPTION_DSN"]
    app[POOL] = pool = await asyncpg.create_pool(dsn, min_size=1, max_size=7, timeout=5)
    yield
    try:
        await asyncio.wait_for(pool.close(), CLOSES_WITHIN_S)
    except TimeoutError:  # a leaked connection would let it wait for ever
        pool.terminate()


def make_app() -> web.Application:
    app = web.Application()
    app.cleanup_ctx.append(with_pool)
    app.add_routes(routes)
    return app


if __name__ == "__main__":
    web.run_app(
        make_app(), host="127.0.0.1", port=int(os.environ["ADOPTION_PORT"]), print=None,
        access_log=None,
    )  # fmt: skip
