"""The limits of the receiver are settings, with a range that the error names."""

import pytest

from poolscope_exporter.core.fleet.limits import Limits
from poolscope_exporter.settings.limit_options import LIMIT_SETTINGS
from poolscope_exporter.settings.model import WrongSettingsError, load_settings


def test_without_settings_the_documented_defaults_hold() -> None:
    assert load_settings({}).limits == Limits()
    for setting in LIMIT_SETTINGS:
        assert setting.text.endswith(f"({setting.default:g})")


def test_each_limit_is_set_in_the_unit_of_its_flag(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POOLSCOPE_MAX_BODY_MIB", "2")
    limits = load_settings({"header_timeout_s": "2.5", "max_series": "7"}).limits

    assert limits == Limits(max_body=2 * 1024 * 1024, header_timeout_s=2.5, max_series=7)


def test_every_limit_has_a_setting() -> None:
    assert {each.limit for each in LIMIT_SETTINGS} == set(Limits.__dataclass_fields__)


@pytest.mark.parametrize("setting", LIMIT_SETTINGS, ids=lambda each: each.field)
@pytest.mark.parametrize("beyond", ["least", "most", "text"])
def test_a_limit_beyond_its_range_is_one_error_with_the_range(setting: object, beyond: str) -> None:
    [found] = [each for each in LIMIT_SETTINGS if each is setting]
    wrong = {"least": str(found.least - 1), "most": str(found.most + 1), "text": "much"}[beyond]

    with pytest.raises(WrongSettingsError) as info:
        load_settings({found.field: wrong})

    [problem] = info.value.problems
    assert problem.startswith(f"{found.flag}={wrong}: must be ")
    assert problem.endswith(f" from {found.least} to {found.most}")
