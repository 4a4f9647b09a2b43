"""The API answers what connections were out for, of pools that may be shown."""

import pytest

from poolscope_exporter.core.fleet.occupancy_history import ProfileKey, ProfileRow
from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers
from poolscope_exporter.core.fleet.service_totals.route_totals import service_pool_of
from poolscope_exporter.core.judging.diagnosis import Diagnosis, PoolDiagnosis
from poolscope_exporter.core.judging.situation import PoolAssessment, Situation
from poolscope_exporter.web.profile.profile_rows import (
    ProfileSelection,
    profile_rows,
    profile_selection_of,
)
from poolscope_exporter.web.selection import WrongQueryError
from support.exporter.builders import a_pool

SHOWN = Situation(
    (), (PoolAssessment(a_pool(), PoolNumbers(), PoolDiagnosis(Diagnosis.FULL, ())),), (), (), 0.0
)


def a_row(doing: str, seconds: float) -> ProfileRow:
    key = ProfileKey("/pay", "shop.py:1", "pay.py:5", "", doing)
    return ProfileRow(service_pool_of(a_pool()), key, seconds)


def test_rows_have_shares_and_the_longest_is_first() -> None:
    found = profile_rows(
        [a_row("database", 1.0), a_row("httpx.get", 3.0)], SHOWN, ProfileSelection()
    )
    assert [(row["doing"], row["share"]) for row in found["profile"]] == [
        ("httpx.get", 0.75),
        ("database", 0.25),
    ]
    assert (found["connection_seconds"], found["database_share"]) == (4.0, 0.25)


def test_rows_of_equal_time_are_in_the_order_of_their_names() -> None:
    rows = [a_row("httpx.get", 1.0), a_row("database", 1.0)]
    found = profile_rows(rows, SHOWN, ProfileSelection())
    assert [row["doing"] for row in found["profile"]] == ["database", "httpx.get"]


def test_a_pool_that_may_not_be_shown_is_left_out() -> None:
    nobody = Situation((), (), (), (), 0.0)
    found = profile_rows([a_row("database", 1.0)], nobody, ProfileSelection())
    assert (found["profile"], found["database_share"]) == ([], None)


@pytest.mark.parametrize("wanted", [ProfileSelection(service="x"), ProfileSelection(pool="x")])
def test_a_selection_leaves_other_pools_out(wanted: ProfileSelection) -> None:
    assert profile_rows([a_row("database", 1.0)], SHOWN, wanted)["profile"] == []


@pytest.mark.parametrize("window", ["0", "901", "soon", "nan", "-1"])
def test_a_wrong_window_is_refused(window: str) -> None:
    with pytest.raises(WrongQueryError, match="window must be"):
        profile_selection_of({"window": window})


def test_an_unknown_parameter_is_refused() -> None:
    with pytest.raises(WrongQueryError, match="unknown parameter"):
        profile_selection_of({"instance": "a"})


def test_a_query_is_read() -> None:
    assert profile_selection_of({"service": "shop", "window": "900"}) == ProfileSelection(
        "shop", None, 900.0
    )
