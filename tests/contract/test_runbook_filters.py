"""Every command of a runbook answers for what the alert is about, and for nothing else."""

from dataclasses import replace

import pytest

from poolscope_alerts.__main__ import alerts_by_name, load_sources
from poolscope_alerts.model import PLACEHOLDERS
from poolscope_alerts.promql import KIND, POOL, PROCESS, SERVICE, SERVICE_POOL, Labels
from poolscope_alerts.runbooks import placeholder_labels, with_facts
from poolscope_exporter.web.selection import PARAMETERS
from support.runbooks.commands import EXPORTER, Runbook, runbook, runbooks
from support.runbooks.filters import (
    API_LABELS,
    POOL_LABEL,
    SERVICE_LABEL,
    subject,
    unfiltered_request,
    unfiltered_series,
)

RUNBOOKS = runbooks()
SOURCES = load_sources()
OF_POOL = f'{SERVICE_LABEL}="$service", {POOL_LABEL}="$pool"'


@pytest.mark.parametrize("book", RUNBOOKS, ids=lambda book: book.name)
def test_each_query_filters_by_the_labels_of_the_alert(book: Runbook) -> None:
    assert [each for query in book.queries for each in unfiltered_series(query, book.about)] == []


@pytest.mark.parametrize("book", RUNBOOKS, ids=lambda book: book.name)
def test_each_request_to_the_api_filters_by_the_labels_of_the_alert(book: Runbook) -> None:
    assert [e for request in book.requests for e in unfiltered_request(request, book.about)] == []


@pytest.mark.parametrize("book", RUNBOOKS, ids=lambda book: book.name)
def test_a_request_to_the_api_is_nowhere_but_in_a_block(book: Runbook) -> None:
    """Within a sentence, neither its filter nor its answer would be checked."""
    text = book.path.read_text(encoding="utf-8")
    assert text.count("curl ") == len(book.requests)
    assert all(f"{EXPORTER}/" in request for request in book.requests)


def test_there_are_commands_of_each_kind() -> None:
    for kind in ("queries", "requests", "statements"):
        assert any(getattr(book, kind) for book in RUNBOOKS), kind
    assert {b.language for book in RUNBOOKS for b in book.blocks} == {"promql", "console", "sql"}


def test_only_alerts_without_a_subject_may_leave_a_query_unfiltered() -> None:
    free = {book.name for book in RUNBOOKS if not subject(book.about)}
    unfiltered = {
        book.name
        for book in RUNBOOKS
        if any(not placeholder_labels(f"<!-- /rule -->{query}") for query in book.queries)
    }
    # The receiver counts by result or reason alone, and nothing leads from there to a service. A
    # lost exporter is found among all of them.
    of_all = {"PoolscopeRefusing", "PoolscopeServiceSilent", "PoolscopeExporterLost"}
    assert unfiltered - free == of_all


def test_every_filter_of_the_api_has_its_label_or_selects_by_something_else() -> None:
    assert PARAMETERS.keys() - {"verdict", "limit"} == API_LABELS.keys()


@pytest.mark.parametrize(
    ("about", "expected"),
    [
        (POOL, ["service", "pool"]),
        ((*SERVICE_POOL, KIND), ["service", "pool"]),
        (PROCESS, ["service", "process"]),
        (SERVICE, ["service"]),
        (("server", "pgbouncer"), ["server", "pgbouncer"]),
        (("pgbouncer", "scope"), ["pgbouncer"]),
        (("reason",), ["reason"]),
        ((), []),
    ],
)
def test_the_subject_follows_from_the_labels_of_the_alert(
    about: Labels, expected: list[str]
) -> None:
    assert [PLACEHOLDERS[label] for label in subject(about)] == expected


@pytest.mark.parametrize(
    ("query", "about"),
    [
        ("max by (server) (poolscope_server_up)", ("server",)),
        ('max by (server) (poolscope_server_up{server="main"})', ("server",)),
        ('rate(poolscope_checkouts_total{service_name="$service"}[5m])', POOL),
        (f"rate(poolscope_checkouts_total{{{OF_POOL}}}[5m]) / poolscope_pool_size", POOL),
        (f"poolscope_pool_size{{{OF_POOL.replace('=', '=~')}}}", POOL),
        ("poolscope_server_up", POOL),
        (f"poolscope_server_up or poolscope_pool_size{{{OF_POOL}}}", POOL),
        ("db_client_connection_count", ("server",)),
        ('poolscope_event_loop_lag_seconds{service_name="$service"}', PROCESS),
    ],
)
def test_a_query_without_its_filter_would_be_found(query: str, about: Labels) -> None:
    assert unfiltered_series(query, about)


@pytest.mark.parametrize(
    ("query", "about"),
    [
        ('max by (server) (poolscope_server_up{server="$server"})', ("server",)),
        (f"rate(poolscope_checkouts_total{{{OF_POOL}}}[5m])", POOL),
        ('poolscope_pool_size{service_name!="$service"}', SERVICE),
        (f"poolscope_server_up and on (server) poolscope_pool_destination{{{OF_POOL}}}", POOL),
        ("poolscope_receiver_requests_total", SERVICE),
        ("poolscope_build_info", ()),
    ],
)
def test_a_query_with_its_filter_passes(query: str, about: Labels) -> None:
    assert unfiltered_series(query, about) == []


@pytest.mark.parametrize(
    ("query", "about", "missing"),
    [
        ("checkouts", POOL, ["service=$service", "pool=$pool"]),
        ("checkouts?service=$service", POOL, ["pool=$pool"]),
        ("pools?service=shop&pool=$pool", POOL, ["service=$service"]),
        ("pools?service=$service&pool=$pool&verdict=leaking", POOL, []),
        ("pools?service=$service", PROCESS, ["instance=$process"]),
        ("checkouts?verdict=slow_query", ("server",), []),
    ],
)
def test_a_request_without_its_filter_would_be_found(
    query: str, about: Labels, missing: list[str]
) -> None:
    assert unfiltered_request(f'curl -s "{EXPORTER}/api/v1/{query}"', about) == missing


@pytest.mark.parametrize("book", RUNBOOKS, ids=lambda book: book.name)
def test_the_first_lines_explain_each_placeholder_once(book: Runbook) -> None:
    text = book.path.read_text(encoding="utf-8")
    used = placeholder_labels(text)
    assert text.count("fill in the labels of the alert") == bool(used)
    for label in used:
        assert text.count(f"`${PLACEHOLDERS[label]}` by `{label}`") == 1


def test_a_placeholder_that_no_label_fills_stops_make_rules() -> None:
    alerts = alerts_by_name(SOURCES)["PoolExhausted"]
    text = runbook("PoolExhausted").path.read_text(encoding="utf-8") + "\n$server\n"
    with pytest.raises(ValueError, match=r"uses \$server, but the alert has no server"):
        with_facts(text, alerts, SOURCES)


def test_alerts_of_one_name_share_the_labels_that_commands_may_use() -> None:
    burns = alerts_by_name(SOURCES)["PoolTimeoutBudgetBurn"]
    other = replace(burns[0], about=SERVICE)
    text = runbook("PoolTimeoutBudgetBurn").path.read_text(encoding="utf-8")
    with pytest.raises(ValueError, match=f"the alert has no {POOL_LABEL}"):
        with_facts(text, (*burns, other), SOURCES)
