"""Measure every request of Sanic's server, with the template of its route."""

from typing import Any

from sanic.app import Sanic
from sanic.router import Router
from sanic.touchup import TouchUp

from poolscope.adapters.common.patching import Undo, in_order, looking_like, replace
from poolscope.catalogue import UnitKind
from poolscope.recording.registry import Registry
from poolscope.units.blocks import begin, end
from poolscope.units.wsgi import name_request


def install(registry: Registry) -> Undo:
    """Wrap the handling of every request, and return the function that removes the wrappers."""
    return in_order(
        [
            _wrap_after_start(registry),
            replace(Sanic, "handle_request", _handling, registry.contain),
            replace(Router, "get", _naming(registry), registry.contain),
        ]
    )


def _handling(original: Any) -> Any:
    """Return what measures `handle_request`."""

    async def handle_request(self: Sanic, request: Any) -> Any:
        unit = begin(UnitKind.REQUEST)
        try:
            return await original(self, request)
        finally:
            end(unit)

    return handle_request


def _wrap_after_start(registry: Registry) -> Undo:
    """Wrap `handle_request` again after `TouchUp.run`, and return the function that ends that.

    When an application starts, it writes `handle_request` again from its source, without a wrapper.
    """
    touch_up: Any = TouchUp
    original = vars(TouchUp)["run"]

    @registry.contained
    def wrap_again() -> None:
        sanic: Any = Sanic
        written = sanic.handle_request
        sanic.handle_request = looking_like(written, _handling(written))

    def run(cls: Any, app: Any) -> None:
        original.__func__(cls, app)
        wrap_again()

    touch_up.run = classmethod(looking_like(original.__func__, run))

    def restore() -> None:
        touch_up.run = original

    return restore


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
