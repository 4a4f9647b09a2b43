"""An app whose routes each do one thing to a connection, and never undo it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

import poolscope
from scenarios.app import busy, idle, leaks, pooled

idle.connect_early()
poolscope.instrument()


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    await leaks.at_start()
    yield


app = FastAPI(lifespan=lifespan)
for behaviour in (*leaks.BEHAVIOURS, *busy.BEHAVIOURS, *idle.BEHAVIOURS, *pooled.BEHAVIOURS):
    app.add_api_route(f"/{behaviour.__name__}", behaviour, response_model=None)
