"""Fail each pytest test that took a connection and did not return it, and name the line.

Off by default. The option `--poolscope-leaks`, or `poolscope_leaks = true` in pytest's settings,
checks every test; the fixture `poolscope_leaks` checks one. In an environment with poolscope,
pytest loads this module in every run, so it imports the rest of poolscope only at its first use.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from poolscope.testing import LeakWatch

FLAG = "poolscope_leaks"
"""The name of the option, the setting and the fixture."""

ALLOWS = "poolscope_allow_leaks"
"""The marker of tests that keep connections on purpose."""

_WATCH = pytest.StashKey["LeakWatch"]()

_Wrapper = Generator[None, Any, Any]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option and the setting that check every test."""
    sentence = "fail each test that takes a database connection and does not return it"
    group = parser.getgroup("poolscope")
    group.addoption("--poolscope-leaks", action="store_true", dest=FLAG, help=sentence)
    parser.addini(FLAG, sentence, type="bool", default=False)


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker; start to watch if every test is checked."""
    reason = f"{ALLOWS}(reason): this test keeps connections on purpose (poolscope)"
    config.addinivalue_line("markers", reason)
    if config.getoption(FLAG) or config.getini(FLAG):
        _begin(config, every_test=True)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Start to watch, if any test requests the fixture."""
    if any(FLAG in getattr(item, "fixturenames", ()) for item in session.items):
        _begin(session.config, every_test=False)


@pytest.fixture
def poolscope_leaks(request: pytest.FixtureRequest) -> LeakWatch:
    """Fail this test if it takes a connection and does not return it, even without the option.

    Call `unreturned()` of the value to see the connections that the test holds at any moment.
    """
    watch: LeakWatch = request.node.stash[_WATCH]
    return watch


def _begin(config: pytest.Config, *, every_test: bool) -> None:
    if config.pluginmanager.has_plugin("poolscope-leak-gate"):
        return
    from poolscope.testing import instrument_quietly  # noqa: PLC0415 - only if a check is on

    gate = LeakGate(every_test=every_test, undo=instrument_quietly())
    config.pluginmanager.register(gate, "poolscope-leak-gate")


class LeakGate:
    """A watch of each test from the start of its set-up to the end of its tear-down.

    A connection that a fixture with a wider scope takes during its set-up is not counted.

    The check comes after the tear-down of the test's function-scoped fixtures, which may return
    connections that the test took through them. It comes before the tear-down of wider fixtures,
    which may close the whole pool. A function-scoped fixture that closes its pool by force hides
    the leaks of its test.

    The test has passed or failed before the check. Then pytest reports the leak as an error at
    the tear-down of the test, and the run fails.
    """

    def __init__(self, *, every_test: bool, undo: Callable[[], None]) -> None:
        self._every_test = every_test
        self._undo = undo
        self._watch: LeakWatch | None = None
        self._armed = False

    def pytest_unconfigure(self) -> None:
        """Detach from every pool."""
        self._undo()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> _Wrapper:
        """Start to watch a test that is to be checked."""
        from poolscope.testing import LeakWatch  # noqa: PLC0415 - as above

        asked = self._every_test or FLAG in getattr(item, "fixturenames", ())
        if asked:
            self._watch = item.stash[_WATCH] = LeakWatch()
            self._armed = item.get_closest_marker(ALLOWS) is not None
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
    ) -> _Wrapper:
        """Excuse the connections of fixtures that outlive the test."""
        watch = self._watch
        if fixturedef.scope == "function":
            self._arm(request.node)
            return (yield)
        with watch.excused() if watch is not None else nullcontext():
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> _Wrapper:
        """Check also tests without any fixture."""
        self._arm(item)
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self) -> _Wrapper:
        """Stop watching the test."""
        try:
            return (yield)
        finally:
            self._watch = None

    def _arm(self, item: pytest.Item) -> None:
        """Check as the last step of the tear-down: finalizers run in reverse order."""
        if self._watch is not None and not self._armed:
            self._armed = True
            item.addfinalizer(self._check)

    def _check(self) -> None:
        unreturned = self._watch.unreturned() if self._watch is not None else []
        if unreturned:
            lines = "\n".join(f"  {connection}" for connection in unreturned)
            pytest.fail(
                f"{len(unreturned)} connection(s) not returned, taken at\n{lines}\n"
                f"Close them, preferably with `with`. To allow this: @pytest.mark.{ALLOWS}",
                pytrace=False,
            )
