"""The settings file: several servers, and one line for each thing that is wrong."""

from pathlib import Path

import pytest

from poolscope_exporter.core.model.endpoints import Endpoint
from poolscope_exporter.polling.dsn import MALFORMED
from poolscope_exporter.settings.loading import WrongSettingsError, load_settings
from poolscope_exporter.settings.model import ExporterSettings
from poolscope_exporter.settings.options import OPTIONS
from poolscope_exporter.settings.servers import Expects

SECRET = "s3cr3t"
EXAMPLE = Path(__file__).parents[4] / "docs" / "poolscope.toml"


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for option in OPTIONS:
        monkeypatch.delenv(option.variable, raising=False)


def loaded(folder: Path, text: str, **flags: str) -> ExporterSettings:
    file = folder / "p.toml"
    file.write_text(text)
    return load_settings({"config": str(file), **flags})


def problems_of(folder: Path, text: str, **flags: str) -> list[str]:
    with pytest.raises(WrongSettingsError) as info:
        loaded(folder, text, **flags)
    assert SECRET not in "".join(info.value.problems)
    return [problem.replace(f"{folder}/", "") for problem in info.value.problems]


def test_each_table_is_a_server_and_takes_the_interval_of_all(tmp_path: Path) -> None:
    settings = loaded(
        tmp_path,
        f"""
        poll_interval_s = 3
        [[server]]
        dsn = "postgresql://u:{SECRET}@a/d"
        [[server]]
        name = "b"
        dsn = "host=b port=6000"
        poll_interval_s = 0.5
        aliases = ["b.internal:5432"]
        expects = "replica"
        password_command = ["cloud", "token", "--for", "b"]
        pgbouncers = ["postgresql://s@bouncer:6432/pgbouncer"]
        reserved_slots = 3
        cpus = 2.5
        shown_databases = ["orders"]
        proxy_idle_timeout_s = 1800
        """,
    )

    first, second = settings.targets
    assert (first.name, first.poll_interval_s, first.expects) == ("a:5432", 3, Expects.ANY)
    assert (second.name, second.poll_interval_s) == ("b", 0.5)
    assert second.addresses == {Endpoint("b.internal", 5432), Endpoint("b", 6000)}
    assert second.password_command == ("cloud", "token", "--for", "b")
    assert (second.reserved_slots, second.cpus, second.proxy_idle_timeout_s) == (3, 2.5, 1800)
    assert second.shown_databases == frozenset({"orders"})
    assert SECRET not in repr(settings)


def test_a_variable_wins_over_the_file_and_a_flag_over_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "poll_interval_s = 3\nlog_level = 'debug'\n"
    assert loaded(tmp_path, text).poll_interval_s == 3
    monkeypatch.setenv("POOLSCOPE_POLL_INTERVAL_S", "7")
    assert loaded(tmp_path, text).poll_interval_s == 7
    assert loaded(tmp_path, text, poll_interval_s="9").poll_interval_s == 9
    assert loaded(tmp_path, text).log_level == "debug"


def test_all_that_is_wrong_is_told_with_file_and_key_and_without_secrets(tmp_path: Path) -> None:
    problems = problems_of(
        tmp_path,
        f"""
        listen = "x"
        pol_interval_s = 1
        [[server]]
        dns = "postgresql://{SECRET}@a/d"
        [[server]]
        dsn = "mysql://{SECRET}"
        expects = "leader"
        cpus = 0
        password_command = "{SECRET} '"
        """,
    )

    assert problems == [
        "p.toml: pol_interval_s is not a setting; did you mean poll_interval_s?",
        "p.toml: server[1]: dns is not a setting; did you mean dsn?",
        "p.toml: server[1]: needs a dsn, the address of the server",
        f"p.toml: server[2].dsn: {MALFORMED}",
        "p.toml: server[2].password_command: has an unclosed quotation mark",
        "p.toml: server[2].expects = leader: must be one of primary, replica, any",
        "p.toml: server[2].cpus = 0: must be a number, more than 0 and at most 4096",
        "p.toml: listen=x: must be host:port, :port or port, the port from 0 to 65535",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f"dsn = '{SECRET}", "p.toml: is not TOML, at end of document"),
        ("[server]\ndsn = 'host=a'", "p.toml: server: write [[server]] with two brackets"),
        (
            "[[server]]\ndsn = 'host=a'\n[[server]]\ndsn = 'host=a user=b'",
            "p.toml: two servers are named a:5432: give each a different name",
        ),
    ],
)
def test_a_file_that_makes_no_sense_is_one_problem(tmp_path: Path, text: str, problem: str) -> None:
    (found,) = problems_of(tmp_path, text)
    assert found.startswith(problem)


def test_a_file_that_is_not_there_is_one_problem(tmp_path: Path) -> None:
    with pytest.raises(WrongSettingsError) as info:
        load_settings({"config": str(tmp_path / "none")})
    assert "must be a file that the exporter can read" in info.value.problems[0]


def test_a_setting_of_a_single_server_does_not_go_with_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POOLSCOPE_DSN", f"postgresql://u:{SECRET}@c/d")

    problems = problems_of(tmp_path, "[[server]]\ndsn = 'host=a'", server_name="x")

    assert [problem.partition(":")[0] for problem in problems] == [
        "--dsn or POOLSCOPE_DSN",
        "--server-name or POOLSCOPE_SERVER_NAME",
    ]
    assert "move it to the [[server]] table of its server, as name" in problems[1]


def test_a_single_server_may_be_described_by_plain_keys(tmp_path: Path) -> None:
    (target,) = loaded(tmp_path, "dsn = 'host=a'\nreserved_slots = 2").targets
    assert (target.name, target.reserved_slots) == ("a:5432", 2)


def test_the_example_of_the_documentation_is_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = EXAMPLE.read_text()
    for name in ("password", "tokens"):
        (tmp_path / name).write_text(SECRET)
        text = text.replace(f"/run/secrets/poolscope/{name}", str(tmp_path / name))

    settings = loaded(tmp_path, text)

    assert [target.name for target in settings.targets] == ["orders", "billing"]
    assert settings.targets[0].password_file == tmp_path / "password"
