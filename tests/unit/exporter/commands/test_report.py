"""The command `report` writes an incident as Markdown that no sender's text can break."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest

from poolscope_exporter.cli import main
from poolscope_exporter.commands.report import as_one_text, code, report_of
from poolscope_exporter.core.incidents.incident import Incident, ReportedTimeout
from poolscope_exporter.web.incidents.incident_answers import IncidentRow
from poolscope_exporter.web.incidents.incident_rows import incident_row
from support.exporter.canned_exporter import CannedExporter
from support.exporter.incident_looks import a_full_incident, an_incident

EXAMPLE = resources.files("poolscope_exporter.web").joinpath("examples", "incidents.json")
HOSTILE = "a`b\n\n# c | d <script>alert(1)</script> [x](http://y) ![i](z) @all \u202e\x1b[2J"


def course_of(incident: Incident) -> str:
    return report_of(IncidentRow.model_validate(incident_row(incident))).course


def without_fences(markdown: str) -> tuple[str, list[str]]:
    """Return the text outside of fenced blocks, and the blocks; a block ends as in CommonMark."""
    outside: list[str] = []
    blocks: list[list[str]] = []
    is_fenced = False
    for line in re.split(r"\r\n|\n|\r", markdown):
        if is_fenced and re.fullmatch(r" {0,3}`{3,}[ \t]*", line):
            is_fenced = False
        elif is_fenced:
            blocks[-1].append(line)
        elif line.startswith("```"):
            is_fenced = True
            blocks.append([])
        else:
            outside.append(line)
    assert not is_fenced
    return "\n".join(outside), ["\n".join(each) for each in blocks]


@pytest.fixture
def exporter() -> Iterator[CannedExporter]:
    with CannedExporter({"/api/v1/incidents": EXAMPLE.read_bytes()}) as canned:
        yield canned


def test_the_report_is_printed_with_its_timeline(
    exporter: CannedExporter, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", "3f9a1c07be52", "--url", exporter.address]) == 0
    assert exporter.asked == ["/api/v1/incidents?id=3f9a1c07be52&limit=1"]
    printed = capsys.readouterr().out

    for text in (
        "# Incident `3f9a1c07be52`: leaking",
        "| most waiting callers | 9 |",
        "| most within 30 s | 4 time-outs, 0 failures |",
        "| alerts | `PoolLeak`, `PoolExhausted` |",
        "| leaked | 3 | 41.2 s | `/orders/{order_id}/export` | `shop/orders.py:133` |",
        "<svg ",
        "## At the first time-out",
        "## Report of the app at the first time-out",
        "7 waiting in the queue:",
    ):
        assert text in printed


def test_the_report_is_written_to_two_files(exporter: CannedExporter, tmp_path: Path) -> None:
    prefix = tmp_path / "incident 1"
    assert main(["report", "--url", exporter.address, "--output", str(prefix)]) == 0
    assert exporter.asked == ["/api/v1/incidents?limit=1"]

    page = (tmp_path / "incident 1.md").read_text()
    assert "![timeline](<incident 1.svg>)" in page
    assert "<svg " not in page
    assert (tmp_path / "incident 1.svg").read_text().startswith("<svg ")


def test_an_unknown_incident_is_a_failure_with_the_next_step(
    capsys: pytest.CaptureFixture[str],
) -> None:
    nothing = json.loads(EXAMPLE.read_bytes()) | {"incidents": []}
    with CannedExporter({"/api/v1/incidents": json.dumps(nothing).encode()}) as canned:
        assert main(["report", "abc", "--url", canned.address]) == 1
    assert "has no incident abc: open /incidents" in capsys.readouterr().err


@pytest.mark.parametrize("answer", [b"{}", b"<html>"])
def test_another_server_is_a_failure(answer: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    with CannedExporter({"/api/v1/incidents": answer}) as canned:
        assert main(["report", "--url", canned.address]) == 1
    assert "check --url" in capsys.readouterr().err


def test_an_exporter_that_does_not_answer_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "--url", "http://127.0.0.1:1"]) == 1
    assert "does not answer" in capsys.readouterr().err


def test_a_wrong_id_is_not_repeated_because_it_may_be_a_secret(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["report", "postgresql://u:s3cr3t@h/d"]) == 2
    assert "s3cr3t" not in capsys.readouterr().err


def test_no_text_of_a_sender_leaves_its_place_in_the_report() -> None:
    row = IncidentRow.model_validate(incident_row(a_full_incident(HOSTILE)))
    plain = IncidentRow.model_validate(incident_row(a_full_incident("x")))
    report, harmless = report_of(row), report_of(plain)
    text, fenced = without_fences(report.facts + report.course)
    harmless_text, _ = without_fences(harmless.facts + harmless.course)

    assert len(text.splitlines()) == len(harmless_text.splitlines())
    assert len(fenced) == 1
    assert "`" not in fenced[0]
    assert "<script>" in fenced[0]
    for line in text.splitlines():
        outside = "".join(line.split("`")[0::2])
        assert line.count("`") % 2 == 0
        for part in ("script", "http", "@all", "![", "# c"):
            assert part not in outside
    assert "\x1b" not in as_one_text(report)
    assert "\u202e" not in text + fenced[0]
    assert "<script" not in report.svg


@pytest.mark.parametrize("end", ["```", "~~~", "```\n# c", "\u2028```", "\x1c```", "\r```"])
def test_no_line_of_a_report_ends_its_fence(end: str) -> None:
    reported = ReportedTimeout(0.0, "node-1:17", f"a\n{end}\n# after")
    incident = replace(an_incident(), timeout_report=reported)
    text, (fenced,) = without_fences(course_of(incident))

    assert "# after" in fenced
    assert "# after" not in text


def test_the_report_of_an_exporter_without_reports_names_the_log() -> None:
    row = incident_row(a_full_incident())
    del row["timeout_report"]
    course = report_of(IncidentRow.model_validate(row)).course

    assert "The log of the app has a report" in course
    assert "```" not in course
    assert "The log of the app" not in course_of(a_full_incident())


@pytest.mark.parametrize(
    ("text", "shown"),
    [(None, "unknown"), ("", '""'), ("a", "`a`"), ("``", "`''`"), ("a|b", "`a¦b`")],
)
def test_a_text_is_shown_as_code(text: str | None, shown: str) -> None:
    assert code(text) == shown


def test_an_incident_without_a_timeline_has_no_picture() -> None:
    row = IncidentRow.model_validate(incident_row(an_incident()))
    assert report_of(row).svg == ""
