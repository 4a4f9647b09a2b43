"""Incidents in the API, on the page, as a picture and as a line: bounded, escaped, selectable."""

import json
from xml.etree import ElementTree as ET

import httpx
import pytest

from poolscope_exporter.core.incidents.incident import IncidentEnd
from poolscope_exporter.core.judging.situation import Situation
from poolscope_exporter.metrics.exposition import Exposition
from poolscope_exporter.metrics.scrape import Scrape
from poolscope_exporter.web.endpoints import create_web
from poolscope_exporter.web.events import Events
from poolscope_exporter.web.incidents.incident_rows import (
    ShownIncidents,
    incident_row,
    iso_time,
)
from poolscope_exporter.web.incidents.timeline_svg import timeline_svg
from poolscope_exporter.web.sources import Sources
from support.exporter.incident_looks import EPOCH_S, a_full_incident, an_incident
from support.exporter.pages import scripts_of

HOSTILE = "</text><script>alert(1)</script>&\"'`|\x1b\x00\u202e"
NOTHING = Situation((), (), (), (), 0.0)


def a_web(shown: ShownIncidents) -> httpx.AsyncClient:
    exposition = Exposition(lambda: Scrape(NOTHING, (), (), (), (), {}, {}))
    sources = Sources(
        lambda: NOTHING, exposition, lambda: True, lambda: "now", incidents=lambda: shown
    )
    transport = httpx.ASGITransport(create_web(sources, None))
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["incident1", "incident2"]),
        ("?limit=1", ["incident1"]),
        ("?id=incident2", ["incident2"]),
        ("?service=shop", ["incident1", "incident2"]),
        ("?service=other", []),
        ("?pool=reports", ["incident2"]),
        ("?cause=full", ["incident1", "incident2"]),
        ("?cause=blocked", []),
    ],
)
async def test_a_query_selects_incidents(query: str, found: list[str]) -> None:
    incidents = (an_incident(1), an_incident(2, pool="reports"))
    async with a_web(ShownIncidents(incidents)) as web:
        answer = (await web.get(f"/api/v1/incidents{query}")).json()

    assert [each["incident"] for each in answer["incidents"]] == found


@pytest.mark.parametrize("path", ["/incidents", "/api/v1/incidents"])
@pytest.mark.parametrize("query", ["?limit=-1", "?limit=x", "?verdict=lost"])
async def test_a_wrong_query_is_refused(path: str, query: str) -> None:
    async with a_web(ShownIncidents()) as web:
        assert (await web.get(path + query)).status_code == 400


async def test_the_page_escapes_every_text_of_a_sender_and_has_only_the_script_that_copies() -> (
    None
):
    async with a_web(ShownIncidents((a_full_incident(HOSTILE),), 3)) as web:
        response = await web.get("/incidents")

    assert scripts_of(response.text) == ["/copy.js"]
    assert "&lt;script&gt;" in response.text
    assert "style=" not in response.text
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert "3 incidents were not recorded" in response.text
    assert "--state-dir" in response.text


async def test_the_page_shows_an_open_and_an_ended_incident() -> None:
    incidents = (a_full_incident(), an_incident())
    async with a_web(ShownIncidents(incidents, is_saved=True)) as web:
        page = (await web.get("/incidents")).text

    for text in (
        'class="tag bad">open',
        "(calm)",
        "poolscope-exporter report 0123456789ab",
        "At the first time-out",
        "PoolLeak",
        "survive a restart",
        "<svg ",
    ):
        assert text in page


async def test_the_page_without_an_incident_says_so() -> None:
    async with a_web(ShownIncidents()) as web:
        assert "No incident since the start" in (await web.get("/incidents")).text


def test_the_picture_is_well_formed_whatever_a_sender_calls_its_pool() -> None:
    svg = timeline_svg(incident_row(a_full_incident(HOSTILE)))
    root = ET.fromstring(svg)

    assert {each.tag.rpartition("}")[2] for each in root.iter()} == {
        "svg",
        "title",
        "rect",
        "text",
        "polyline",
    }


def test_an_incident_without_a_timeline_has_no_picture() -> None:
    assert timeline_svg(incident_row(an_incident())) == ""


@pytest.mark.parametrize("seconds", [-1.0, 1e300, EPOCH_S])
def test_every_number_of_seconds_has_a_time(seconds: float) -> None:
    assert iso_time(seconds).endswith("+00:00")


def test_the_end_of_an_incident_is_one_line() -> None:
    ended = an_incident(ended=IncidentEnd.UNCHANGED)
    (line,) = Events().lines(NOTHING, "now", [ended])

    event = json.loads(line)
    assert (event["event"], event["incident"], event["ended_by"]) == (
        "incident",
        "incident1",
        "unchanged",
    )


async def test_the_page_and_the_api_have_the_report_of_the_app() -> None:
    async with a_web(ShownIncidents((a_full_incident("a & b"), an_incident()))) as web:
        page = (await web.get("/incidents")).text
        rows = (await web.get("/api/v1/incidents")).json()["incidents"]

    assert page.count("<summary>report of the app at the first time-out</summary>") == 1
    assert ">a &amp; b\na &amp; b</pre>" in page
    at = iso_time(EPOCH_S)
    assert rows[0]["timeout_report"] == {"at": at, "process": "a & b", "text": "a & b\na & b"}
    assert rows[1]["timeout_report"] is None
