"""What the rules are made from: wrong numbers are refused, and text is written as YAML reads it."""

import re
from pathlib import Path

import pytest

from poolscope.catalogue import CHECKOUTS, WAIT_TIME
from poolscope_alerts.__main__ import FOLDER, main
from poolscope_alerts.promql import bucket, duration
from poolscope_alerts.texts.yaml_text import yaml_text
from poolscope_alerts.tuning import WrongTuningError, load_tuning

SHIPPED = (FOLDER / "rules.toml").read_text(encoding="utf-8")


def changed(folder: Path, key: str, value: str) -> Path:
    path = folder / "rules.toml"
    text = re.sub(rf"^{key} = \S+", f"{key} = {value}", SHIPPED, flags=re.MULTILINE)
    assert text != SHIPPED
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("key", "value", "cure"),
    [
        ("slow_share", "1.5", "slow_share: must be a share, above 0 and at most 1"),
        ("slow_least", "0", "slow_least: must be a number above 0"),
        ("slow_least", "inf", "slow_least: must be a number above 0"),
        ("slow_least", "true", "slow_least: must be a number above 0"),
        ("runbook_base", '"wiki"', "runbook_base: must be an http or https URL"),
    ],
)
def test_a_wrong_number_is_refused_with_its_range(
    tmp_path: Path, key: str, value: str, cure: str
) -> None:
    with pytest.raises(WrongTuningError, match=re.escape(cure)):
        load_tuning(changed(tmp_path, key, value))


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(SHIPPED.replace("slow_share", "slow_shar"), encoding="utf-8")
    with pytest.raises(WrongTuningError) as raised:
        load_tuning(path)
    assert "slow_share: must be a number above 0" in str(raised.value)
    assert "slow_shar: is not a setting" in str(raised.value)


def test_what_is_no_toml_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text("slow_share = ", encoding="utf-8")
    with pytest.raises(WrongTuningError, match="must be a TOML file"):
        load_tuning(path)


def test_a_folder_that_is_not_there_ends_the_command_with_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--out", str(tmp_path / "nowhere")]) == 1
    assert "make rules: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "1s"), (90, "90s"), (120, "2m"), (21_600, "6h"), (259_200, "3d")]
)
def test_durations_are_whole_and_as_short_as_they_can_be(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_bound_is_matched_in_the_spelling_of_either_transport() -> None:
    assert bucket(WAIT_TIME, 2.0)[1] == 'le=~"2|2[.]0"'
    assert bucket(WAIT_TIME, 0.5)[1] == 'le=~"0[.]5"'


def test_what_is_no_histogram_has_no_bounds() -> None:
    with pytest.raises(ValueError, match="is no bound of"):
        bucket(CHECKOUTS, 0.5)


def test_strings_keep_their_quotes_colons_and_indentation() -> None:
    written = yaml_text(
        {"a": {"b": ["x: y", {"c": '"q" # no comment', "d": "  one\ntwo"}]}, "n": 1}
    )
    assert written == (
        'a:\n  b:\n    - "x: y"\n    - c: "\\"q\\" # no comment"\n'
        "      d: |2-\n          one\n        two\nn: 1\n"
    )
