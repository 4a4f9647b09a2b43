"""The file in which users change thresholds states every one of them, and wrong ones are told."""

from pathlib import Path

import pytest

from poolscope_exporter.core.checks.thresholds import DEFAULTS, ThresholdId, WrongThresholdsError
from poolscope_exporter.settings.thresholds_file import load_thresholds, thresholds_text

FILE = Path(__file__).parents[2] / "alerts" / "thresholds.toml"


def test_shipped_file_states_the_defaults() -> None:
    assert FILE.read_text() == thresholds_text(), (
        "write poolscope_exporter.thresholds_file.thresholds_text() there"
    )
    assert load_thresholds(FILE) == DEFAULTS


def test_what_is_read_is_what_is_written(tmp_path: Path) -> None:
    path = tmp_path / "thresholds.toml"
    path.write_text("[T1]\nvalue = 0.8\nfor_s = 60\n")
    loaded = load_thresholds(path)
    assert (loaded[ThresholdId.T1].value, loaded[ThresholdId.T1].for_s) == (0.8, 60.0)
    path.write_text(thresholds_text(loaded))
    assert load_thresholds(path) == loaded


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[T1", "is not TOML: "),
        ("[T1]\nvalue = -1", "T1.value = -1: must be a number, 0 or more"),
    ],
)
def test_wrong_file_is_told_with_its_path(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "thresholds.toml"
    path.write_text(text)
    with pytest.raises(WrongThresholdsError) as caught:
        load_thresholds(path)
    assert str(caught.value).startswith(f"{path}: {problem}")


def test_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(WrongThresholdsError, match="must be a file that can be read"):
        load_thresholds(tmp_path / "none.toml")
