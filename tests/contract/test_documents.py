"""Every command and program of the documents is run by a test, or says why it is not."""

import ast
import json
import re
from functools import cache
from pathlib import Path

import pytest

from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers
from poolscope_exporter.core.judging.diagnosis import Diagnosis, PoolDiagnosis
from poolscope_exporter.core.judging.situation import PoolAssessment, Situation
from poolscope_exporter.web.events import Events
from support.documents.anchors import document_links
from support.documents.guides import GUIDES
from support.documents.markdown import ROOT, Block, Mark, blocks, commands, documents
from support.exporter.builders import a_pool

CURE = "docs/contributing.md says how a block is marked"
NAMED_TEST = re.compile(r"(tests/[\w/]+\.py)::(test_\w+)")
PAGES_OF_PROMISES = ("docs/receiver.md", "docs/exporter.md", "SECURITY.md")
TESTS_OF_PROMISES = re.compile(
    r"^## Tests of these promises\n\n\| promise \| test \|\n\|---\|---\|\n((?:\|.*\n)+)",
    re.MULTILINE,
)

DOCUMENTS = [str(path.relative_to(ROOT)) for path in documents()]
ALL = [block for path in documents() for block in blocks(path)]
RUNNABLE = [block for block in ALL if block.is_runnable]


@pytest.mark.parametrize("block", ALL, ids=str)
def test_every_block_names_its_language(block: Block) -> None:
    assert block.language, f"{block}: fence it, with console, python, yaml, text …"


@pytest.mark.parametrize("block", RUNNABLE, ids=str)
def test_what_a_reader_would_run_is_run_or_says_why_not(block: Block) -> None:
    assert block.mark is not None, f"{block}: nobody runs it; {CURE}"
    if block.mark is Mark.NOT_RUN:
        assert len(block.argument) > 10, f"{block}: say the reason"


@pytest.mark.parametrize("block", [b for b in RUNNABLE if b.language != "python"], ids=str)
def test_commands_can_be_told_from_their_output(block: Block) -> None:
    assert block.language == "console", f"{block}: a console, with `$ ` before what one types"
    assert list(commands(block)), f"{block}: no line begins with `$ `"


@pytest.mark.parametrize("block", [b for b in ALL if b.mark is Mark.RUN_BY], ids=str)
def test_the_test_that_is_said_to_run_a_block_exists(block: Block) -> None:
    for named in block.argument.split(", "):
        path, _, name = named.partition("::")
        assert name in names_in(path), f"{block}: no test {named}"


@pytest.mark.parametrize("block", [b for b in ALL if b.mark in (Mark.FILE, Mark.RUN)], ids=str)
def test_a_guide_with_commands_to_run_is_played(block: Block) -> None:
    assert block.document in {guide.document for guide in GUIDES}
    assert block.mark is Mark.FILE or block.argument in ("", "until the end", "on the server")


@pytest.mark.parametrize("block", [b for b in RUNNABLE if b.language == "python"], ids=str)
def test_every_program_can_be_parsed(block: Block) -> None:
    ast.parse(block.text)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_leads_to_a_file_and_a_heading(document: str) -> None:
    path = ROOT / document
    links = document_links(path.read_text(), path)
    assert [str(link) for link in links if not link.leads_somewhere] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_test_that_a_page_names_exists(document: str) -> None:
    named = set(NAMED_TEST.findall((ROOT / document).read_text()))
    assert {f"{path}::{name}" for path, name in named if name not in names_in(path)} == set()


@pytest.mark.parametrize("document", PAGES_OF_PROMISES)
def test_each_promise_in_the_table_of_a_page_names_its_tests(document: str) -> None:
    [table] = TESTS_OF_PROMISES.findall((ROOT / document).read_text())
    for row in table.splitlines():
        promise, tests = row.strip("| ").split(" | ")
        assert promise
        assert re.fullmatch(r"`\S+`(, `\S+`)*", tests), row
        assert all(NAMED_TEST.fullmatch(test) for test in re.findall(r"`(.+?)`", tests)), row


@pytest.mark.parametrize("document", PAGES_OF_PROMISES)
def test_a_page_of_promises_names_no_file_of_tests_without_the_test(document: str) -> None:
    assert document in DOCUMENTS
    prose = re.sub(r"```.*?```|<!--.*?-->", "", (ROOT / document).read_text(), flags=re.DOTALL)
    cited = re.findall(r"`(tests/[^`]+)`", prose)
    assert [each for each in cited if not NAMED_TEST.fullmatch(each)] == []


@pytest.mark.parametrize("document", [name for name in DOCUMENTS if name.startswith("docs/")])
def test_the_index_names_every_page(document: str) -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    assert document == "docs/README.md" or f"]({Path(document).name}" in index


@cache
def names_in(path: str) -> frozenset[str]:
    """Return the names of a file's tests; none where there is no such file."""
    source = ROOT / path
    if not source.is_file():
        return frozenset()
    parsed = ast.parse(source.read_text())
    return frozenset(
        node.name
        for node in ast.walk(parsed)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    )


def test_the_documented_event_line_has_the_fields_of_a_real_one() -> None:
    state = PoolAssessment(a_pool(), PoolNumbers(), PoolDiagnosis(Diagnosis.FULL, ("why",)))
    (line,) = Events().lines(Situation((), (state,), (), (), 0.0), "now")
    (documented,) = (
        json.loads(block.text)
        for block in blocks(ROOT / "docs" / "diagnoses.md")
        if block.language == "json"
    )
    assert list(documented) == list(json.loads(line))
