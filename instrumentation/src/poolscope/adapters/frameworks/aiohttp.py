"""Measure every request of aiohttp's server, with the canonical path of its resource."""

from typing import Any

from aiohttp.web_app import Application
from aiohttp.web_urldispatcher import UrlDispatcher

from poolscope.adapters.common.patching import Undo, in_order, replace
from poolscope.catalogue import UnitKind
from poolscope.recording.registry import Registry
from poolscope.units.blocks import begin, end
from poolscope.units.wsgi import name_request


def install(registry: Registry) -> Undo:
    """Wrap the handling of every request, and return the function that removes the wrappers."""

    def handling(original: Any) -> Any:
        async def _handle(self: Application, request: Any) -> Any:
            unit = begin(UnitKind.REQUEST)
            try:
                return await original(self, request)
            finally:
                end(unit)

        return _handle

    return in_order(
        [
            replace(Application, "_handle", handling, registry.contain),
            replace(UrlDispatcher, "resolve", _naming(registry), registry.contain),
        ]
    )


def _naming(registry: Registry) -> Any:
    """Return what measures `resolve`: in an application inside another one, it runs first."""
    note_route = registry.contained(_note_route)

    def naming(original: Any) -> Any:
        async def resolve(self: UrlDispatcher, request: Any) -> Any:
            match = await original(self, request)
            note_route(match)
            return match

        return resolve

    return naming


def _note_route(match: Any) -> None:
    resource = match.route.resource  # None if no route matches
    name_request(getattr(resource, "canonical", None))
