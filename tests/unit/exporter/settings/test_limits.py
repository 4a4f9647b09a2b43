"""The limits of the receiver are settings, with a range that the error names."""

import dataclasses

import pytest

from poolscope_exporter.core.admission.limits import Limits
from poolscope_exporter.settings.declaration import Option, options_of
from poolscope_exporter.settings.limits import LimitSettings
from poolscope_exporter.settings.loading import WrongSettingsError, load_settings
from poolscope_exporter.settings.values import Seconds, WholeNumber

OPTIONS = options_of(LimitSettings)


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for option in OPTIONS:
        monkeypatch.delenv(option.variable, raising=False)


def test_without_settings_the_limits_are_those_of_the_receiver() -> None:
    assert load_settings({}).limits == Limits()


def test_each_limit_is_set_in_the_unit_of_its_flag(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POOLSCOPE_MAX_BODY_MIB", "2")
    limits = load_settings({"header_timeout_s": "2.5", "max_series": "7"}).limits

    assert limits == Limits(max_body=2 * 1024 * 1024, header_timeout_s=2.5, max_series=7)


def test_every_limit_can_be_set_by_one_setting() -> None:
    changed = [load_settings({option.field: "1"}).limits for option in OPTIONS]
    found = [
        [
            name
            for name, value in dataclasses.asdict(Limits()).items()
            if getattr(each, name) != value
        ]
        for each in changed
    ]
    assert sorted(found) == sorted([each.name] for each in dataclasses.fields(Limits))


@pytest.mark.parametrize("option", OPTIONS, ids=lambda each: each.field)
@pytest.mark.parametrize("beyond", ["least", "most", "text"])
def test_a_limit_beyond_its_range_is_one_error_with_the_range(option: Option, beyond: str) -> None:
    assert isinstance(option.parser, Seconds | WholeNumber)
    least, most = option.parser.least, option.parser.most
    wrong = {"least": str(least - 1), "most": str(most + 1), "text": "much"}[beyond]

    with pytest.raises(WrongSettingsError) as info:
        load_settings({option.field: wrong})

    [problem] = info.value.problems
    assert problem.startswith(f"{option.flag}={wrong}: must be ")
    assert problem.endswith(f" from {least} to {most}")
