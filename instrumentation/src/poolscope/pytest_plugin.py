"""Fail the pytest test that took a connection and did not give it back, and name the line.

Off unless asked for: `--poolscope-leaks`, or `poolscope_leaks = true` in pytest's settings, for
every test; the fixture `poolscope_leaks` for one. Loaded in every run of pytest where poolscope
is installed, so it imports nothing of ours before it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from poolscope.testing import LeakWatch

FLAG = "poolscope_leaks"
"""The option, the setting and the fixture."""

ALLOWS = "poolscope_allow_leaks"
"""The marker of tests that keep connections on purpose."""

_WATCH = pytest.StashKey["LeakWatch"]()

_Wrapper = Generator[None, Any, Any]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option and the setting that check every test."""
    sentence = "fail each test that takes a database connection and does not give it back"
    group = parser.getgroup("poolscope")
    group.addoption("--poolscope-leaks", action="store_true", dest=FLAG, help=sentence)
    parser.addini(FLAG, sentence, type="bool", default=False)


def pytest_configure(config: pytest.Config) -> None:
    """Explain the marker; start to watch, if every test is to be checked."""
    reason = f"{ALLOWS}(reason): this test keeps connections on purpose (poolscope)"
    config.addinivalue_line("markers", reason)
    if config.getoption(FLAG) or config.getini(FLAG):
        _begin(config, every_test=True)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Start to watch, if any test asks for it by the fixture."""
    if any(FLAG in getattr(item, "fixturenames", ()) for item in session.items):
        _begin(session.config, every_test=False)


@pytest.fixture
def poolscope_leaks(request: pytest.FixtureRequest) -> LeakWatch:
    """Fail this test if it takes a connection and does not give it back, even without the option.

    The value's `unreturned()` says what the test holds at any moment.
    """
    watch: LeakWatch = request.node.stash[_WATCH]
    return watch


def _begin(config: pytest.Config, *, every_test: bool) -> None:
    if config.pluginmanager.has_plugin("poolscope-leak-gate"):
        return
    from poolscope.testing import instrument_quietly  # noqa: PLC0415 - only where it is asked for

    gate = LeakGate(every_test=every_test, undo=instrument_quietly())
    config.pluginmanager.register(gate, "poolscope-leak-gate")


class LeakGate:
    """Watch each test from the start of its own set-up to the end of its own tear-down.

    What a fixture with a wider scope takes while it is made is its own. The check comes after the
    test's function-scoped fixtures are torn down, which may give back what the test took through
    them, and before wider ones are, which may close the whole pool; a function-scoped fixture that
    closes its pool by force hides what the test has left out of it. A test has passed or failed by
    then: pytest reports the leak as an error at its tear-down, and the run fails.
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
        """Begin to watch a test that is to be checked."""
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
        """Excuse what fixtures take that outlive the test."""
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
        """Let go of the test."""
        try:
            return (yield)
        finally:
            self._watch = None

    def _arm(self, item: pytest.Item) -> None:
        """Check at the tear-down, as its last step: finalizers run in reverse order."""
        if self._watch is not None and not self._armed:
            self._armed = True
            item.addfinalizer(self._check)

    def _check(self) -> None:
        unreturned = self._watch.unreturned() if self._watch is not None else []
        if unreturned:
            lines = "\n".join(f"  {connection}" for connection in unreturned)
            pytest.fail(
                f"{len(unreturned)} connection(s) not given back, taken at\n{lines}\n"
                f"Close them, best with `with`; on purpose: @pytest.mark.{ALLOWS}",
                pytrace=False,
            )
