"""The texts of the project are plain English."""

import json
from pathlib import Path

import pytest

from poolscope_generators.prose.findings import (
    count,
    findings,
    long_sentences,
    long_titles,
    markers,
)
from poolscope_generators.prose.groups import ROOT, not_rewritten, passages_of, rewritten
from poolscope_generators.prose.passages import (
    Passage,
    of_alerts,
    of_dashboard,
    of_docstrings,
    of_document,
    of_help,
)

NOT_REWRITTEN = not_rewritten()


@pytest.mark.parametrize(
    "path",
    rewritten(),
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_text_is_plain_english(path: Path) -> None:
    found = [str(finding) for passage in passages_of(path) for finding in findings(passage)]
    assert not found, "\n".join(found)


def test_list_of_files_to_rewrite_names_only_files_with_findings() -> None:
    plain = [
        path for path in NOT_REWRITTEN if not any(any(findings(each)) for each in passages_of(path))
    ]
    assert not plain, f"take these out of {ROOT}/generators/…/prose/not_rewritten.txt: {plain}"


@pytest.mark.parametrize(
    "text",
    [
        "The pid that an app is told by a PgBouncer is invented.",
        "A server's word counts only when it is heard anew.",
        "Each server has a loop of its own.",
        "The pools of those that push late are withheld.",
        "What cannot be known is unknown, with the reason.",
        "A checkout whose owner is gone leaks.",
        "Whoever holds a connection is named.",
    ],
)
def test_turn_of_phrase_that_readers_stumble_over_is_found(text: str) -> None:
    assert list(markers(Passage(Path("page.md"), 1, text)))


@pytest.mark.parametrize(
    "text",
    [
        "Is it a leak, or is the pool too small?",
        "What does pre-ping cost?",
        "A misbehaving sender cannot change other senders' data.",
        "A verdict stays unconfirmed until the next push proves that the checkout was still held.",
        "If you run several exporters, pass each its own port.",
        "What to do next",
    ],
)
def test_plain_sentence_passes(text: str) -> None:
    assert not list(markers(Passage(Path("page.md"), 1, text)))


@pytest.mark.parametrize(("words", "is_long"), [(25, False), (26, True)])
def test_sentence_of_more_than_25_words_is_found(words: int, is_long: bool) -> None:
    text = f"{'A ' + 'word ' * (words - 2)}ends. Another one follows."
    assert bool(list(long_sentences(Passage(Path("page.md"), 1, text)))) is is_long


def test_code_and_addresses_of_a_document_are_not_prose(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# Told\n\nRun `tell` at [a page](https://told.example).\n\n"
        "```console\n$ told\n```\n\n| a | told |\n|---|---|\n| b | c |\n"
    )
    passages = list(of_document(page))
    assert [each.text for each in passages] == [
        "Told",
        "Run code at a page.",
        "a",
        "told",
        "b",
        "c",
    ]
    assert count(passages).markers == 2


def test_docstrings_are_read_by_paragraph(tmp_path: Path) -> None:
    source = tmp_path / "source.py"
    source.write_text('"""Module.\n\nMore ``code`` of it."""\n\ndef f():\n    """Return 1."""\n')
    assert [each.text for each in of_docstrings(source)] == [
        "Module.",
        "More code of it.",
        "Return 1.",
    ]


def test_sentence_may_begin_with_code_or_the_projects_name() -> None:
    words = " ".join(["word"] * 15)
    for start in ("code", "poolscope"):
        text = f"The {words}. {start} {words}."
        assert not list(long_sentences(Passage(Path("page.md"), 1, text)))


def test_help_of_commands_and_options_is_read(tmp_path: Path) -> None:
    source = tmp_path / "cli.py"
    source.write_text('parser.add_parser("run", help="run the "\n  "exporter", other="told")\n')
    assert [each.text for each in of_help(source)] == ["run the exporter"]


def test_texts_of_alerts_are_read_without_their_templates(tmp_path: Path) -> None:
    rules = tmp_path / "a.rules.yaml"
    rules.write_text(
        "      - alert: PoolFull\n        annotations:\n"
        '          summary: "Pool {{ $labels.x }} is \\"full\\".'
        '{{ if $labels.y }} It waits.{{ end }}"\n'
        '          runbook_url: "told"\n'
    )
    assert [each.text for each in of_alerts(rules)] == ['Pool code is "full". It waits.']


def test_description_of_a_dashboard_and_words_for_missing_data_are_read(tmp_path: Path) -> None:
    board = tmp_path / "board.json"
    panel = {"id": 1, "title": "A", "fieldConfig": {"defaults": {"noValue": "nobody told it"}}}
    board.write_text(json.dumps({"description": "Said.", "panels": [panel]}))
    assert [each.text for each in of_dashboard(board)] == ["Said.", "A", "nobody told it"]


@pytest.mark.parametrize(("length", "is_long"), [(45, False), (46, True)])
def test_title_of_a_panel_has_at_most_45_characters(
    tmp_path: Path, length: int, is_long: bool
) -> None:
    board = tmp_path / "board.json"
    inner = {"id": 2, "title": "x" * length, "description": "Told in `code`."}
    row = {"id": 1, "title": "Row", "panels": [inner]}
    board.write_text(json.dumps({"description": "All.", "panels": [row]}))
    _, heading, title, description = of_dashboard(board)
    assert (heading.text, description.text) == ("Row", "Told in code.")
    assert bool(list(long_titles(title))) is is_long
