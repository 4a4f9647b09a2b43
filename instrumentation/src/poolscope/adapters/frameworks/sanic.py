"""Measure every request of Sanic's server, with the template of its route."""

from typing import Any

from sanic.app import Sanic
from sanic.router import Router

from poolscope.adapters.common.patching import Undo, in_order, replace
from poolscope.catalogue import UnitKind
from poolscope.recording.registry import Registry
from poolscope.units.blocks import begin, end
from poolscope.units.wsgi import name_request


def install(registry: Registry) -> Undo:
    """Wrap the handling of every request, and return the function that removes the wrappers."""

    def handling(original: Any) -> Any:
        async def handle_request(self: Sanic, request: Any) -> Any:
            unit = begin(UnitKind.REQUEST)
            try:
                return await original(self, request)
            finally:
                end(unit)

        return handle_request

    return in_order(
        [
            replace(Sanic, "handle_request", handling, registry.contain),
            replace(Router, "get", _naming(registry), registry.contain),
        ]
    )


def _naming(registry: Registry) -> Any:
    """Return what measures `get`, which returns the route, its handler and its parameters."""
    note_route = registry.contained(_note_route)

    def naming(original: Any) -> Any:
        def get(self: Router, *args: Any, **kwargs: Any) -> Any:
            found = original(self, *args, **kwargs)
            note_route(found)
            return found

        return get

    return naming


def _note_route(found: Any) -> None:
    name_request(f"/{found[0].path}")
