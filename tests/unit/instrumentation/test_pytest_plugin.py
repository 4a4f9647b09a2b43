"""The pytest plugin: the test that leaks fails, by the line that took the connection; no other."""

import subprocess
import sys

import pytest

from poolscope.instrumentation import active
from support.applications.plugin_runs import PluginRuns, errors

pytest_plugins = "pytester"


@pytest.fixture
def runner(pytester: pytest.Pytester) -> PluginRuns:
    return PluginRuns(pytester)


def test_a_test_that_gives_everything_back_passes(runner: PluginRuns) -> None:
    result = runner.run("""
    def test_fine():
        with engine.connect(), Session(engine) as session:
            session.connection()
    """)
    result.assert_outcomes(passed=1)
    assert active() is None


def test_a_leak_fails_its_own_test_by_the_line_that_took_the_connection(runner: PluginRuns) -> None:
    result = runner.run("""
    def take():
        kept.append(engine.connect())  # the leak

    def test_before():
        engine.connect().close()

    def test_leaks():
        take()

    def test_after():
        engine.connect().close()
        kept.clear()
        gc.collect()
    """)
    result.assert_outcomes(passed=3, errors=1)
    assert errors(result) == ["test_leaks"]
    place = f"*test_a_leak_*.py:{runner.line('# the leak')} in take"
    result.stdout.fnmatch_lines(
        ["1 connection(s) not returned, taken at", f"{place}: pool shop, still out after * s"]
    )


@pytest.mark.parametrize(
    "leak",
    [
        "engine.connect()",
        "Session(engine).connection()",
        "cycle = [engine.connect()]; cycle.append(cycle)",
    ],
)
def test_a_connection_that_is_collected_unclosed_fails_the_test(
    runner: PluginRuns, leak: str
) -> None:
    result = runner.run(f"""
    def test_leaks():
        {leak}  # the leak

    def test_after():
        gc.collect()
    """)
    result.assert_outcomes(passed=2, errors=1)
    assert errors(result) == ["test_leaks"]
    result.stdout.fnmatch_lines(
        [f"*:{runner.line('# the leak')} in test_leaks: pool shop, garbage-collected*"]
    )


def test_what_a_wider_fixture_holds_is_no_leak_of_the_test_that_made_it(runner: PluginRuns) -> None:
    result = runner.run("""
    @pytest.fixture(scope="module")
    def shared():
        with engine.connect() as connection:
            yield connection

    @pytest.fixture
    def asks_for_it(request):
        return request.getfixturevalue("shared")

    def test_makes_it(asks_for_it): ...
    def test_uses_it(shared): ...

    def test_leaks(shared):
        kept.append(engine.connect())
    """)
    result.assert_outcomes(passed=3, errors=1)
    assert errors(result) == ["test_leaks"]


def test_a_fixture_may_give_back_what_the_test_took_through_it(runner: PluginRuns) -> None:
    result = runner.run("""
    @pytest.fixture
    def session():
        session = Session(engine)
        yield session
        session.close()

    def test_uses_it(session):
        session.connection()
    """)
    result.assert_outcomes(passed=1)


def test_a_fixture_that_leaks_is_named_by_its_line(runner: PluginRuns) -> None:
    result = runner.run("""
    @pytest.fixture
    def connection():
        yield kept.append(engine.connect())  # the leak

    def test_uses_it(connection): ...
    """)
    assert errors(result) == ["test_uses_it"]
    result.stdout.fnmatch_lines([f"*:{runner.line('# the leak')} in connection: pool shop*"])


def test_a_wider_fixture_that_closes_the_pool_does_not_hide_the_leak(runner: PluginRuns) -> None:
    result = runner.run("""
    @pytest.fixture(scope="module")
    def cleans_up():
        yield
        while kept:
            kept.pop().close()

    def test_leaks(cleans_up):
        kept.append(engine.connect())
    """)
    assert errors(result) == ["test_leaks"]


def test_a_thread_that_still_works_may_give_its_connection_back(runner: PluginRuns) -> None:
    result = runner.run("""
    def test_answers_before_it_gives_back():
        taken, answer = threading.Event(), threading.Event()

        def serve():
            with engine.connect():
                taken.set()
                answer.wait()
                threading.Event().wait(0.05)

        threading.Thread(target=serve).start()
        taken.wait()
        answer.set()
    """)
    result.assert_outcomes(passed=1)


def test_a_marked_test_may_keep_its_connections(runner: PluginRuns) -> None:
    result = runner.run("""
    @pytest.mark.poolscope_allow_leaks("it listens until the process ends")
    def test_keeps():
        kept.append(engine.connect())

    @pytest.mark.poolscope_allow_leaks("for one test")
    def test_looks_for_itself(poolscope_leaks):
        kept.append(engine.connect())
        [connection] = poolscope_leaks.unreturned()
        assert connection.pool == "shop"

    def test_after(): ...
    """)
    result.assert_outcomes(passed=3)


def test_without_the_flag_only_tests_that_ask_for_it_are_checked(runner: PluginRuns) -> None:
    result = runner.run(
        """
    def test_is_not_checked():
        kept.append(engine.connect())

    def test_leaks(poolscope_leaks):
        kept.append(engine.connect())
    """,
        flag=False,
    )
    result.assert_outcomes(passed=2, errors=1)
    assert errors(result) == ["test_leaks"]


def test_the_setting_is_as_good_as_the_flag(runner: PluginRuns) -> None:
    leaks = """
    def test_leaks():
        kept.append(engine.connect())
    """
    result = runner.run(leaks, "-o", "poolscope_leaks=true", flag=False)
    assert errors(result) == ["test_leaks"]


def test_an_application_with_our_line_in_it_pushes_nothing_and_is_checked(
    runner: PluginRuns,
) -> None:
    result = runner.run("""
    import poolscope

    @pytest.fixture
    def application():
        handle = poolscope.instrument(endpoint="http://127.0.0.1:1", push_interval_s=0.2)
        yield
        handle.uninstrument()

    @pytest.mark.parametrize("n", [1, 2])
    def test_leaks(application, n):
        kept.append(engine.connect())
        assert "poolscope-pusher" not in {t.name for t in threading.enumerate()}
    """)
    result.assert_outcomes(passed=2, errors=2)


def test_unittest_cases_are_checked(runner: PluginRuns) -> None:
    result = runner.run("""
    import unittest

    class TestShop(unittest.TestCase):
        def setUp(self):
            self.connection = engine.connect()

        def tearDown(self):
            self.connection.close()

        def test_fine(self): ...

        def test_leaks(self):
            kept.append(engine.connect())
    """)
    result.assert_outcomes(passed=2, errors=1)
    assert errors(result) == ["TestShop::test_leaks"]


def test_what_is_declared_long_lived_may_be_kept(runner: PluginRuns) -> None:
    result = runner.run("""
    import poolscope

    def test_listens():
        with poolscope.long_lived():
            kept.append(engine.connect())
    """)
    result.assert_outcomes(passed=1)


def test_loading_the_plugin_imports_neither_telemetry_nor_libraries() -> None:
    script = (
        "import sys, pytest; before = set(sys.modules)\n"
        "import poolscope.pytest_plugin\n"
        "print(sorted(m for m in set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert "poolscope.pytest_plugin" in done.stdout
    assert "poolscope.instrumentation" not in done.stdout
    assert "opentelemetry" not in done.stdout
    assert "sqlalchemy" not in done.stdout
