"""Measure every request of Quart applications, with the template of its route."""

from typing import Any

from quart import request, request_started
from quart.app import Quart

from poolscope.adapters.common.patching import Undo, in_order, replace
from poolscope.recording.registry import Registry
from poolscope.units.asgi import call_around
from poolscope.units.wsgi import name_request


def install(registry: Registry) -> Undo:
    """Wrap the call of every application and listen for routes; return what undoes both."""

    async def note_route(*_: Any, **__: Any) -> None:  # asynchronous: others run in a thread
        try:
            name_request(getattr(request.url_rule, "rule", None))
        except Exception as error:  # noqa: BLE001 - the request must continue
            registry.contain(error)

    around = replace(Quart, "__call__", lambda call: call_around(call, registry), registry.contain)
    request_started.connect(note_route, weak=False)
    return in_order([around, lambda: request_started.disconnect(note_route)])
