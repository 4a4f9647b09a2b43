"""The queries of the dashboards in a real Prometheus: bounded, named, and with every caller."""

import re
from collections.abc import Iterator, Sequence

import pytest

from poolscope import catalogue as wire
from poolscope_alerts.promql import name
from poolscope_dashboards.fleet.changes import started
from poolscope_dashboards.kit.ranking import TOP, TOP_BANDS
from poolscope_dashboards.kit.selection import Selection
from poolscope_exporter.core import own_metrics as own
from poolscope_generators.incident.dashboards import Dashboard, Panel, Range, read_dashboards
from support.prometheus.promql_names import known_series
from support.prometheus.replayed import require_prometheus
from support.prometheus.synthetic import (
    END,
    INTERVAL_S,
    SAMPLES,
    START,
    a_prometheus_with,
    a_series,
    every_series_of,
)

PROCESSES = 60
SERVICES = 40
MANY = "s0"
"""The service with all the processes; every other one has a single process."""

DRAWN = {"timeseries": TOP, "state-timeline": TOP_BANDS}
BOUNDS = [*wire.WAIT_TIME.bounds, float("inf")]
WAITED = f"{name(wire.WAIT_TIME)}_bucket"
FAILED = name(wire.CHECKOUT_FAILURES)
EVERYBODY = Selection("")


@pytest.fixture(scope="module")
def boards() -> Iterator[dict[str, Dashboard]]:
    """Yield the dashboards on a fleet; half of the processes have no known host."""
    require_prometheus()
    numbers = range(PROCESSES + SERVICES - 1)
    services = {number: f"s{max(0, number - PROCESSES + 1)}" for number in numbers}
    series = (
        each
        for number, service in services.items()
        for each in every_series_of(number, service)
        if number % 2 or each["metric"]["__name__"] != "poolscope_instance_info"
    )
    chosen = {"service": (MANY,), "pool": ("main",)}
    recorded = [
        a_series(each, [number % 3 / 1000] * SAMPLES, service_name=f"s{number}")
        for each, labels in known_series().items()
        if each.startswith("service_pool:")
        for number in range(SERVICES)
    ]
    with a_prometheus_with([*series, *recorded]) as server:
        time = Range(START, END, INTERVAL_S)
        of_one = read_dashboards(server, time, chosen=chosen)
        of_all = read_dashboards(server, time)
        yield {
            board.uid: board
            for board in (*of_all, *(each for each in of_one if each.uid == "poolscope-pool"))
        }


def charts(board: Dashboard) -> list[Panel]:
    return [panel for panel in board.panels() if panel.spec["type"] in DRAWN]


def drawn(board: Dashboard, title: str) -> list[dict[str, str]]:
    """Return the labels of the series that a panel of one query draws."""
    (panel,) = (each for each in charts(board) if each.title == title)
    (target,) = panel.targets
    return [series["metric"] for series in board.ask(target)]


@pytest.mark.parametrize(
    "uid",
    [f"poolscope-{each}" for each in ("exporter", "fleet", "overview", "pool", "server", "slo")],
)
def test_a_chart_draws_few_series_of_however_many_processes_and_services(
    uid: str, boards: dict[str, Dashboard]
) -> None:
    for panel in charts(boards[uid]):
        for target in panel.targets:
            count = len(boards[uid].ask(target))
            assert count <= DRAWN[panel.spec["type"]], panel.title


@pytest.mark.parametrize(
    ("uid", "title"),
    [
        ("poolscope-pool", "Fullest processes, top 10"),
        ("poolscope-pool", "Oldest checkout of a process, top 10"),
        ("poolscope-pool", "Event loop lag, top 10 processes"),
        ("poolscope-pool", "Lowest connections in use, top 10 processes"),
        ("poolscope-fleet", "Callers waiting, top 10 services"),
        ("poolscope-fleet", "Failed checkouts a second, top 10 services"),
        ("poolscope-fleet", "Share of failed checkouts, top 10 services"),
        ("poolscope-slo", "Burn over 1h, top 10 pools"),
        ("poolscope-overview", "Callers waiting, by pool"),
        ("poolscope-exporter", "Time since the last push, by service"),
    ],
)
def test_a_chart_of_the_top_ten_draws_ten_although_their_order_changes(
    uid: str, title: str, boards: dict[str, Dashboard]
) -> None:
    assert len(drawn(boards[uid], title)) == TOP


def test_a_process_is_named_by_its_host_and_without_one_by_its_instance_id(
    boards: dict[str, Dashboard],
) -> None:
    is_named = "process" in own.INSTANCE_INFO.labels
    found = drawn(boards["poolscope-pool"], "Fullest processes, top 10")
    named = {each["service_instance_id"]: each["process"] for each in found}
    assert len(named) == TOP
    for instance, process in named.items():
        number = int(instance.removeprefix("id-"))
        of_host = f"host-{number}:{1000 + number if is_named else instance}"
        assert process == (of_host if number % 2 else instance)


RESUMED_S = 420.0
"""Longer than the five minutes for which Prometheus takes a series to last."""


def starts(*processes: tuple[str, str, Sequence[float]]) -> dict[str, str]:
    """Return the number of new processes by service, of (service, process, sample times)."""
    series = [
        {
            "metric": {
                "__name__": own.INSTANCE_INFO.name,
                "service_name": service,
                "service_instance_id": process,
            },
            "values": [(START + at, "1") for at in times],
        }
        for service, process, times in processes
    ]
    expression = re.sub(r"\w+=~\"\$\w+\"(, )?", "", started())
    with a_prometheus_with(series) as server:
        found = server.instant(expression, START + RESUMED_S + INTERVAL_S)
    return {each["metric"]["service_name"]: each["value"][1] for each in found}


def test_a_new_process_of_a_service_that_ran_before_is_marked_as_a_start() -> None:
    require_prometheus()
    before, after = (0.0, 200.0, RESUMED_S), (RESUMED_S,)
    assert starts(("shop", "old", before), ("shop", "new", after)) == {"shop": "1"}


def test_after_a_scrape_outage_only_the_new_process_is_a_start() -> None:
    require_prometheus()
    old, new = ("shop", "old", (0.0, RESUMED_S)), ("shop", "new", (RESUMED_S,))
    assert starts(old, new) == {"shop": "1"}


def test_a_scrape_outage_and_a_service_that_never_ran_before_are_no_start() -> None:
    require_prometheus()
    assert starts(("shop", "old", (0.0, RESUMED_S)), ("bill", "first", (RESUMED_S,))) == {}


def wait_p95(reason: str, failed: int) -> float:
    """Return the p95 of 90 callers that waited no time, and others that got no connection."""
    served = [
        a_series(WAITED, range(0, 90 * SAMPLES, 90), le="+Inf" if bound > 1e9 else f"{bound:g}")
        for bound in BOUNDS
    ]
    steps = [failed * index for index in range(SAMPLES)]
    failures = a_series(FAILED, steps, poolscope_reason=reason)
    with a_prometheus_with([*served, failures]) as server:
        expression = EVERYBODY.wait_quantile().replace("$__rate_interval", "60s")
        (found,) = server.instant(expression, END)
    return float(found["value"][1])


@pytest.mark.parametrize(
    ("reason", "failed", "expected"),
    [("timeout", 10, BOUNDS[-2]), ("error", 10, BOUNDS[-2]), ("timeout", 4, BOUNDS[0])],
)
def test_percentile_of_the_wait_includes_callers_that_failed(
    reason: str, failed: int, expected: float
) -> None:
    require_prometheus()
    found = wait_p95(reason, failed)
    assert found == expected if expected > 1 else found <= expected


def test_percentile_of_the_wait_leaves_out_callers_that_left_by_themselves() -> None:
    require_prometheus()
    assert wait_p95("cancelled", 10) <= BOUNDS[0]
