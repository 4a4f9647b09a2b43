"""Rejected data is recorded by sender and reason, and logged once."""

import logging

import pytest

from poolscope import catalogue
from poolscope_exporter.core.fleet.fleet import Fleet
from poolscope_exporter.core.model.rejected_data import RejectedData
from poolscope_exporter.receiver.decode import decode
from poolscope_exporter.receiver.sender_warnings import MAX_REJECTED, SHOWN_FOR_S, SenderWarnings
from support.exporter.otlp_messages import a_gauge, a_request, a_summary

BYTES = a_gauge(catalogue.MAX.name, 5, unit="By")


def push_all(warnings: SenderWarnings, now_s: float = 1.0, service: str = "shop") -> None:
    resource = {"service.name": service}
    request = a_request(BYTES, a_summary(catalogue.WAIT_TIME.name), resource=resource)
    for push in decode(request).pushes:
        warnings.log_result(push, Fleet().record_push(push, now_s), now_s)


def test_rejected_data_names_its_sender_its_reason_and_a_metric() -> None:
    warnings = SenderWarnings()
    push_all(warnings)
    push_all(warnings, now_s=2.0)

    assert set(warnings.rejected_data(3.0)) == {
        RejectedData("shop", "wrong_unit", 2, 2.0, catalogue.MAX.name),
        RejectedData("shop", "summary", 2, 2.0),
    }


def test_each_sender_and_reason_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    warnings = SenderWarnings()
    with caplog.at_level(logging.WARNING, "poolscope_exporter"):
        for service in ("shop", "bank", "shop"):
            push_all(warnings, service=service)

    assert len(caplog.messages) == 4
    metric = catalogue.MAX.name
    left_out = "the receiver left out a part of a push"
    assert f"sender shop: {left_out}, for example of {metric}: wrong_unit" in caplog.messages


def test_rejected_data_is_shown_for_ten_minutes() -> None:
    warnings = SenderWarnings()
    push_all(warnings, now_s=0.0)

    assert len(warnings.rejected_data(SHOWN_FOR_S)) == 2
    assert warnings.rejected_data(SHOWN_FOR_S + 0.1) == ()


def test_rejected_data_is_bounded_and_the_oldest_goes() -> None:
    warnings = SenderWarnings()
    for number in range(MAX_REJECTED):
        push_all(warnings, service=f"service-{number}")

    found = warnings.rejected_data(1.0)
    assert len(found) == MAX_REJECTED
    assert "service-0" not in {each.sender for each in found}
