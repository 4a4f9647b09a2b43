"""The lines of `top` are the rows of the start page, in the chosen unit and order."""

import pytest

from poolscope_exporter.terminal.pool_lines import (
    PoolChoice,
    PoolColumn,
    PoolGrouping,
    PoolOrder,
    held_of,
    pool_cells,
    pool_lines,
    present_words,
)
from poolscope_exporter.terminal.states import PoolsReading
from support.exporter.prepared_source import a_reading
from support.exporter.reported import a_reported_checkout, a_reported_pool

FIRST = a_reported_pool(
    service_instance_id="a1", process="web:1", idle=1, overflow=5, failures_per_minute=2.5,
    diagnosis_age_s=41.2,
)  # fmt: skip
SECOND = a_reported_pool(
    service_instance_id="a2", process="web:2", diagnosis="healthy", used=1, pending=0, idle=None
)
OTHER = a_reported_pool(
    pool="cache", service_instance_id="a1", process="web:1", diagnosis="full", used=10, pending=7
)
HELD = a_reported_checkout()
READING = a_reading([SECOND, OTHER, FIRST], [HELD])


def titles(choice: PoolChoice, reading: PoolsReading = READING) -> list[str]:
    return [line.title for line in pool_lines(reading, choice)]


def test_one_line_has_the_worst_diagnosis_and_the_sums_of_all_processes() -> None:
    line = pool_lines(READING, PoolChoice())[0]
    cells = {column: cell.text for column, cell in pool_cells(line, "▁█").items()}
    assert cells == {
        PoolColumn.POOL: "shop / orders",
        PoolColumn.DIAGNOSIS: "leaking",
        PoolColumn.SINCE: "41 s",
        PoolColumn.USED: "10 of 20",
        PoolColumn.IDLE: "1",
        PoolColumn.OVERFLOW: "5",
        PoolColumn.WAITING: "4",
        PoolColumn.LEAKED: "1",
        PoolColumn.FAILURES: "2.5",
        PoolColumn.TREND: "▁█",
        PoolColumn.WHY: "3 of 10 connections have leaked",
    }


def test_unknown_numbers_are_question_marks() -> None:
    unknown = a_reported_pool(used=None, max=None, pending=None)
    cells = pool_cells(pool_lines(a_reading([unknown]), PoolChoice())[0])
    assert cells[PoolColumn.USED].text == "? of ?"
    for column in (PoolColumn.IDLE, PoolColumn.WAITING, PoolColumn.FAILURES, PoolColumn.SINCE):
        assert cells[column].text == "?", column


def test_a_line_can_be_a_process_or_a_service() -> None:
    assert titles(PoolChoice(grouping=PoolGrouping.PROCESS)) == [
        "shop / orders / web:1",
        "shop / cache / web:1",
        "shop / orders / web:2",
    ]
    assert titles(PoolChoice(grouping=PoolGrouping.SERVICE)) == ["shop / 2 pools"]
    [service] = pool_lines(READING, PoolChoice(grouping=PoolGrouping.SERVICE))
    assert service.state.sums.waiting == 11
    assert service.state.leaked == 1


def test_only_the_process_that_leaks_has_the_leak() -> None:
    lines = pool_lines(READING, PoolChoice(grouping=PoolGrouping.PROCESS))
    assert [line.state.leaked for line in lines] == [1, 0, 0]
    assert [len(held_of(READING, line)) for line in lines] == [1, 0, 0]


@pytest.mark.parametrize(
    ("order", "first"),
    [
        (PoolOrder.WORST, "shop / orders"),
        (PoolOrder.USED, "shop / cache"),
        (PoolOrder.WAITING, "shop / cache"),
        (PoolOrder.LEAKED, "shop / orders"),
        (PoolOrder.FAILURES, "shop / orders"),
        (PoolOrder.AGE, "shop / orders"),
        (PoolOrder.NAME, "shop / cache"),
    ],
)
def test_each_order_has_its_first_line(order: PoolOrder, first: str) -> None:
    assert titles(PoolChoice(order=order))[0] == first


def test_an_unknown_number_comes_last_in_any_order() -> None:
    unknown = a_reported_pool(pool="a", used=None, pending=None)
    reading = a_reading([unknown, OTHER])
    assert titles(PoolChoice(order=PoolOrder.WAITING), reading) == ["shop / cache", "shop / a"]


@pytest.mark.parametrize(
    ("choice", "shown"),
    [
        (PoolChoice(verdict="leaked"), ["shop / orders"]),
        (PoolChoice(verdict="full"), ["shop / cache"]),
        (PoolChoice(verdict="healthy"), ["shop / orders"]),
        (PoolChoice(text="WEB:2"), ["shop / orders"]),
        (PoolChoice(text="cache"), ["shop / cache"]),
        (PoolChoice(text="nothing"), []),
    ],
)
def test_a_filter_selects_as_the_start_page_does(choice: PoolChoice, shown: list[str]) -> None:
    assert titles(choice) == shown


def test_a_filter_offers_the_words_that_any_pool_has_now() -> None:
    assert present_words(READING) == ["full", "healthy", "leaked", "leaking"]


def test_a_diagnosis_of_a_newer_exporter_is_unknown_and_keeps_its_reasons() -> None:
    newer = a_reported_pool(diagnosis="haunted", reasons=("ghosts",))
    cells = pool_cells(pool_lines(a_reading([newer]), PoolChoice())[0])
    assert (cells[PoolColumn.DIAGNOSIS].text, cells[PoolColumn.WHY].text) == ("unknown", "ghosts")
