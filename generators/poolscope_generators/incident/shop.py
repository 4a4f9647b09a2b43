"""The demo's shop, and the same with its leak mended: what a team deploys to end the incident."""

import os

from fastapi import FastAPI
from fastapi.routing import APIRoute

from poolscope_exporter.demo import sample_app

EXPORT = "/orders/{order_id}/export"


async def export_order(order_id: int) -> dict[str, object]:
    """Return the first page of an order, and give the connection back."""
    async with sample_app.engine.connect() as connection:
        return await sample_app.Export(connection, order_id).next_page()


def mended(app: FastAPI) -> FastAPI:
    """Put the route that closes its connection in the place of the one that leaks."""
    app.router.routes[:] = [
        route
        for route in app.router.routes
        if not (isinstance(route, APIRoute) and route.path == EXPORT)
    ]
    app.add_api_route(EXPORT, export_order)
    return app


app = mended(sample_app.app) if os.environ.get("SHOP_IS_MENDED") else sample_app.app
