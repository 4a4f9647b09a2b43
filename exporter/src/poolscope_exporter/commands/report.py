"""Write one incident of a running exporter as Markdown, with its timeline as a picture."""

import argparse
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
from pydantic import BaseModel, ValidationError

from poolscope_exporter.commands.audit import Question, add_query_arguments, fetch
from poolscope_exporter.terminal.printable import printable
from poolscope_exporter.web.incidents.incident_answers import (
    HolderGroupRow,
    IncidentRow,
    MomentRow,
    TimeoutReportRow,
)
from poolscope_exporter.web.incidents.timeline_svg import timeline_svg

PATH: Final = "/api/v1/incidents"
MAX_ID: Final = 64

_UNKNOWN: Final = "unknown"


class _Answer(BaseModel):
    incidents: list[IncidentRow]


@dataclass(frozen=True, slots=True)
class IncidentReport:
    """One incident as Markdown, before and after its picture, and the picture as SVG, if any."""

    facts: str
    svg: str
    course: str


def read_report(question: Question, incident: str | None) -> IncidentReport | str:
    """Query the exporter; return the report, or the reason why there is none.

    Without an id, the newest incident is reported.
    """
    selection = {"limit": "1"} if incident is None else {"id": incident, "limit": "1"}
    try:
        answer = fetch(question, PATH, selection)
        if isinstance(answer, str):
            return answer
        found = _Answer.model_validate_json(answer).incidents
    except (httpx.HTTPError, ssl.SSLError, OSError) as exc:
        return f"{question.url} does not answer: {exc}"
    except ValidationError:
        return f"{question.url}{PATH} is not the API of a poolscope-exporter: check --url"
    if not found:
        missing = "incident" if incident is None else f"incident {incident}"
        return f"{question.url} has no {missing}: open /incidents for its list"
    return report_of(found[0])


def report_of(incident: IncidentRow) -> IncidentReport:
    """Return the report of an incident."""
    return IncidentReport(
        _joined_lines(_facts(incident)),
        timeline_svg(incident.model_dump(mode="json")),
        _joined_lines(_course(incident)),
    )


def as_one_text(report: IncidentReport) -> str:
    """Return the report with its picture in it."""
    return _document(report, report.svg)


def write_report(report: IncidentReport, prefix: Path) -> tuple[Path, ...]:
    """Write the Markdown and the picture; return their paths."""
    page = prefix.with_name(prefix.name + ".md")
    picture = prefix.with_name(prefix.name + ".svg")
    link = f"![timeline](<{picture.name}>)" if report.svg else ""
    page.write_text(_document(report, link), encoding="utf-8")
    if not report.svg:
        return (page,)
    picture.write_text(report.svg + "\n", encoding="utf-8")
    return page, picture


def add_report_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "incident", metavar="ID", nargs="?", help="id of the incident (default: the newest one)"
    )
    add_query_arguments(parser)
    parser.add_argument(
        "--output",
        metavar="PREFIX",
        help="beginning of the names of a Markdown and an SVG file (default: standard output)",
    )


def incident_of(text: str | None, problems: list[str]) -> str | None:
    """Return the id of an incident; add a line for a wrong one, without repeating it."""
    is_id = text is None or (text.isascii() and text.isalnum() and len(text) <= MAX_ID)
    if not is_id:
        # The argument may be a DSN with a password, typed at the wrong place.
        problems.append("ID: must be the id of an incident, as /incidents shows it")
    return text if is_id else None


def code(text: str | None) -> str:
    """Return a text of a sender such that Markdown shows it and does nothing else with it."""
    if text is None:
        return _UNKNOWN
    plain = printable(" ".join(text.split())).replace("`", "'").replace("|", "¦")
    return f"`{plain}`" if plain else '""'


def _document(report: IncidentReport, picture: str) -> str:
    return f"{report.facts}\n{picture}\n\n{report.course}"


def _joined_lines(lines: Iterator[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _course(incident: IncidentRow) -> Iterator[str]:
    yield "## Course"
    yield ""
    yield "| from | diagnosis | reason |"
    yield "|---|---|---|"
    for change in incident.changes:
        yield f"| {code(change.at)} | {change.diagnosis} | {code(change.reason)} |"
    if incident.changes_left_out:
        yield ""
        yield f"{incident.changes_left_out} changes are not listed."
    yield from _moment("At its worst", incident.worst)
    if incident.first_timeout:
        yield from _moment("At the first time-out", incident.first_timeout)
    if incident.timeout_report:
        yield from _timeout_report(incident.timeout_report)
    elif incident.first_timeout:
        yield ""
        yield "The log of the app has a report of that moment: look for `poolscope:`."


def _facts(incident: IncidentRow) -> Iterator[str]:
    peaks = incident.peaks
    server = incident.server_address
    if incident.server_port is not None:
        server = f"{server}:{incident.server_port}"
    facts = {
        "service": code(_joined(incident.service_namespace, incident.service)),
        "pool": f"{code(incident.pool)}, database {code(incident.db_namespace)} at {code(server)}",
        "began": code(incident.began_at),
        "last evidence": code(incident.ended_at) if incident.ended_at else "the incident is open",
        "lasted": f"{incident.lasted_s:.0f} s",
        "ended by": str(incident.ended_by or "nothing yet"),
        "most waiting callers": str(peaks.waiting),
        "most within 30 s": f"{peaks.timeouts} time-outs, {peaks.failures} failures",
        "most leaked connections": str(peaks.leaked),
        "processes": str(peaks.processes),
        "alerts": ", ".join(map(code, incident.alerts)) or "none",
    }
    if incident.unobserved_s:
        facts["without the exporter"] = f"{incident.unobserved_s:.0f} s"
    yield f"# Incident {code(incident.incident)}: {incident.cause}"
    yield ""
    yield "| fact | value |"
    yield "|---|---|"
    for name, value in facts.items():
        yield f"| {name} | {value} |"


def _moment(title: str, moment: MomentRow) -> Iterator[str]:
    yield ""
    yield f"## {title}"
    yield ""
    known = (moment.used, moment.limit, moment.waiting)
    used, limit, waiting = ("?" if each is None else each for each in known)
    yield f"{code(moment.at)}: {moment.diagnosis}, {used} used of {limit}, {waiting} waiting."
    yield ""
    yield from (f"- {code(reason)}" for reason in moment.reasons)
    if moment.holders:
        yield ""
        yield "| verdict | connections | oldest | route | taken at | kept by | process | PIDs |"
        yield "|---|---|---|---|---|---|---|---|"
        yield from map(_holder, moment.holders)
    if moment.more_holders:
        yield ""
        yield f"{moment.more_holders} more connections."
    if moment.waiters:
        yield ""
        yield "| waits for | callers | oldest | route | line |"
        yield "|---|---|---|---|---|"
        for each in moment.waiters:
            place = f"{code(each.route)} | {code(each.line)}"
            yield f"| {each.phase} | {each.count} | {each.oldest_s:.1f} s | {place} |"
    if moment.more_waiters:
        yield ""
        yield f"{moment.more_waiters} more callers."


def _timeout_report(report: TimeoutReportRow) -> Iterator[str]:
    """Yield the lines in a fence; without a backtick in them, none of them can end it."""
    yield ""
    yield "## Report of the app at the first time-out"
    yield ""
    yield f"{code(report.at)} in process {code(report.process)}:"
    yield ""
    yield "```text"
    for line in report.text.splitlines():
        yield printable(line).replace("`", "'")
    yield "```"


def _holder(group: HolderGroupRow) -> str:
    place = f"{code(group.route)} | {code(group.taken_at)} | {code(group.kept_by)}"
    pids = ", ".join(map(str, group.backend_pids)) or _UNKNOWN
    return (
        f"| {group.verdict} | {group.count} | {group.oldest_s:.1f} s | {place}"
        f" | {code(group.process)} | {pids} |"
    )


def _joined(namespace: str, name: str) -> str:
    return f"{namespace}/{name}" if namespace else name
