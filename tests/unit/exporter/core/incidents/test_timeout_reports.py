"""An incident keeps the first report that the app made of a time-out in it."""

from dataclasses import replace

import pytest

from poolscope_exporter.core.fleet.service_totals.route_totals import ServicePool, service_pool_of
from poolscope_exporter.core.incidents.early_reports import MAX_EARLY, EarlyReports
from poolscope_exporter.core.incidents.incident import CALM_S, IncidentEnd, ReportedTimeout
from poolscope_exporter.core.incidents.incident_log import IncidentLog
from poolscope_exporter.core.judging.diagnosis import Diagnosis
from support.exporter.builders import a_pool
from support.exporter.incident_looks import EPOCH_S, a_look, a_state, an_incident, observed

OWNER = "acme/shop"
POOL = service_pool_of(a_pool())
FULL = a_state(Diagnosis.FULL)
HEALTHY = a_state(Diagnosis.HEALTHY)


def a_report(at_s: float, text: str = "gave up") -> ReportedTimeout:
    return ReportedTimeout(EPOCH_S + at_s, "node-1:17", text)


def add(log: IncidentLog, report: ReportedTimeout, now_s: float) -> None:
    log.add_report(POOL, report, OWNER, EPOCH_S + now_s)


def reported(log: IncidentLog) -> ReportedTimeout | None:
    return log.newest_first()[0].timeout_report


def test_an_open_incident_keeps_the_first_report_of_its_pool() -> None:
    log = IncidentLog()
    observed(log, a_look(0.0, FULL))
    assert reported(log) is None
    log.take_changes()
    add(log, a_report(1.0), 2.0)
    changes = log.take_changes()
    add(log, a_report(3.0, "another process"), 4.0)

    assert reported(log) == a_report(1.0)
    assert changes
    assert changes.changed == {log.newest_first()[0].id}
    assert log.take_changes() is None


def test_the_report_of_another_pool_is_not_added() -> None:
    log = IncidentLog()
    observed(log, a_look(0.0, FULL))
    log.add_report(replace(POOL, pool="reports"), a_report(1.0), OWNER, EPOCH_S + 2)
    assert reported(log) is None


@pytest.mark.parametrize(("began_s", "is_kept"), [(CALM_S - 1, True), (CALM_S, False)])
def test_an_early_report_waits_for_its_incident(began_s: float, is_kept: bool) -> None:
    log = IncidentLog()
    add(log, a_report(0.0), 1.0)
    observed(log, a_look(began_s, FULL))
    assert reported(log) == (a_report(0.0) if is_kept else None)


def test_an_early_report_belongs_to_one_incident() -> None:
    log = IncidentLog()
    add(log, a_report(0.0), 0.0)
    looks = [a_look(30.0 * n, HEALTHY) for n in range(1, 5)]
    observed(log, a_look(0.0, FULL), *looks, a_look(130.0, FULL))
    newer, older = log.newest_first()
    assert (newer.timeout_report, older.timeout_report) == (None, a_report(0.0))


@pytest.mark.parametrize(("before_s", "is_kept"), [(CALM_S - 1, True), (CALM_S, False)])
def test_a_late_report_of_earlier_trouble_is_not_added(before_s: float, is_kept: bool) -> None:
    log = IncidentLog()
    observed(log, a_look(1000.0, FULL))
    add(log, a_report(1000.0 - before_s), 1001.0)
    assert (reported(log) is not None) is is_kept


def test_an_early_report_is_added_to_an_incident_of_the_state_file() -> None:
    log = IncidentLog()
    stored = replace(an_incident(ended=None), pool=POOL)
    add(log, a_report(20.0), 20.0)
    log.resume_incidents([stored], 20.0, EPOCH_S + 20)
    assert reported(log) == a_report(20.0)


def test_a_stored_report_stays_the_first() -> None:
    log = IncidentLog()
    first = a_report(5.0, "stored")
    stored = replace(an_incident(ended=None), pool=POOL, timeout_report=first)
    add(log, a_report(20.0), 20.0)
    log.resume_incidents([stored], 20.0, EPOCH_S + 20)
    add(log, a_report(21.0), 21.0)
    assert reported(log) == first


def test_an_ended_incident_keeps_its_report() -> None:
    log = IncidentLog()
    observed(log, a_look(0.0, FULL))
    add(log, a_report(1.0), 1.0)
    looks = [a_look(30.0 * n, HEALTHY) for n in range(1, 5)]
    [ended] = observed(log, *looks)
    assert (ended.ended, ended.timeout_report) == (IncidentEnd.CALM, a_report(1.0))


def pool(name: str) -> ServicePool:
    return replace(POOL, pool=name)


def test_early_reports_are_bounded_and_the_largest_sender_loses_its_oldest() -> None:
    held = EarlyReports()
    held.hold_report(pool("small"), a_report(0.0), "small", EPOCH_S)
    for number in range(MAX_EARLY):
        held.hold_report(pool(str(number)), a_report(1.0 + number / 100), "large", EPOCH_S + 2)

    found = [name for name in ("small", *map(str, range(MAX_EARLY))) if held.take_early(pool(name))]
    assert len(found) == MAX_EARLY
    assert "small" in found
    assert "0" not in found


@pytest.mark.parametrize(("later_s", "text"), [(CALM_S - 1, "first"), (CALM_S, "second")])
def test_the_first_early_report_of_a_pool_is_held_for_the_calm_time(
    later_s: float, text: str
) -> None:
    held = EarlyReports()
    held.hold_report(POOL, a_report(0.0, "first"), OWNER, EPOCH_S)
    held.hold_report(POOL, a_report(later_s, "second"), OWNER, EPOCH_S + later_s)
    report = held.take_early(POOL)
    assert report
    assert report.text == text
    assert held.take_early(POOL) is None


def test_a_report_that_is_too_old_is_not_held() -> None:
    held = EarlyReports()
    held.hold_report(POOL, a_report(0.0), OWNER, EPOCH_S + CALM_S)
    assert held.take_early(POOL) is None
