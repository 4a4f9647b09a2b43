"""Each line in the application's log has its sender and its cure, and comes once an hour."""

import ast
import logging
from pathlib import Path
from typing import Final

import pytest

import poolscope
from poolscope import app_log
from poolscope.app_log import HOUR_S, MOST_KINDS, AppLog, Message

SOURCES: Final = sorted(Path(poolscope.__file__).parent.rglob("*.py"))
MESSAGES: Final = {name: each for name, each in vars(app_log).items() if isinstance(each, Message)}

OTHER_WAYS: Final = frozenset({"print", "warn", "write", "lastResort", "basicConfig"})
"""Functions that would reach stderr without the log."""

TALKS_TO_PYTEST: Final = frozenset({"pytest_plugin.py", "testing.py"})

LOG_METHODS: Final = frozenset(
    {"debug", "info", "warning", "error", "exception", "critical", "log"}
)


def calls(path: Path) -> list[str]:
    """Return the names of all functions and methods that a file calls."""
    found = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    functions = [call.func for call in found]
    names = [each.attr for each in functions if isinstance(each, ast.Attribute)]
    return names + [each.id for each in functions if isinstance(each, ast.Name)]


def test_every_line_is_written_by_the_log_of_the_application_and_by_nothing_else() -> None:
    unknown = {
        path.name: (LOG_METHODS | OTHER_WAYS) & set(calls(path))
        for path in SOURCES
        if path.name != "app_log.py"
        and path.name not in TALKS_TO_PYTEST
        and (LOG_METHODS | OTHER_WAYS) & set(calls(path))
    }
    assert unknown == {}
    assert calls(Path(app_log.__file__)).count("log") == 1


def written_messages() -> set[str]:
    """Return the names of the messages that the instrumentation refers to."""
    trees = [ast.parse(path.read_text()) for path in SOURCES if path.name != "app_log.py"]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    attributes = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    return MESSAGES.keys() & (attributes | {n.id for n in nodes if isinstance(n, ast.Name)})


def test_every_message_is_written_somewhere() -> None:
    assert written_messages() == MESSAGES.keys()


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_begins_with_its_sender_and_has_a_cure(name: str) -> None:
    message = MESSAGES[name]
    assert message.line.startswith("poolscope: ")
    assert message.cure.strip()
    assert not message.text.endswith(".")
    assert "\n" not in message.text


@pytest.mark.parametrize("name", ["SEVERAL_POOLS", "EXPORTER_AWAY", "EXPORTER_BACK"])
def test_what_is_no_problem_stays_below_the_level_that_python_prints(name: str) -> None:
    assert MESSAGES[name].level < logging.WARNING


class Time:
    """A clock that a test sets."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_a_kind_of_message_comes_once_an_hour(caplog: pytest.LogCaptureFixture) -> None:
    time = Time()
    log = AppLog(time)
    for now_s in (1.0, 2.0, HOUR_S, HOUR_S + 1.0, HOUR_S + 2.0):
        time.now_s = now_s
        log.write_line(app_log.GREENLETS, "gevent")
    assert len(caplog.messages) == 2


def test_no_message_has_more_lines_an_hour_than_a_reader_wants(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = AppLog(Time())
    for number in range(50):
        log.write_line(app_log.REJECTED, "http://exporter", "reason", kind=str(number))
    assert len(caplog.messages) == MOST_KINDS


def test_lines_that_a_setting_asks_for_come_each_time(caplog: pytest.LogCaptureFixture) -> None:
    log = AppLog(Time())
    for _ in range(MOST_KINDS + 1):
        log.write_line(app_log.HELD, "connection held for 30.4 s")
    assert len(caplog.messages) == MOST_KINDS + 1


def test_an_error_comes_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    try:
        int("no number")
    except ValueError:
        AppLog(Time()).write_line(app_log.PUSH_FAILED, error=True)
    assert "ValueError: invalid literal" in caplog.text
