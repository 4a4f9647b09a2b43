"""What peers can cause without end is logged once a minute."""

import logging

from poolscope_exporter.listeners.quiet_log import OncePerPeriod


def a_record(text: str, *arguments: object) -> logging.LogRecord:
    return logging.LogRecord("uvicorn.error", logging.WARNING, "", 0, text, arguments, None)


def test_a_text_passes_once_a_minute_and_then_with_the_count() -> None:
    now_s = [100.0]
    once = OncePerPeriod(lambda: now_s[0])
    assert once.filter(a_record("Invalid HTTP request received."))
    assert not any(once.filter(a_record("Invalid HTTP request received.")) for _ in range(1_457))
    assert once.filter(a_record("something %s", "else"))
    now_s[0] += 60.0
    again = a_record("Invalid HTTP request received.")
    assert once.filter(again)
    assert again.getMessage() == (
        "Invalid HTTP request received. (and 1457 times more since it was logged last)"
    )


def test_texts_that_differ_do_not_gather() -> None:
    now_s = [0.0]
    once = OncePerPeriod(lambda: now_s[0])
    for number in range(1_000):
        now_s[0] += 1.0
        assert once.filter(a_record("number %d", number))
    assert len(once._passed_at_s) <= 61
