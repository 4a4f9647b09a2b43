from pathlib import Path

import pytest

from poolscope.settings import MetricsDestination, Settings, SettingsError, read_settings


def test_without_anything_given_the_defaults_hold() -> None:
    assert read_settings({}, {}) == Settings()


def test_arguments_win_over_variables() -> None:
    settings = read_settings({"push_interval_s": 2}, {"POOLSCOPE_PUSH_INTERVAL_S": "9"})
    assert settings.push_interval_s == 2


def test_variables_are_read() -> None:
    environment = {
        "POOLSCOPE_ENDPOINT": "http://a:1/, https://b:2",
        "POOLSCOPE_METRICS": "provider",
        "POOLSCOPE_DISABLED": "true",
        "OTEL_SERVICE_NAME": "shop",
    }
    settings = read_settings({}, environment)
    assert settings.endpoints == ("http://a:1", "https://b:2")
    assert settings.metrics is MetricsDestination.PROVIDER
    assert settings.disabled
    assert settings.service_name == "shop"


def test_all_wrong_values_are_named_at_once_with_what_is_accepted() -> None:
    environment = {
        "POOLSCOPE_ENDPOINT": "localhost:9737",
        "POOLSCOPE_PUSH_INTERVAL_S": "often",
        "POOLSCOPE_MAX_POOLS": "0",
        "POOLSCOPE_METRICS": "both",
        "POOLSCOPE_CA_FILE": "/nowhere.pem",
    }
    with pytest.raises(SettingsError) as raised:
        read_settings({"held_after_s": -1}, environment)
    message = str(raised.value)
    for name in (*environment, "held_after_s"):
        assert name in message
    assert "'often': accepted is 0.2 to 300" in message


def test_metrics_that_are_off_must_be_ours() -> None:
    off = read_settings(
        {}, {"POOLSCOPE_METRICS_OFF": "db.client.connection.count, poolscope.leaks"}
    )
    assert off.metrics_off == {"db.client.connection.count", "poolscope.leaks"}
    with pytest.raises(SettingsError, match="POOLSCOPE_METRICS_OFF"):
        read_settings({}, {"POOLSCOPE_METRICS_OFF": "db.client.connections.usage"})


def test_a_password_in_the_endpoint_is_refused() -> None:
    with pytest.raises(SettingsError, match="without user, password"):
        read_settings({"endpoint": "http://user:pw@host:1"}, {})


@pytest.mark.parametrize(("value", "accepted"), [("0.19", False), ("0.2", True), ("300", True)])
def test_the_limits_of_the_push_interval_are_inclusive(value: str, accepted: bool) -> None:
    environment = {"POOLSCOPE_PUSH_INTERVAL_S": value}
    if accepted:
        assert read_settings({}, environment).push_interval_s == float(value)
    else:
        with pytest.raises(SettingsError):
            read_settings({}, environment)


def test_no_representation_shows_a_token() -> None:
    assert "secret" not in repr(read_settings({"token": "secret"}, {}))


def test_a_token_file_is_read_at_each_use(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("one\n")
    settings = read_settings({"token_file": token}, {})
    assert settings.read_token() == "one"
    token.write_text("two\n")
    assert settings.read_token() == "two"


def test_names_of_pools_are_pairs_of_a_line_or_a_database_and_a_name() -> None:
    text = "shop/db.py:14=orders, reports_db = reports"
    expected = (("shop/db.py:14", "orders"), ("reports_db", "reports"))
    assert read_settings({}, {"POOLSCOPE_POOL_NAMES": text}).pool_names == expected
    assert read_settings({"pool_names": dict(expected)}, {}).pool_names == expected


@pytest.mark.parametrize("text", ["orders", "=orders", "shop/db.py:14=", "a=b,c"])
def test_a_pair_without_a_key_or_a_name_is_invalid(text: str) -> None:
    with pytest.raises(SettingsError, match="POOLSCOPE_POOL_NAMES"):
        read_settings({}, {"POOLSCOPE_POOL_NAMES": text})
