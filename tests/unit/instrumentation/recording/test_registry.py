"""An error of ours in a hook is counted, and the application never sees it."""

import inspect

import pytest

from poolscope.recording.registry import Registry


class Hooks:
    def on_close(self, connection: str, *, reason: str = "") -> str:
        """Note that the pool closed a connection."""
        if not reason:
            raise LookupError(connection)
        return f"{connection} {reason}"


def test_an_error_in_a_contained_hook_is_counted_and_returns_none() -> None:
    registry = Registry()
    assert registry.contained(Hooks().on_close)("connection 7") is None
    assert registry.hook_errors == 1
    assert registry.last_hook_error == "LookupError: connection 7"


def test_a_contained_hook_returns_what_the_hook_returns() -> None:
    registry = Registry()
    assert registry.contained(Hooks().on_close)("connection", reason="7") == "connection 7"
    assert registry.hook_errors == 0


def test_what_is_no_error_but_a_way_out_leaves_a_contained_hook() -> None:
    """A cancellation, `sys.exit()` or Ctrl-C that arrives inside a hook is the application's."""

    def interrupted() -> None:
        raise KeyboardInterrupt

    registry = Registry()
    with pytest.raises(KeyboardInterrupt):
        registry.contained(interrupted)()
    assert registry.hook_errors == 0


def test_a_contained_hook_keeps_the_name_and_the_signature_of_the_hook() -> None:
    hook = Hooks().on_close
    contained = Registry().contained(hook)
    assert contained.__name__ == "on_close"
    assert inspect.signature(contained) == inspect.signature(hook)
