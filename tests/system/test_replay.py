"""The recorded incident in a real Prometheus: every panel shows something, alerts fire in time."""

import re
from collections.abc import Sequence

import pytest

from poolscope_exporter.core.checks.thresholds import Severity
from poolscope_generators.incident.alarms import Alarm, alarms
from poolscope_generators.incident.dashboards import (
    FOLDER,
    Dashboard,
    Json,
    Panel,
    Range,
    read_dashboards,
)
from poolscope_generators.incident.prometheus import Prometheus
from poolscope_generators.incident.recording import Story
from poolscope_generators.incident.told import DOCUMENT, told, with_tables

UIDS = sorted(path.stem for path in FOLDER.glob("*.json"))
POOLS = (("shop", "shop"), ("billing", "invoices"), ("billing", "ledger"), ("billing", "legacy"))
"""Service and pool that a reader has chosen; dashboards without these variables ignore it."""

NOT_RECORDED = {
    "poolscope-pool": {
        "Callers by phase",
        "Event loop lag, top 10 processes",
        "First requests that open a connection",
        "Idle time-out",
        "ORM attributes that failed to load",
        "Share of hold time in a transaction",
        "connect_timeout",
    },
    "poolscope-server": {"Room for more pods"},
}
"""Panels whose series are newer than the recording: `make incident` would record them."""

PARTLY_RECORDED = {"poolscope-exporter": {"Failures of the instrumentation"}}
"""Panels of which one series is newer than the recording."""

ONLY_WHERE = re.compile(r"\s*> 0\s*$")
"""What leaves nothing of a target that counts trouble, where there was none."""


@pytest.fixture(scope="session")
def looks(replayed: Prometheus, story: Story) -> list[Dashboard]:
    """Return the dashboards as they are at the end of each phase, for each pool."""
    return [
        board
        for phase in story.phases
        for service, pool in POOLS
        for board in read_dashboards(
            replayed,
            Range(story.start, phase.end, story.scrape_interval_s),
            chosen={"service": (service,), "pool": (pool,)},
        )
    ]


@pytest.fixture(scope="session")
def fired(replayed: Prometheus, story: Story) -> list[Alarm]:
    return alarms(replayed, story.start, story.end, story.scrape_interval_s)


def one(uid: str, looks: Sequence[Dashboard]) -> list[Dashboard]:
    return [board for board in looks if board.uid == uid]


def unfiltered(target: Json) -> Json:
    return {**target, "expr": ONLY_WHERE.sub("", target["expr"])}


def has_data(looks: Sequence[Dashboard], target: Json) -> bool:
    """Tell whether the target returns something at one of the looks."""
    return any(board.ask(target) for board in looks)


def missing(looks: Sequence[Dashboard], panel: Panel) -> list[str]:
    """Return the expressions whose series never exist."""
    return [target["expr"] for target in panel.targets if not has_data(looks, unfiltered(target))]


def is_quiet(looks: Sequence[Dashboard], panel: Panel) -> bool:
    """Tell whether the panel never shows anything."""
    return bool(panel.targets) and not any(has_data(looks, each) for each in panel.targets)


def test_there_are_dashboards() -> None:
    assert {"poolscope-overview", "poolscope-pool", "poolscope-server"} <= set(UIDS)


@pytest.mark.parametrize("uid", UIDS)
def test_the_series_of_every_target_exist_in_the_incident(uid: str, looks: list[Dashboard]) -> None:
    boards = one(uid, looks)
    bad = {p.title: found for p in boards[0].panels() if (found := missing(boards, p))}
    newer = NOT_RECORDED.get(uid, set()) | PARTLY_RECORDED.get(uid, set())
    assert set(bad) == newer, bad


@pytest.mark.parametrize("uid", UIDS)
def test_every_panel_shows_something_in_the_incident(uid: str, looks: list[Dashboard]) -> None:
    boards = one(uid, looks)
    quiet = {p.title for p in boards[0].panels() if is_quiet(boards, p)}
    assert quiet == NOT_RECORDED.get(uid, set())


@pytest.mark.parametrize("uid", UIDS)
def test_every_variable_offers_values(uid: str, looks: list[Dashboard]) -> None:
    """But for the cluster: it is an external label, which the recording Prometheus had not."""
    variables = one(uid, looks)[-1].variables
    empty = {name for name, each in variables.items() if not each.options}
    assert empty == variables.keys() & {"cluster"}


@pytest.mark.parametrize(
    "uid", ["poolscope-overview", "poolscope-pool", "poolscope-fleet", "poolscope-slo"]
)
def test_alerts_are_there_to_be_drawn_over_the_charts(uid: str, looks: list[Dashboard]) -> None:
    """Prometheus itself wrote them, when the incident was recorded; of pools alone, no server."""
    boards = one(uid, looks)
    target = next(boards[0].annotations())
    assert has_data(boards, target)


@pytest.mark.parametrize("uid", ["poolscope-fleet", "poolscope-slo"])
def test_a_deploy_and_a_restarted_server_are_marked_when_they_happen(
    uid: str, looks: list[Dashboard], story: Story
) -> None:
    board = one(uid, looks)[-len(POOLS)]  # of the shop, when all is over
    _, deploys, restarts = board.annotations()
    assert names_and_phases(board, deploys, "service_name", story) == {("shop", "deploy")}
    assert names_and_phases(board, restarts, "change", story) == {("replaced", "restart")}


def names_and_phases(
    board: Dashboard, target: Json, label: str, story: Story
) -> set[tuple[str, str]]:
    """Return the value of a label and the phase of the first sample, of each series."""
    return {
        (
            series["metric"][label],
            next(p.name for p in story.phases if p.start <= series["values"][0][0] < p.end),
        )
        for series in board.ask(target)
    }


def test_a_series_that_nobody_sends_is_found_missing(looks: list[Dashboard]) -> None:
    panel = Panel("any", {"targets": [{"expr": "poolscope_of_another_world > 0"}]})
    assert missing(looks, panel)
    assert is_quiet(looks, panel)


def names(found: Sequence[Alarm], start: float, end: float) -> set[str]:
    return {alarm.alert.name for alarm in found if alarm.overlaps(start, end)}


def test_nothing_fires_in_the_calm(fired: list[Alarm], story: Story) -> None:
    calm = story.phase("calm")
    assert not names(fired, calm.start, calm.end)


def test_the_leak_is_told_while_it_leaks_with_route_and_line(
    fired: list[Alarm], story: Story
) -> None:
    leak = story.phase("leak")
    (first, *_) = sorted(
        (alarm for alarm in fired if alarm.alert.name == "PoolLeak"), key=lambda one: one.start
    )
    assert leak.start < first.start < leak.end
    assert first.alert.severity is Severity.CRITICAL
    assert first.alert.labels["loss"] == "pool"
    assert first.labels["http_route"] == "/orders/{order_id}/export"
    assert "sample_app.py:" in first.labels["poolscope_call_site"]


def test_the_pool_that_leaks_emptied_has_one_page_of_the_leak(
    fired: list[Alarm], story: Story
) -> None:
    """Billing's pools are empty too, later on: this is about the shop."""
    exhausted = story.phase("exhausted")
    pages = {
        alarm.alert.name
        for alarm in fired
        if alarm.alert.severity is Severity.CRITICAL
        and alarm.labels.get("service_instance_id", "").endswith("-a")
        and alarm.start < exhausted.end
        and alarm.end > exhausted.start
    }
    assert pages == {"PoolLeak"}


def test_after_the_mend_no_pool_is_exhausted_blocked_or_leaks(
    fired: list[Alarm], story: Story
) -> None:
    found = names(fired, story.end - 60, story.end)
    assert not found & {
        "PoolExhausted", "PoolFull", "PoolStuck", "PoolBlocked", "DatabaseFull", "PoolLeak",
    }  # fmt: skip


def test_the_document_says_what_was_told(replayed: Prometheus, story: Story) -> None:
    document = DOCUMENT.read_text(encoding="utf-8")
    assert document == with_tables(document, told(replayed, story)), "make told"
