"""What SECURITY.md promises of our statements, our names and our listeners is so."""

import ast
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from poolscope import catalogue
from poolscope_exporter.receiver.endpoint import PATH
from poolscope_exporter.settings.loading import load_settings
from poolscope_exporter.web.openapi import OPERATIONS
from support.documents.markdown import ROOT

SECURITY = (ROOT / "SECURITY.md").read_text()
STATEMENTS = sorted((ROOT / "exporter" / "src").rglob("*.sql"))
_COMMENT = re.compile(r"--[^\n]*")
_READS_QUERIES = re.compile(
    r"\bquery\b|\*|pg_stat_statements|\bdebug_query_string\b", re.IGNORECASE
)
_EVERY_ROW = re.compile(r"count\(\*\)", re.IGNORECASE)
"""Counts rows, and reads no column of them."""

_LISTENS = re.compile(r"bind|accept|create_(unix_)?server|start_(unix_)?server|\w*HTTPServer")
SENT: Mapping[str, tuple[str, ...]] = {
    "the route template": (catalogue.HTTP_ROUTE, catalogue.UNIT_NAME),
    "file, line and function": (
        catalogue.CODE_FILE_PATH,
        catalogue.CODE_LINE_NUMBER,
        catalogue.CODE_FUNCTION_NAME,
    ),
    "the backend PID": (catalogue.BACKEND_PID,),
    "addresses and ports of the socket": (
        catalogue.LOCAL_ADDRESS,
        catalogue.LOCAL_PORT,
        catalogue.PEER_ADDRESS,
        catalogue.PEER_PORT,
    ),
    "the trace id": (catalogue.TRACE_ID,),
    "the evidence of a leak": (catalogue.EVIDENCE,),
    "the age of the connection": (catalogue.CONNECTION_AGE,),
    "the kind of work": (catalogue.OWNER_KIND, catalogue.UNIT_KIND),
    "the step that it waits for": (catalogue.PHASE,),
    "the backend PIDs of all open connections": (catalogue.BACKEND_PIDS,),
    "the thread name": (catalogue.THREAD_NAME, catalogue.BLOCKED_TIME, catalogue.STALL_IS_OVER),
    "the line that made them": (catalogue.CALL_SITE,),
    "whether the last one is gone": (catalogue.POOL_IS_GONE,),
    "the name of the call that it waits in": catalogue.NOW,
    "the report on a pool at its first time-out": (catalogue.TIMEOUT_TEXT,),
    "the occupancy profile": (catalogue.TAKEN_AT, catalogue.NOW_AT, catalogue.DOING),
    "a number": (catalogue.CHECKOUT_ID, catalogue.WAITER_ID),
}
"""The words of SECURITY.md for the attributes of what `poolscope` sends for the exporter alone."""

_OF_QUERIES_OR_USERS = ("db.query", "db.statement", "user", "enduser", "url", "http.request")


@pytest.mark.parametrize("path", STATEMENTS, ids=lambda path: path.name)
def test_no_statement_reads_the_text_of_a_query(path: Path) -> None:
    statement = _EVERY_ROW.sub("", _COMMENT.sub("", path.read_text()))
    assert _READS_QUERIES.findall(statement) == []


def test_the_statements_are_where_they_are_looked_for() -> None:
    assert "suspects.sql" in {path.name for path in STATEMENTS}


def test_nothing_on_the_wire_is_a_query_or_a_user() -> None:
    names = [value for value in vars(catalogue).values() if isinstance(value, str)]
    names += [metric.name for metric in catalogue.METRICS]
    assert [name for name in names if name.startswith(_OF_QUERIES_OR_USERS)] == []


def test_every_path_that_answers_is_listed_with_who_gets_an_answer() -> None:
    table = SECURITY.partition("## What holds")[0]
    rows = {
        frozenset(re.findall(r"`(/[a-z0-9/.{}]*)`", paths)): who
        for paths, who in re.findall(r"^\| (`/.*?) \| .*? \| (.*) \|$", table, re.MULTILINE)
    }
    everyone = frozenset(each.path for each in OPERATIONS if not each.is_guarded)
    guarded = frozenset(each.path for each in OPERATIONS if each.is_guarded)
    assert rows.keys() == {everyone, guarded, frozenset({PATH})}
    assert rows[everyone].startswith("everyone")
    assert all("shows the token" in rows[paths] for paths in rows.keys() - {everyone})


def test_the_default_addresses_are_those_of_the_settings() -> None:
    settings = load_settings({})
    for option, endpoint in (
        ("--listen", settings.listen),
        ("--otlp-listen", settings.otlp_listen),
    ):
        assert f"`{option}` (`{endpoint.address}:{endpoint.port}`)" in SECURITY


def test_the_page_names_all_that_is_sent_for_the_exporter_alone() -> None:
    sent = {
        name
        for metric in catalogue.METRICS
        if metric.scope == catalogue.PUSH_SCOPE and metric is not catalogue.PUSH
        for name in metric.attributes
    }
    assert sent == {name for names in SENT.values() for name in names}
    _, _, after = SECURITY.partition("**The app sends**")
    text = re.sub(r"\s+", " ", after.partition("**`/metrics`")[0])
    assert [words for words in SENT if words not in text] == []


def test_the_app_listens_on_no_port() -> None:
    sources = sorted((ROOT / "instrumentation" / "src").rglob("*.py"))
    found = [
        f"{path.name}:{call.lineno}: {ast.unparse(call.func)}"
        for path in sources
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call)
        and _LISTENS.fullmatch(ast.unparse(call.func).rpartition(".")[2])
    ]
    assert sources
    assert found == []
