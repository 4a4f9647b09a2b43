"""The command `profile` reads a running exporter, prints lines and writes two files."""

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import resources
from pathlib import Path

import pytest

from poolscope_exporter.cli import main
from poolscope_exporter.commands.profile import (
    OccupancyProfile,
    ProfileLine,
    as_collapsed,
    as_speedscope,
    summary,
)

EXAMPLE = resources.files("poolscope_exporter.web").joinpath("examples", "profile.json")
LINE = ProfileLine("shop", "shop", "/pay", "shop.py:1", "pay.py:5", "httpx.get", "httpx.get", 3.25)
COMPUTES = ProfileLine("shop", "shop", None, None, "x.py:2", None, "application", 1.0)


@pytest.fixture
def exporter() -> Iterator[tuple[str, list[str]]]:
    """Return the address of a server with the documented answer, and the paths of its requests."""
    asked: list[str] = []

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(EXAMPLE.read_bytes())

        def log_message(self, *_: object) -> None:
            """Write nothing."""

    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


def test_the_command_prints_lines_and_writes_both_files(
    exporter: tuple[str, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    address, asked = exporter
    prefix = tmp_path / "peak"
    wanted = ["--service", "shop", "--for", "60", "--output", str(prefix)]
    assert main(["profile", "--url", address, *wanted]) == 0
    assert asked == ["/api/v1/profile?service=shop&window=60"]
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == (
        "55.0 connection seconds in the last 60 s (0.9 connections on average), 25% in the database"
    )
    assert re.match(r" +41\.3 s +75%  httpx\.AsyncClient\.get at shop/payments\.py:55 ", printed[1])
    assert json.loads((tmp_path / "peak.speedscope.json").read_text())["profiles"]
    assert len((tmp_path / "peak.collapsed.txt").read_text().splitlines()) == 2


def test_an_exporter_that_does_not_answer_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", "--url", "http://127.0.0.1:1"]) == 1
    assert "does not answer" in capsys.readouterr().err


def test_a_wrong_number_of_seconds_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", "--for", "soon"]) == 2
    assert "--for=soon" in capsys.readouterr().err


def test_a_speedscope_file_has_a_weight_for_each_stack() -> None:
    found = as_speedscope([LINE, COMPUTES])
    [profile] = found["profiles"]
    names = [frame["name"] for frame in found["shared"]["frames"]]
    stacks = [[names[index] for index in stack] for stack in profile["samples"]]
    assert stacks == [
        ["shop / shop", "/pay", "taken at shop.py:1", "now at pay.py:5", "httpx.get"],
        ["shop / shop", "no route", "taken at unknown line", "now at x.py:2", "application"],
    ]
    assert profile["weights"] == [3.25, 1.0]
    assert (profile["startValue"], profile["endValue"]) == (0, 4.25)
    assert profile["unit"] == "seconds"


def test_collapsed_stacks_have_milliseconds() -> None:
    assert next(as_collapsed([LINE])) == (
        "shop / shop;/pay;taken at shop.py:1;now at pay.py:5;httpx.get 3250"
    )


def test_a_quiet_window_says_so() -> None:
    [line] = summary(OccupancyProfile((), 60.0, 0.0, None))
    assert line == "no connection was out in the last 60 s, at any look"


def test_a_line_of_the_application_itself_is_shown_as_such() -> None:
    lines = list(summary(OccupancyProfile((COMPUTES,), 10.0, 1.0, 0.0)))
    assert "its own code at x.py:2" in lines[1]
