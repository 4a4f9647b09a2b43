"""Measure each request of a WSGI application; it ends when the server closes the response."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from poolscope.catalogue import UnitKind
from poolscope.recording.requests import CURRENT, Request
from poolscope.units.blocks import begin_alone, end, leave

Environ = dict[str, Any]
WSGIApplication = Callable[[Environ, Any], Iterable[Any]]

ENVIRON_KEY: Final = "poolscope.request"
"""The key in the environment of a request that has begun; nested applications find it there."""


class WatchedBody:
    """A response of a WSGI application; `close` ends the request, after the response's own.

    It has all attributes of the response, because tests and middleware may read them.
    """

    def __init__(self, body: Any, unit: Request) -> None:
        self._body = body
        self._unit = unit

    def __iter__(self) -> Iterator[Any]:
        """Return the parts of the response."""
        return iter(self._body)

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the response."""
        return getattr(self._body, name)

    def close(self) -> None:
        """Close the response, and end the request."""
        try:
            if hasattr(self._body, "close"):
                self._body.close()
        finally:
            end(self._unit)


class SizedBody(WatchedBody):
    """A response with a length: from it, a server finds the length of a response of one part."""

    def __len__(self) -> int:
        """Return the number of parts."""
        return len(self._body)


def run_wsgi(app: WSGIApplication, environ: Environ, start_response: Any) -> Iterable[Any]:
    """Run one request of `app`, and mark its end; a nested application belongs to the outer one."""
    if ENVIRON_KEY in environ:
        return app(environ, start_response)
    environ[ENVIRON_KEY] = True
    unit = begin_alone(UnitKind.REQUEST)
    try:
        body = app(environ, start_response)
    except BaseException:
        end(unit)
        raise
    if _is_of_server(body, environ.get("wsgi.file_wrapper")):
        _end_with_file(body, unit)
        return body
    watched = SizedBody if hasattr(type(body), "__len__") else WatchedBody
    return watched(body, unit)


def _is_of_server(body: Any, wrapper: Any) -> bool:
    """Return whether a response is a file that the server sends in a fast way.

    The server recognizes the object, so nothing may be put around it.
    """
    if isinstance(wrapper, type):
        return isinstance(body, wrapper)
    return wrapper is not None and hasattr(body, "fileno")


def _end_with_file(body: Any, unit: Request) -> None:
    """Make a file of the server end the request when the server closes it.

    A file that accepts no attribute never ends the request: there is then no evidence of a leak.
    """
    close = getattr(body, "close", None)

    def close_and_end() -> None:
        try:
            if close is not None:
                close()
        finally:
            end(unit)

    try:
        body.close = close_and_end
    except (AttributeError, TypeError):
        leave(unit)


def name_request(route: object) -> None:
    """Name the request that runs now by the template of its route, unless it has a name."""
    unit = CURRENT.get()
    is_new = unit is not None and unit.counts_as_request and unit.known_route is None
    if unit is not None and is_new and route and isinstance(route, str):
        unit.known_route = route
