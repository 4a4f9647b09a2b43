"""The command line: wrong usage is listed at once, with exit code 2 and without a secret."""

import re
import sys

import pytest

from poolscope_exporter import cli
from poolscope_exporter.settings.options import OPTIONS

SECRET = "s3cr3t"


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for option in OPTIONS:
        monkeypatch.delenv(option.variable, raising=False)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    """Return the problems that the command lists; it must have ended with 2."""
    assert cli.main(arguments) == 2
    output = capsys.readouterr()
    assert SECRET not in output.out + output.err
    first, *problems = output.err.splitlines()
    noun = "setting" if len(problems) == 1 else "settings"
    assert first == f"poolscope-exporter: cannot start: {len(problems)} invalid {noun}"
    return [problem.strip() for problem in problems]


def test_unknown_options_and_wrong_values_are_listed_together(
    capsys: pytest.CaptureFixture[str],
) -> None:
    problems = refused(
        capsys, "run", "--pol-interval", "1", "--listen", "x", "--dsn", f"postgresql://u:{SECRET}@a@h"
    )  # fmt: skip

    assert problems == [
        "--pol-interval: unknown option; did you mean --poll-interval?",
        "unexpected argument (value hidden, it may be a secret)",
        problems[2],
        "--listen=x: must be host:port, :port or port, the port from 0 to 65535",
    ]
    assert problems[2].startswith("--dsn: is not a PostgreSQL DSN")


def test_options_without_their_value_are_listed_with_the_others(
    capsys: pytest.CaptureFixture[str],
) -> None:
    problems = refused(capsys, "run", "--dsn", "--poll-interval", "0", "--token-file")

    assert problems == [
        "--dsn: needs a value",
        "--token-file: needs a value",
        "--poll-interval=0: must be seconds from 0.2 to 300",
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", f"--dns=postgresql://u:{SECRET}@h"],
        ["run", "--dns", f"postgresql://u:{SECRET}@h"],
        ["run", f"postgresql://u:{SECRET}@h"],
        ["--dsn", f"postgresql://u:{SECRET}@h", "run"],
        ["check", "--dsn", f"postgresql://u:%{SECRET}@h"],
        ["demo", "--dsn", f"mysql://u:{SECRET}@h"],
    ],
)
def test_no_mistake_prints_a_password(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert refused(capsys, *arguments)


def test_check_needs_a_server(capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, "check") == ["--dsn or POOLSCOPE_DSN: required: the server to check"]


@pytest.mark.parametrize("seconds", ["0", "-1", "soon", "nan", "inf"])
def test_the_demo_lasts_some_seconds(seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, "demo", f"--for={seconds}") == [
        f"--for={seconds}: must be a number of seconds above 0"
    ]


def test_the_demo_without_its_packages_says_how_to_get_them(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "poolscope_exporter.demo.story", None)

    assert cli.main(["demo"]) == 1
    assert "pip install 'poolscope-exporter[demo]'" in capsys.readouterr().err


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    assert "run | check | audit | profile | report | bundle | top | demo" in capsys.readouterr().err


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as info:
        cli.main(["--version"])

    assert info.value.code == 0
    assert re.fullmatch(r"poolscope-exporter \d+\.\d+\.\d+\n", capsys.readouterr().out)


def test_wrong_arguments_of_audit_are_listed_together(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POOLSCOPE_TOKEN", SECRET)
    problems = refused(
        capsys, "audit", "--url", f"http://user:{SECRET}@h:1", "--ca-file=/none",
        "--ignore=C1,C99", "--token-file=/none/either", "--jsno",
    )  # fmt: skip
    assert problems == [
        "--jsno: unknown option; did you mean --json?",
        "--url: must be http://host:port or https://host, without user, query and fragment",
        "--ca-file=/none: must be a file that the exporter can read",
        problems[3],
        "--ignore=C99: must be of C1, C2, C3, C4, C5, C6, C7, C8, C9, C10, C11, C14, C15, C16",
    ]
    assert problems[3].startswith("--token-file=/none/either: ")


def test_audit_sends_no_token_in_the_clear(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POOLSCOPE_TOKEN", SECRET)
    [problem] = refused(capsys, "audit", "--url=http://10.0.0.9:9736")
    assert problem == "--url=http://10.0.0.9:9736: would send the token unencrypted; use https"
