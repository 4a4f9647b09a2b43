"""Each setting is declared once, and whatever lists settings lists it as it is declared."""

import argparse
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import pytest

from chart_files import ROOT, SCHEMA, with_settings
from poolscope.settings import sources
from poolscope_exporter import cli
from poolscope_exporter.settings.arguments import add_flags
from poolscope_exporter.settings.declaration import (
    Option,
    default_text,
    group,
    option,
    options_of,
)
from poolscope_exporter.settings.file import read_server_tables, read_settings_file
from poolscope_exporter.settings.limits import LimitSettings
from poolscope_exporter.settings.loading import WrongSettingsError, load_declared, load_settings
from poolscope_exporter.settings.model import HOLD_WITHOUT_SERVER, ExporterSettings
from poolscope_exporter.settings.options import OPTIONS, VARIABLES_OF_THE_APP, unknown_variables
from poolscope_exporter.settings.reading import Reading
from poolscope_exporter.settings.servers import ServerTarget
from poolscope_exporter.settings.values import Seconds, WholeNumber
from poolscope_generators.tables.settings import DOCUMENT, HEAD, table


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeUpTarget(ServerTarget):
    spare_slots: int = option(
        "--spare-slots", "NUMBER", "sessions that stay free", WholeNumber(0, 9), default=2
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeUpSettings(ExporterSettings):
    """The settings, with one more of a server and one more of the process."""

    targets: tuple[MadeUpTarget, ...] = group(MadeUpTarget, is_table=True)
    pause_s: float = option(
        "--pause", "SECONDS", "time between two scenes", Seconds(1, 60), default=1.5
    )


MADE_UP = options_of(MadeUpSettings)

walk = pytest.mark.parametrize("option", OPTIONS, ids=[option.field for option in OPTIONS])
with_default = pytest.mark.parametrize(
    "option",
    [option for option in OPTIONS if "(default: " in option.help],
    ids=lambda option: option.field,
)


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for each in MADE_UP:
        monkeypatch.delenv(each.variable, raising=False)


def in_one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def help_of(option: Option) -> str:
    """Return what a help text in one line has for an option."""
    return in_one_line(f"{option.flag} {option.metavar} {option.help} [{option.variable}]")


def settable(options: Iterable[Option]) -> dict[str, object]:
    """Return the part of the chart's schema that lists settings, made from the options."""
    schema = with_settings((ROOT / SCHEMA).read_text(encoding="utf-8"), options)
    found: dict[str, object] = json.loads(schema)["properties"]["settings"]["properties"]
    return found


def problems_of_file(folder: Path, text: str, options: Iterable[Option]) -> tuple[str, ...]:
    path = folder / "p.toml"
    path.write_text(text)
    file = read_settings_file(str(path), options)
    return (*file.problems, *read_server_tables(file, options, 5.0).problems)


def test_the_documented_settings_are_those_of_the_source() -> None:
    lines = DOCUMENT.read_text().splitlines()
    documented = takewhile(lambda line: line.startswith("|"), lines[lines.index(HEAD[0]) :])
    cure = "run `make docs`"
    assert list(documented) == table(), cure


@walk
def test_each_setting_is_in_the_document(option: Option) -> None:
    (row,) = (line for line in table() if f"| `{option.variable}` |" in line)
    assert row in DOCUMENT.read_text().splitlines()
    assert row.endswith(f" | {option.help} |")


@walk
def test_each_setting_with_a_flag_is_in_the_help_of_run(
    option: Option, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "1000")  # words with hyphens stay whole
    with pytest.raises(SystemExit):
        cli.main(["run", "--help"])
    shown = in_one_line(capsys.readouterr().out)
    assert (help_of(option) in shown) == (option.flag is not None)


@walk
def test_the_chart_has_each_setting_that_its_templates_do_not_make(option: Option) -> None:
    schema = json.loads((ROOT / SCHEMA).read_text(encoding="utf-8"))
    listed = schema["properties"]["settings"]["properties"]
    assert (option.variable in listed) == option.in_chart


def test_the_schema_of_the_chart_is_as_the_options_make_it() -> None:
    schema = (ROOT / SCHEMA).read_text(encoding="utf-8")
    assert with_settings(schema) == schema, "make rules"


@walk
def test_each_setting_is_a_key_of_the_settings_file(option: Option, tmp_path: Path) -> None:
    problems = problems_of_file(tmp_path, f"{option.field} = 'x'", OPTIONS)
    assert problems == () if option.in_file else "is not a setting" in problems[0]


@pytest.mark.parametrize("key", [each.in_table for each in OPTIONS if each.in_table])
def test_each_setting_of_a_server_is_a_key_of_its_table(key: str, tmp_path: Path) -> None:
    problems = problems_of_file(tmp_path, f"[[server]]\n{key} = 'x'", OPTIONS)
    assert f"{key} is not a setting" not in "".join(problems)


@with_default
def test_the_default_in_the_help_is_the_one_that_holds(option: Option) -> None:
    settings = load_settings({"dsn": "host=db"})
    holders = (LimitSettings(), settings.targets[0], settings)
    holder = next(each for each in holders if hasattr(each, option.attribute))
    (text,) = re.findall(r"\(default: (.*)\)$", option.help)
    if option.default_text:
        assert not default_text(option.default), "the declared default has a text of its own"
    else:
        others = Reading(OPTIONS, {})
        assert option.parse_value(text, others) == getattr(holder, option.attribute)


def test_a_setting_without_a_default_in_the_help_has_no_text_for_it() -> None:
    silent = [option.default for option in OPTIONS if "(default: " not in option.help]
    assert {str(default) for default in silent} == {"None", "()", "Required.REQUIRED"}


@pytest.mark.parametrize("name", HOLD_WITHOUT_SERVER)
def test_what_holds_without_a_server_is_a_setting_of_servers(name: str) -> None:
    assert name in {option.attribute for option in options_of(ServerTarget)}


def test_the_variables_of_the_app_are_those_that_it_reads() -> None:
    shared = {option.variable for option in OPTIONS}
    read = {source.variable for source in sources()} - {"OTEL_SERVICE_NAME"}
    assert read - shared == VARIABLES_OF_THE_APP


def test_one_more_declaration_is_in_every_list() -> None:
    pause, slots = (
        next(each for each in MADE_UP if each.field == field)
        for field in ("pause_s", "spare_slots")
    )
    parser = argparse.ArgumentParser()
    add_flags(parser, MADE_UP)
    shown = parser.format_help().replace("\n", " ")
    for each in (pause, slots):
        assert help_of(each) in in_one_line(shown)
        assert each.variable in settable(MADE_UP)
        assert each.variable not in settable(OPTIONS)
    assert pause.help == "time between two scenes: 1 to 60 (default: 1.5)"
    assert table(MADE_UP)[-1] == (
        "| `--pause SECONDS` | `POOLSCOPE_PAUSE_S` | `pause_s` |"
        " time between two scenes: 1 to 60 (default: 1.5) |"
    )
    assert (
        "| `--spare-slots NUMBER` | `POOLSCOPE_SPARE_SLOTS` | `spare_slots`; per server too |"
        " sessions that stay free: 0 to 9 (default: 2) |"
    ) in table(MADE_UP)
    assert unknown_variables(["POOLSCOPE_PAUSES"], MADE_UP) == [
        "POOLSCOPE_PAUSES is not a setting of poolscope; did you mean POOLSCOPE_PAUSE_S?"
    ]


def test_one_more_declaration_is_read_from_every_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "p.toml"
    file.write_text("pause_s = 2\n[[server]]\ndsn = 'host=a'\nspare_slots = 4")
    assert load_declared(MadeUpSettings, {}).pause_s == 1.5
    settings = load_declared(MadeUpSettings, {"config": str(file)})
    assert (settings.pause_s, settings.targets[0].spare_slots) == (2, 4)
    monkeypatch.setenv("POOLSCOPE_PAUSE_S", "3")
    assert load_declared(MadeUpSettings, {"config": str(file)}).pause_s == 3
    flags = {"pause_s": "4", "dsn": "host=a", "spare_slots": "5"}
    settings = load_declared(MadeUpSettings, flags)
    assert (settings.pause_s, settings.targets[0].spare_slots) == (4, 5)


def test_one_more_declaration_is_refused_with_the_others(tmp_path: Path) -> None:
    file = tmp_path / "p.toml"
    file.write_text("paus_s = 1\n[[server]]\ndsn = 'host=a'\nspare_slot = 4")
    with pytest.raises(WrongSettingsError) as info:
        load_declared(MadeUpSettings, {"config": str(file), "pause_s": "0", "listen": "x"})
    assert [problem.replace(f"{tmp_path}/", "") for problem in info.value.problems] == [
        "p.toml: paus_s is not a setting; did you mean pause_s?",
        "p.toml: server[1]: spare_slot is not a setting; did you mean spare_slots?",
        "--listen=x: must be host:port, :port or port, the port from 0 to 65535",
        "--pause=0: must be seconds from 1 to 60",
    ]
