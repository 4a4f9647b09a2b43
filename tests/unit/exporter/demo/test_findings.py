"""Findings are told once per verdict, with exactly the documented keys."""

import json

import pytest

from poolscope_exporter.core.judging.verdicts import Verdict
from poolscope_exporter.demo.findings import Findings, finding_as_json, finding_as_sentence
from support.exporter.reported import a_reported_checkout


@pytest.mark.parametrize("verdict", [Verdict.WORKING, Verdict.UNCONFIRMED, Verdict.UNKNOWN])
def test_a_checkout_that_nothing_is_known_against_is_no_finding(verdict: Verdict) -> None:
    assert Findings().new_among([a_reported_checkout(verdict=verdict)]) == []


# In order: workers that run in parallel must collect the same tests.
@pytest.mark.parametrize(
    "verdict", sorted(set(Verdict) - {Verdict.WORKING, Verdict.UNCONFIRMED, Verdict.UNKNOWN})
)
def test_every_other_verdict_is_a_finding(verdict: Verdict) -> None:
    checkout = a_reported_checkout(verdict=verdict)
    assert Findings().new_among([checkout]) == [checkout]


def test_a_finding_is_told_once_however_its_age_grows() -> None:
    findings = Findings()
    assert findings.new_among([a_reported_checkout()]) == [a_reported_checkout()]
    assert findings.new_among([a_reported_checkout(age_s=9.0)]) == []


def test_a_new_verdict_is_news() -> None:
    findings = Findings()
    findings.new_among([a_reported_checkout(verdict="idle_in_transaction")])
    assert findings.new_among([a_reported_checkout()]) == [a_reported_checkout()]


def test_a_moment_without_confirmation_is_no_news() -> None:
    findings = Findings()
    findings.new_among([a_reported_checkout()])
    assert findings.new_among([a_reported_checkout(verdict="unconfirmed")]) == []
    assert findings.new_among([a_reported_checkout()]) == []


def test_the_same_number_in_another_process_is_another_checkout() -> None:
    findings = Findings()
    findings.new_among([a_reported_checkout()])
    other = a_reported_checkout(service_instance_id="b2")
    assert findings.new_among([other]) == [other]


def test_json_has_exactly_the_documented_keys() -> None:
    assert json.loads(finding_as_json(a_reported_checkout())) == {
        "verdict": "leaked",
        "evidence": "request_finished",
        "service": "shop",
        "pool": "orders",
        "route": "/orders/{order_id}/export",
        "code_file": "shop/app.py",
        "code_line": 12,
        "age_s": 3.25,
        "backend_pid": 4242,
        "server_state": "idle in transaction",
        "link": "address",
        "now": None,
    }


def test_a_sentence_says_what_is_not_known_instead_of_inventing_it() -> None:
    bare = a_reported_checkout(
        evidence=None,
        route=None,
        code_file=None,
        code_line=None,
        backend_pid=None,
        server_state=None,
        link="unlinked:no_server",
    )
    sentence = finding_as_sentence(bare)
    assert "no route" in sentence
    assert "an unknown line" in sentence
    assert "backend unknown" in sentence
    assert "state unknown" in sentence
    assert "None" not in sentence
