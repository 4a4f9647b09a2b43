from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.pool import Pool

from poolscope.adapters.common.patching import uses_only


class Known:
    def method(self, record: Any) -> None:
        """Do one thing."""
        self.inner(record)

    def inner(self, record: Any) -> None: ...


class Undocumented:
    def method(self, record: Any) -> None:
        self.inner(record)

    def inner(self, record: Any) -> None: ...


class SomethingElse:
    def method(self, record: Any) -> None:
        """Do one thing."""
        self.inner(record)
        self.outer(record)

    def inner(self, record: Any) -> None: ...

    def outer(self, record: Any) -> None: ...


class Otherwise:
    def method(self, _: Any) -> None:
        """Do one thing."""
        self.inner("seven")

    def inner(self, record: Any) -> None: ...


def wrapped(before: Callable[[Any], None]) -> Callable[[Any, Any], None]:
    def method(self: Any, record: Any) -> None:
        before(record)
        self.inner(record)

    return method


@pytest.mark.parametrize("method", [Known.method, Undocumented.method])
def test_a_method_that_uses_just_these_names_is_known(method: Callable[..., None]) -> None:
    assert uses_only(method, ("inner",))


@pytest.mark.parametrize(
    "method", [SomethingElse.method, Otherwise.method, wrapped(print), print, None]
)
def test_whatever_may_do_more_is_not_known(method: Callable[..., None] | None) -> None:
    assert not uses_only(method, ("inner",))


def test_the_constants_it_may_use_are_named() -> None:
    assert uses_only(Otherwise.method, ("inner",), frozenset({"seven"}))


def test_what_is_gone_past_is_known_in_this_version() -> None:
    assert uses_only(Pool.connect, ("_ConnectionFairy", "_checkout"))
    assert uses_only(Pool._return_conn, ("_do_return_conn",))
