"""The receiver reads the reports of first time-outs: as they were sent, bounded and printable."""

import pytest
from opentelemetry.sdk.resources import Resource

from poolscope import catalogue
from poolscope.pushing.encoding import encode
from poolscope.pushing.samples import Sample
from poolscope.pushing.timeouts.unsent_reports import MAX_TEXT, UnsentReport, report_samples
from poolscope.recording.pool import PoolIdentity
from poolscope_exporter.core.model.pushes import TimeoutReport
from poolscope_exporter.receiver.attributes import MAX_REPORT_LENGTH
from poolscope_exporter.receiver.decode import Decoded, decode, parse_protobuf
from poolscope_exporter.receiver.poolscope_push import MAX_REPORTS
from support.exporter.otlp_messages import POOL, Attributes, a_marker, a_request, gauges, number

TEXT = "pool orders: callers gave up after 30 s; held by:\n      41.2 s  /pay  shop/pay.py:7"


def decoded(*reports: tuple[float, Attributes]) -> Decoded:
    points = [number(age_s, {**POOL, **attributes}) for age_s, attributes in reports]
    return decode(a_request(push=(a_marker(), gauges(catalogue.TIMEOUT_REPORT.name, *points))))


def the_text(text: str) -> str:
    [push] = decoded((0.0, {catalogue.TIMEOUT_TEXT: text})).pushes
    [report] = push.timeout_reports.values()
    return report.text


def test_a_report_arrives_as_the_app_sent_it() -> None:
    text = TEXT + "\nwaits for a café"
    sent = [UnsentReport(PoolIdentity(name="orders", server_port=5432), text, 10.0)]
    marker = Sample(catalogue.PUSH, {}, 1)
    body = encode([marker, *report_samples(sent, 12.5)], Resource({}), 0, 1)
    [push] = decode(parse_protobuf(body)).pushes

    [(pool, report)] = push.timeout_reports.items()
    assert (pool.name, pool.server_port) == ("orders", 5432)
    assert report == TimeoutReport(2.5, text)


def test_a_push_of_an_earlier_app_has_no_report() -> None:
    [push] = decode(a_request(push=(a_marker(),))).pushes
    assert push.timeout_reports == {}


@pytest.mark.parametrize(
    ("age_s", "attributes"),
    [
        (-0.1, {catalogue.TIMEOUT_TEXT: TEXT}),
        (float("nan"), {catalogue.TIMEOUT_TEXT: TEXT}),
        (0.0, {}),
        (0.0, {catalogue.TIMEOUT_TEXT: ""}),
        (0.0, {catalogue.TIMEOUT_TEXT: " \n\x1b\n"}),
        (0.0, {catalogue.TIMEOUT_TEXT: 4711}),
    ],
)
def test_a_report_without_text_or_with_a_wrong_age_is_refused(
    age_s: float, attributes: Attributes
) -> None:
    found = decoded((age_s, attributes))
    assert found.refused == {"malformed_report": 1}
    assert found.pushes[0].timeout_reports == {}


def test_reports_of_a_push_are_bounded_and_the_others_counted() -> None:
    reports = [
        (1.0, {catalogue.POOL_NAME: f"pool-{n}", catalogue.TIMEOUT_TEXT: TEXT})
        for n in range(MAX_REPORTS + 3)
    ]
    found = decoded(*reports)
    assert found.refused == {"too_many_reports": 3}
    assert len(found.pushes[0].timeout_reports) == MAX_REPORTS


def test_the_first_report_of_a_pool_is_read() -> None:
    texts = [(1.0, {catalogue.TIMEOUT_TEXT: text}) for text in ("first", "second")]
    [report] = decoded(*texts).pushes[0].timeout_reports.values()
    assert report.text == "first"


@pytest.mark.parametrize("length", [MAX_REPORT_LENGTH, MAX_REPORT_LENGTH + 1])
def test_a_report_is_cut_to_its_limit(length: int) -> None:
    assert len(the_text("x" * length)) == MAX_REPORT_LENGTH
    assert MAX_TEXT < MAX_REPORT_LENGTH


def test_the_other_attributes_of_a_report_are_cut_as_everywhere() -> None:
    attributes: Attributes = {catalogue.TIMEOUT_TEXT: TEXT, catalogue.POOL_NAME: "p" * 300}
    [pool] = decoded((0.0, attributes)).pushes[0].timeout_reports
    assert pool.name == "p" * 256


def test_the_text_of_a_report_is_cut_as_any_other_in_another_metric() -> None:
    attributes = {**POOL, catalogue.CALL_SITE: "x" * 300, catalogue.TIMEOUT_TEXT: TEXT}
    made = gauges(catalogue.POOLS_MADE.name, number(1, attributes))
    [push] = decode(a_request(push=(a_marker(), made))).pushes
    [pools_made] = push.pools_made.values()
    assert pools_made.call_site == "x" * 256


def test_no_character_of_a_report_moves_a_cursor_or_turns_the_writing() -> None:
    assert the_text("a\x1b[2J\u202eb\r\n\x00  c\x85d\n") == "a[2Jb\n  c\nd"
