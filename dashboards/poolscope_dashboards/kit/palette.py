"""Choose the colours, once, so that one colour means one thing on every dashboard.

Red: act. Amber: check. Green: known to be healthy. Grey: unknown, which is never green.
"""

from collections.abc import Mapping
from typing import Any, Final

from poolscope_exporter.core.checks.model import Result
from poolscope_exporter.core.judging.diagnosis import Diagnosis
from poolscope_exporter.core.judging.verdicts import Verdict

Json = Mapping[str, Any]

GREEN: Final = "green"
AMBER: Final = "orange"
RED: Final = "red"
BLUE: Final = "blue"
LIGHT_BLUE: Final = "super-light-blue"
PURPLE: Final = "purple"
YELLOW: Final = "yellow"
GREY: Final = "#808080"
LIGHT_GREY: Final = "#b3b3b3"
CLEAR: Final = "transparent"

DIAGNOSES: Final[Mapping[Diagnosis, tuple[str, str, str]]] = {
    Diagnosis.HEALTHY: (GREEN, "no caller is in trouble", "nothing to do"),
    Diagnosis.UNKNOWN: (GREY, "not enough data to judge", "see Exporter, and the links on Server"),
    Diagnosis.FULL: (
        "light-orange",
        "callers wait, cause not established",
        "see the holders",
    ),
    Diagnosis.UNDERSIZED: ("semi-dark-red", "full, and every connection works", "a larger pool"),
    Diagnosis.SERVER_SLOW: ("semi-dark-orange", "the database is the bottleneck", "less load"),
    Diagnosis.HELD_IDLE: (YELLOW, "held by code without use", "return them earlier"),
    Diagnosis.SLOW_QUERIES: (AMBER, "held by slow statements", "faster statements"),
    Diagnosis.BLOCKED: ("dark-orange", "holders wait for locks", "find the holder of the lock"),
    Diagnosis.LEAKING: (RED, "some are lost to leaks", "see Leaks by route and line"),
    Diagnosis.DEADLOCKED: (
        "super-light-red",
        "holders wait for each other",
        "one per request",
    ),
    Diagnosis.SHARED_ACROSS_FORK: (
        "light-purple",
        "two processes use one connection",
        "dispose in the child",
    ),
    Diagnosis.CONNECTING: ("light-blue", "opening or testing is slow", "network, name, server"),
    Diagnosis.SERVER_FULL: (
        "dark-red",
        "the server admits no more",
        "smaller pools",
    ),
    Diagnosis.THREADS_EXHAUSTED: ("semi-dark-purple", "holders wait for a thread", "fewer waiters"),
    Diagnosis.LOOP_BLOCKED: (
        "dark-purple",
        "an event loop does not run",
        "see its line",
    ),
    Diagnosis.CONNECT_FAILING: ("dark-blue", "opening connections fails", "see the kind of error"),
}
"""Colour, meaning and cure of each diagnosis; the order is that of their rank, the worst last.

Of two processes, or of two exporters, the worse word is shown. "unknown" is worse than "healthy":
a pool is healthy only where every process of it is known to be.
"""

VERDICTS: Final[Mapping[Verdict, str]] = {
    Verdict.LOST: "dark-red",
    Verdict.LEAKED: RED,
    Verdict.BLOCKED: "dark-orange",
    Verdict.SLOW_QUERY: AMBER,
    Verdict.IDLE_IN_TRANSACTION: YELLOW,
    Verdict.HELD_IDLE: "light-yellow",
    Verdict.STALLED: PURPLE,
    Verdict.WORKING: GREEN,
    Verdict.UNCONFIRMED: LIGHT_GREY,
    Verdict.UNKNOWN: GREY,
}

RESULTS: Final[Mapping[Result, str]] = {
    Result.OK: GREEN,
    Result.WARN: AMBER,
    Result.UNKNOWN: GREY,
    Result.ELSEWHERE: LIGHT_GREY,
}


def rank(diagnosis: Diagnosis) -> int:
    """Return the number that stands for a diagnosis in a series, from 1; larger is worse."""
    return list(DIAGNOSES).index(diagnosis) + 1


def words(texts: Mapping[Any, tuple[str, str]]) -> Json:
    """Return the value mapping of values to (text, colour)."""
    options = {
        str(value): {"index": index, "text": text, "color": colour}
        for index, (value, (text, colour)) in enumerate(texts.items())
    }
    return {"type": "value", "options": options}


def unknown(text: str) -> Json:
    """Return the mapping that shows a text, in grey, where there is no number."""
    result = {"index": 0, "text": text, "color": GREY}
    return {"type": "special", "options": {"match": "null+nan", "result": result}}


def diagnosis_words() -> tuple[Json, ...]:
    """Return the mappings of a diagnosis's rank to its word."""
    named = {rank(each): (str(each), colour) for each, (colour, _, _) in DIAGNOSES.items()}
    return words(named), unknown("no data")


def diagnosis_meanings() -> tuple[Json, ...]:
    """Return the mappings of a diagnosis's rank to what it means."""
    texts = {rank(each): (meaning, "text") for each, (_, meaning, _) in DIAGNOSES.items()}
    return words(texts), unknown("no exporter judges this pool")


def is_up() -> tuple[Json, ...]:
    """Return the mappings of 1 and 0 for what answers and what does not."""
    return words({1: ("yes", GREEN), 0: ("no", RED)}), unknown("not known")
