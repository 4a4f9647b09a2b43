"""The command `top` without its live views: plain text, JSON, and each error with its cure."""

import importlib.abc
import json
import sys
from collections.abc import Iterator, Mapping
from importlib import resources

import pytest

from poolscope_exporter.cli import main
from poolscope_exporter.terminal.live.top_app import TopApp
from support.exporter.canned_exporter import CannedExporter

EXAMPLES = resources.files("poolscope_exporter.web").joinpath("examples")
ANSWERS: Mapping[str, bytes] = {
    f"/api/v1/{name}": EXAMPLES.joinpath(f"{name}.json").read_bytes()
    for name in ("pools", "checkouts", "blockers", "profile", "incidents")
}


@pytest.fixture
def exporter() -> Iterator[CannedExporter]:
    with CannedExporter(ANSWERS) as canned:
        yield canned


def edited(path: str, **changes: object) -> Mapping[str, bytes]:
    """Return the answers with other fields in the first pool."""
    answer = json.loads(ANSWERS[path])
    answer["pools"][0].update(changes)
    return {**ANSWERS, path: json.dumps(answer).encode()}


class _NoTextual(importlib.abc.MetaPathFinder):
    """Makes Textual and Rich missing, as they are without the extra."""

    def find_spec(self, name: str, path: object, target: object = None) -> None:
        if name.partition(".")[0] in {"textual", "rich"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name.partition(".")[0])


@pytest.fixture
def without_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(sys.modules):
        if name.partition(".")[0] in {"textual", "rich"} or ".terminal.live" in name:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [_NoTextual(), *sys.meta_path])


def test_once_prints_the_numbers_and_the_table(
    exporter: CannedExporter, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--once", "--service", "shop", "--pool", "orders"]
    assert main(["top", "--url", exporter.address, *arguments]) == 0
    numbers, titles, row = capsys.readouterr().out.splitlines()
    assert "pools in trouble 1 of 1, waiting callers 2, leaked connections 1, failures" in numbers
    assert " ".join(titles.split()) == (
        "service / pool diagnosis since used idle overflow waiting leaked failures/min why"
    )
    assert row.split("  ")[0] == "acme/shop / orders"
    assert "15 of 15" in row
    assert row.endswith("1 of 15 connections leaked")
    assert exporter.asked == [
        "/api/v1/pools?service=shop&pool=orders",
        "/api/v1/checkouts?service=shop&pool=orders",
    ]


def test_once_needs_no_extra(
    exporter: CannedExporter, without_extra: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["top", "--url", exporter.address, "--once"]) == 0
    assert "leaking" in capsys.readouterr().out


def test_the_live_views_without_the_extra_are_one_line_with_the_cure(
    exporter: CannedExporter,
    without_extra: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main(["top", "--url", exporter.address]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert "pip install 'poolscope-exporter[top]'" in line


def test_a_refused_first_reading_is_one_line_and_not_a_view(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    with CannedExporter({}) as refuses:
        assert main(["top", "--url", refuses.address]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert "answers 404: check --url" in line


def test_the_views_open_also_while_the_exporter_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown: list[TopApp] = []

    def run(app: TopApp) -> None:
        shown.append(app)

    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr(TopApp, "run", run)
    assert main(["top", "--url", "http://127.0.0.1:1", "--verdict", "leaked"]) == 0
    [app] = shown
    assert "does not answer" in app._watch.problem_line(0.0)
    assert app._watch.choice.verdict == "leaked"
    assert capsys.readouterr().err == ""


def test_without_a_terminal_the_plain_outputs_are_named(
    exporter: CannedExporter, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["top", "--url", exporter.address]) == 1
    assert "use --once or --json" in capsys.readouterr().err
    assert exporter.asked == []


def test_json_has_all_answers_in_one_object(
    exporter: CannedExporter, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["top", "--url", exporter.address, "--json"]) == 0
    merged = json.loads(capsys.readouterr().out)
    for name in ("pools", "checkouts", "blockers", "profile", "incidents"):
        assert merged[name] == json.loads(ANSWERS[f"/api/v1/{name}"])[name], name
    assert merged["missing"] == {}
    assert merged["servers"][0]["server"] == "main"
    assert "matching" not in merged


def test_json_names_an_answer_that_an_older_exporter_does_not_have(
    capsys: pytest.CaptureFixture[str],
) -> None:
    older = {path: body for path, body in ANSWERS.items() if "incidents" not in path}
    with CannedExporter(older) as canned:
        assert main(["top", "--url", canned.address, "--json"]) == 0
    assert "404" in json.loads(capsys.readouterr().out)["missing"]["/api/v1/incidents"]


@pytest.mark.parametrize(("verdict", "shown"), [("leaked", 1), ("leaking", 1), ("lost", 0)])
def test_a_verdict_selects_pools_by_diagnosis_or_by_checkout(
    exporter: CannedExporter, capsys: pytest.CaptureFixture[str], verdict: str, shown: int
) -> None:
    arguments = ["--url", exporter.address, "--verdict", verdict]
    assert main(["top", *arguments, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["pools"]) == shown
    assert main(["top", *arguments, "--once"]) == 0
    assert ("No pool matches" in capsys.readouterr().out) is not bool(shown)


def test_a_pool_of_an_older_exporter_has_question_marks(
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer = json.loads(ANSWERS["/api/v1/pools"])
    for name in ("overflow", "failures_per_minute"):
        del answer["pools"][0][name]
    with CannedExporter({**ANSWERS, "/api/v1/pools": json.dumps(answer).encode()}) as canned:
        assert main(["top", "--url", canned.address, "--once"]) == 0
    assert capsys.readouterr().out.splitlines()[2].count(" ? ") == 2


def test_characters_that_could_steer_the_terminal_are_not_printed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    hostile = edited("/api/v1/pools", pool="a\x1b[2Jb", reasons=["why\x07\n"], service="\u202ex")
    with CannedExporter(hostile) as canned:
        assert main(["top", "--url", canned.address, "--once"]) == 0
    printed = capsys.readouterr().out
    assert "a?[2Jb" in printed
    assert {each for each in printed if not each.isprintable()} == {"\n"}


@pytest.mark.parametrize("output", ["--once", "--json"])
def test_an_exporter_that_does_not_answer_is_a_failure(
    capsys: pytest.CaptureFixture[str], output: str
) -> None:
    assert main(["top", "--url", "http://127.0.0.1:1", output]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert "does not answer" in line


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"pools": 1}'])
def test_another_program_at_the_address_is_a_failure(
    capsys: pytest.CaptureFixture[str], body: bytes
) -> None:
    with CannedExporter(dict.fromkeys(ANSWERS, body)) as canned:
        assert main(["top", "--url", canned.address, "--once"]) == 1
    assert "is not the API of a poolscope-exporter: check --url" in capsys.readouterr().err


@pytest.mark.parametrize("interval", ["0", "-1", "soon", "inf"])
def test_a_wrong_interval_is_refused(capsys: pytest.CaptureFixture[str], interval: str) -> None:
    assert main(["top", f"--interval={interval}", "--once"]) == 2
    assert f"--interval={interval}: must be a number of seconds above 0" in capsys.readouterr().err
