"""Measure every request of Flask applications, with the template of its route."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from flask import Flask, request, request_started

from poolscope.adapters.common.patching import Undo, in_order, replace
from poolscope.recording.registry import Registry
from poolscope.units.wsgi import Environ, name_request, run_wsgi


def install(registry: Registry) -> Undo:
    """Wrap the call of every application and listen for routes; return what undoes both."""

    @registry.contained
    def note_route(*_: Any, **__: Any) -> None:
        name_request(getattr(request.url_rule, "rule", None))

    def call_around(original: Callable[..., Iterable[Any]]) -> Callable[..., Iterable[Any]]:
        def __call__(  # noqa: N807 - it takes the place of the method
            self: Flask, environ: Environ, start_response: Any
        ) -> Iterable[Any]:
            return run_wsgi(partial(original, self), environ, start_response)

        return __call__

    around = replace(Flask, "__call__", call_around, registry.contain)
    request_started.connect(note_route, weak=False)
    return in_order([around, lambda: request_started.disconnect(note_route)])
