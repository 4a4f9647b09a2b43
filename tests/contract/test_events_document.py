"""docs/events.md has every field of the lines about a connection, and no other."""

import json
from typing import Any

import pytest

from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers
from poolscope_exporter.core.incidents.incident import IncidentEnd
from poolscope_exporter.core.judging.diagnosis import Diagnosis, PoolDiagnosis
from poolscope_exporter.core.judging.situation import PoolAssessment, Situation
from poolscope_exporter.core.judging.verdicts import Judgement, Verdict
from poolscope_exporter.core.linking.link import Link, LinkLevel
from poolscope_exporter.web.events import EndedBy, Events
from support.documents.markdown import ROOT, blocks
from support.exporter.builders import a_checkout, a_pool, a_session
from support.exporter.incident_looks import an_incident
from support.exporter.processes import an_instance_state

PAGE = ROOT / "docs" / "events.md"
AN_INSTANCE = an_instance_state({"host.name": "node-1", "process.pid": "17"})


def real_lines() -> dict[str, dict[str, Any]]:
    """Return one line of each event about a connection, by the kind of event."""
    link = Link(LinkLevel.ADDRESS, "main", a_session(), 100.0)
    leaked = Judgement(a_checkout(1), 5.0, Verdict.LEAKED, None, None, link, confirmed=True)
    pool = PoolAssessment(
        a_pool(),
        PoolNumbers(held_total=0, listed_total=0),
        PoolDiagnosis(Diagnosis.HEALTHY, ("why",)),
    )
    events = Events()
    lines = [
        *events.lines(Situation((leaked,), (), (), (AN_INSTANCE,), 0.0), "now"),
        *events.lines(Situation((), (pool,), (), (AN_INSTANCE,), 0.0), "now"),
    ]
    lines += events.lines(Situation((), (), (), (), 0.0), "now", [an_incident()])
    read = [json.loads(line) for line in lines]
    return {line["event"]: line for line in read if line["event"] != "diagnosis"}


def documented_lines() -> dict[str, dict[str, Any]]:
    read = [json.loads(block.text) for block in blocks(PAGE) if block.language == "json"]
    return {line["event"]: line for line in read}


def fields_under(heading: str) -> set[str]:
    section = PAGE.read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in row.split(" | ")[0].split("`")[1::2]}


@pytest.mark.parametrize("event", ["verdict", "checkout_ended", "incident"])
def test_the_example_has_the_fields_of_a_real_line(event: str) -> None:
    assert list(documented_lines()[event]) == list(real_lines()[event])


@pytest.mark.parametrize("event", ["verdict", "checkout_ended"])
def test_every_field_is_explained(event: str) -> None:
    explained = fields_under("Fields of a connection") | fields_under(f"`{event}`")
    assert explained == set(real_lines()[event])


def test_every_field_of_an_incident_is_explained() -> None:
    assert fields_under("`incident`") == set(real_lines()["incident"])


def test_every_end_of_an_incident_is_explained() -> None:
    page = (ROOT / "docs" / "incident-history.md").read_text()
    assert [each for each in IncidentEnd if f"| `{each}` |" not in page] == []


def test_every_way_to_end_is_explained() -> None:
    section = PAGE.read_text().partition("## `checkout_ended`")[2].partition("\n## ")[0]
    assert [each for each in EndedBy if f"`{each}`" not in section] == []
