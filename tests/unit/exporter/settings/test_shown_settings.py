"""The settings that people see have no secret in them, whatever is set."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from poolscope_exporter.settings.loading import load_settings
from poolscope_exporter.settings.options import OPTIONS
from poolscope_exporter.settings.shown_settings import SET, shown_settings

SECRETS = st.text("abcdefghijklmnopqrstuvwxyz0123456789_-", min_size=12, max_size=40).map(
    lambda text: f"s3cr3t{text}"
)


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for option in OPTIONS:
        monkeypatch.delenv(option.variable, raising=False)


def shown(**flags: str | Sequence[str]) -> str:
    """Return everything that is shown of these settings, as one text."""
    return json.dumps([asdict(each) for each in shown_settings(load_settings(flags))])


def value_of(name: str, **flags: str | Sequence[str]) -> str | None:
    (found,) = (each for each in shown_settings(load_settings(flags)) if each.name == name)
    return found.value


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(secret=SECRETS)
def test_no_secret_of_any_setting_is_shown(secret: str) -> None:
    text = shown(
        dsn=f"postgresql://poolscope:{secret}@db.example:5432/shop",
        pgbouncers=[
            f"host=bouncer port=6432 dbname=pgbouncer user=admin password={secret}",
            f"postgresql://admin:{secret}@other:6432/pgbouncer?sslpassword={secret}",
        ],
        password_command=f"vault read -field=password {secret}",
        trace_url=f"https://traces.example/{secret}/{{trace_id}}",
        forward_to=f"https://otlp.example/{secret}",
    )
    assert secret not in text
    assert "db.example:5432" in text
    assert "https://traces.example" in text


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(secret=SECRETS)
def test_no_token_is_shown(secret: str) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("POOLSCOPE_TOKEN", secret)
        assert secret not in shown()
        assert value_of("token") == SET


def test_the_tokens_in_a_file_are_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("s3cr3t shop\n")
    text = shown(token_file=str(file))
    assert "s3cr3t" not in text
    assert str(file) in text


def test_every_setting_is_shown_once_and_the_others_of_a_server_with_its_name() -> None:
    found = shown_settings(load_settings({"dsn": "postgresql://u@db:5432/shop"}))

    assert [each.name for each in found] == [option.field for option in OPTIONS]
    servers = {each.name: each.server for each in found}
    assert servers["dsn"] == "db:5432"
    assert servers["listen"] is None


def test_a_changed_value_can_be_told_from_a_default() -> None:
    found = {
        each.name: each
        for each in shown_settings(load_settings({"log_level": "debug", "max_body_mib": "8"}))
    }
    assert (found["log_level"].value, found["log_level"].is_default) == ("debug", False)
    assert (found["max_body_mib"].value, found["max_body_mib"].is_default) == ("8", False)
    assert (found["listen"].value, found["listen"].is_default) == ("0.0.0.0:9736", True)
    assert found["thresholds"].is_default
