"""DSNs of `service=…`: named by the server that libpq connects to, as its file says."""

from pathlib import Path

import pytest

from poolscope_exporter.polling.dsn import parse_console_dsn, parse_dsn
from poolscope_exporter.polling.service_file import service_parameters

FILE = """
# the shop
[shop]
host=db.shop.example
port=6432
options=-c geqo=off
password=s3cr3t
# host=old.example
host=second.example

[other]
hostaddr=10.0.0.7
"""


@pytest.fixture
def service_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "services"
    file.write_text(FILE)
    monkeypatch.setenv("PGSERVICEFILE", str(file))
    return file


@pytest.mark.usefixtures("service_file")
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("service=shop", "db.shop.example:6432"),
        ("postgresql://?service=shop", "db.shop.example:6432"),
        ("service=shop port=5433", "db.shop.example:5433"),
        ("service=shop host=replica.example", "replica.example:6432"),
        ("service=other", "10.0.0.7:5432"),
        ("hostaddr=10.0.0.9 port=5433", "10.0.0.9:5433"),
    ],
)
def test_dsn_of_a_service_is_named_by_its_server(text: str, shown: str) -> None:
    assert str(parse_dsn(text)) == shown


@pytest.mark.usefixtures("service_file")
def test_service_from_the_environment_is_named_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGSERVICE", "shop")

    assert str(parse_dsn("user=poolscope")) == "db.shop.example:6432"


@pytest.mark.usefixtures("service_file")
def test_console_of_a_service_is_named_by_its_pgbouncer() -> None:
    assert str(parse_console_dsn("service=shop")) == "db.shop.example:6432"


@pytest.mark.usefixtures("service_file")
def test_password_of_a_service_appears_in_no_message() -> None:
    dsn = parse_dsn("service=shop")

    assert dsn.redact("login with s3cr3t failed") == "login with *** failed"
    assert "s3cr3t" not in f"{dsn!r}"


@pytest.mark.usefixtures("service_file")
def test_options_of_a_service_are_kept() -> None:
    assert parse_dsn("service=shop").parameter("options") == "-c geqo=off"


@pytest.mark.parametrize("variable", ["HOME", "PGSYSCONFDIR"])
def test_file_is_looked_for_where_libpq_looks(tmp_path: Path, variable: str) -> None:
    name = ".pg_service.conf" if variable == "HOME" else "pg_service.conf"
    (tmp_path / name).write_text(FILE)

    assert service_parameters("shop", {variable: str(tmp_path)})["port"] == "6432"


def test_service_without_a_file_leaves_everything_to_libpq(tmp_path: Path) -> None:
    assert service_parameters("shop", {"PGSERVICEFILE": str(tmp_path / "none")}) == {}
    assert service_parameters("shop", {}) == {}


def test_service_that_the_file_lacks_leaves_everything_to_libpq(service_file: Path) -> None:
    assert service_parameters("absent", {"PGSERVICEFILE": str(service_file)}) == {}
