"""A request of WSGI: it ends when the server closes the response, whatever the response is."""

import io
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.util import FileWrapper

import pytest

from poolscope.catalogue import UnitKind
from poolscope.middleware import PoolscopeWSGIMiddleware
from poolscope.recording.requests import CURRENT, Request
from poolscope.units.wsgi import WSGIApplication, name_request


@pytest.fixture(autouse=True)
def outside() -> Iterator[None]:
    """Begin and leave each test outside of any request."""
    token = CURRENT.set(None)
    yield
    CURRENT.reset(token)


class Response:
    """A response that notes whether its request had ended when it was closed."""

    status_code = 200

    def __init__(self) -> None:
        self.unit = current()
        self.ended_at_close: bool | None = None

    def __iter__(self) -> Any:
        return iter([b"a", b"b"])

    def close(self) -> None:
        self.ended_at_close = self.unit.finished_at_s is not None


class FileInC:
    """A file that accepts no attribute, as those of servers written in C."""

    __slots__ = ()

    def fileno(self) -> int:
        return 1


def current() -> Request:
    unit = CURRENT.get()
    assert unit is not None
    return unit


def has_ended(unit: Request) -> bool:
    return unit.finished_at_s is not None


def call(app: WSGIApplication, **environ: Any) -> Any:
    return PoolscopeWSGIMiddleware(app)(environ, None)


def app_with(make: Callable[[], Any], units: list[Request]) -> WSGIApplication:
    def app(environ: Any, start_response: Any) -> Iterable[Any]:
        units.append(current())
        return make()  # type: ignore[no-any-return]

    return app


def test_a_request_ends_when_the_server_has_closed_the_response() -> None:
    units: list[Request] = []
    body = call(app_with(Response, units))
    [unit] = units
    assert list(body) == [b"a", b"b"]
    assert unit.finished_at_s is None
    response = body._body
    body.close()
    assert response.ended_at_close is False, "what the application does at the end is in time"
    assert (unit.kind, unit.finished_at_s is not None) == (UnitKind.REQUEST, True)
    assert CURRENT.get() is None


def test_a_request_that_raises_has_ended() -> None:
    def app(environ: Any, start_response: Any) -> Iterable[Any]:
        units.append(current())
        raise KeyError

    units: list[Request] = []
    with pytest.raises(KeyError):
        call(app)
    assert units[0].finished_at_s is not None
    assert CURRENT.get() is None


def test_a_response_that_cannot_be_closed_ends_its_request_all_the_same() -> None:
    units: list[Request] = []
    call(app_with(lambda: iter([b"a"]), units)).close()
    assert units[0].finished_at_s is not None


@pytest.mark.parametrize("parts", [[b"a"], (b"a", b"b")])
def test_a_server_sees_the_length_of_a_response_as_before(parts: Any) -> None:
    body = call(app_with(lambda: parts, []))
    assert len(body) == len(parts)
    body.close()


def test_a_response_without_a_length_gets_none() -> None:
    body = call(app_with(Response, []))
    assert not hasattr(body, "__len__")
    assert body.status_code == 200
    body.close()


def test_a_file_that_the_server_sends_is_the_same_object_and_ends_the_request() -> None:
    units: list[Request] = []
    file = FileWrapper(io.BytesIO(b"a"))
    body = call(app_with(lambda: file, units), **{"wsgi.file_wrapper": FileWrapper})
    assert body is file
    assert not has_ended(units[0])
    body.close()
    assert has_ended(units[0])
    assert file.filelike.closed


def test_a_file_that_takes_no_attribute_never_ends_the_request() -> None:
    """There is no false leak, and the next request of the thread is another one."""
    units: list[Request] = []
    file = FileInC()
    body = call(app_with(lambda: file, units), **{"wsgi.file_wrapper": lambda each: each})
    assert body is file
    assert units[0].finished_at_s is None
    assert CURRENT.get() is None


def test_an_application_inside_another_one_belongs_to_the_same_request() -> None:
    units: list[Request] = []
    inner = PoolscopeWSGIMiddleware(app_with(Response, units))
    body = call(inner)
    assert units == [current()]
    body.close()
    assert units[0].finished_at_s is not None


def test_requests_that_a_server_never_closes_make_no_chain() -> None:
    units: list[Request] = []
    bodies = [call(app_with(Response, units)) for _ in range(3)]
    assert [unit.outer for unit in units] == [None] * 3
    bodies[-1].close()
    assert CURRENT.get() is None


def test_the_first_route_names_the_request() -> None:
    def app(environ: Any, start_response: Any) -> Iterable[Any]:
        for route in (None, "", "/orders/<int:order_id>", "/other"):
            name_request(route)
        return [current().route]

    body = call(app)
    assert list(body) == ["/orders/<int:order_id>"]
    body.close()


def test_a_route_outside_of_a_request_names_nothing() -> None:
    name_request("/orders")
    assert CURRENT.get() is None
