"""Measure every request of Django under WSGI, and name requests by the template of their route."""

from collections.abc import Callable
from typing import Any

from django.core.handlers.base import BaseHandler  # type: ignore[import-untyped]
from django.core.signals import request_finished, request_started  # type: ignore[import-untyped]

from poolscope.adapters.common.patching import Undo, in_order, replace
from poolscope.catalogue import UnitKind
from poolscope.recording.registry import Registry
from poolscope.recording.requests import CURRENT
from poolscope.units.blocks import begin_alone, end
from poolscope.units.wsgi import ENVIRON_KEY, name_request

_SIGNAL_ID = "poolscope"


def install(registry: Registry) -> Undo:
    """Listen for requests and routes, and return the function that ends that."""

    @registry.contained
    def note_start(environ: Any = None, **_: Any) -> None:
        if isinstance(environ, dict) and ENVIRON_KEY not in environ:  # under ASGI there is none
            environ[ENVIRON_KEY] = True
            begin_alone(UnitKind.REQUEST)

    @registry.contained
    def note_end(**_: Any) -> None:
        unit = CURRENT.get()
        if unit is not None and unit.counts_as_request and unit.scope is None:
            end(unit)

    request_started.connect(note_start, weak=False, dispatch_uid=_SIGNAL_ID)
    request_finished.connect(note_end, weak=False, dispatch_uid=_SIGNAL_ID)

    def stop() -> None:
        request_started.disconnect(dispatch_uid=_SIGNAL_ID)
        request_finished.disconnect(dispatch_uid=_SIGNAL_ID)

    named = replace(BaseHandler, "resolve_request", _naming(registry), registry.contain)
    return in_order([stop, named])


def _naming(registry: Registry) -> Callable[[Any], Any]:
    """Return what measures `resolve_request`, which WSGI and ASGI share."""
    note_route = registry.contained(_note_route)

    def measured(original: Any) -> Any:
        def resolve_request(self: BaseHandler, request: Any) -> Any:
            match = original(self, request)
            note_route(match)
            return match

        return resolve_request

    return measured


def _note_route(match: Any) -> None:
    route = getattr(match, "route", None)
    if isinstance(route, str):
        name_request(route if route.startswith(("/", "^")) else f"/{route}")
