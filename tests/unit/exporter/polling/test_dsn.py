"""DSNs: what is accepted, and that no message ever holds a password."""

import pytest

from poolscope_exporter.polling.dsn import parse_console_dsn, parse_dsn

SECRET = "s3cr3t"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"postgresql://app:{SECRET}@db:6432/shop", "db:6432"),
        (f"postgresql+asyncpg://app:{SECRET}@db/shop", "db:5432"),
        (f"postgres+psycopg://app:{SECRET}@[::1]:5433/shop", "[::1]:5433"),
        (f"host=db port=6432 password={SECRET}", "db:6432"),
        (f"postgresql://app:%40%2F{SECRET}@db/shop", "db:5432"),
        (f"postgresql://app@db/shop?password={SECRET}", "db:5432"),
    ],
)
def test_a_dsn_shows_its_address_and_never_its_password(text: str, shown: str) -> None:
    dsn = parse_dsn(text)

    assert str(dsn) == shown
    assert SECRET not in f"{dsn!r} {dsn}"
    assert SECRET in dsn.reveal()
    (password,) = dsn.secrets
    assert dsn.redact(f"no user app with {password}") == "no user app with ***"


@pytest.mark.parametrize(
    "text",
    [
        "",
        SECRET,
        f"mysql://app:{SECRET}@db/shop",
        f"postgresql://app:%zz{SECRET}@db/shop",
        f"postgresql://app:x@{SECRET}@db/shop",
        f"postgresql://app:x/{SECRET}@db/shop",
        f"postgresql://app:12/{SECRET}@db/shop",
        f"host=db password=x {SECRET}",
        f"host=db pasword={SECRET}",
        "postgresql://app@db:99999/shop",
        "postgresql://app@db:0/shop",
    ],
)
def test_a_malformed_dsn_is_one_error_that_repeats_none_of_it(text: str) -> None:
    with pytest.raises(ValueError, match="is not a PostgreSQL DSN") as info:
        parse_dsn(text)

    assert SECRET not in str(info.value)
    assert info.value.__cause__ is None
    assert info.value.__suppress_context__ or info.value.__context__ is None


def test_a_host_left_out_is_the_one_that_libpq_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "db.internal")
    monkeypatch.setenv("PGPORT", "6432")

    assert str(parse_dsn("dbname=shop")) == "db.internal:6432"


@pytest.mark.parametrize(
    "text",
    [
        f"postgresql://stats:{SECRET}@bouncer:6432/pgbouncer",
        f"postgresql://stats:{SECRET}@bouncer:6432",
        f"host=bouncer port=6432 user=stats password={SECRET}",
    ],
)
def test_a_console_is_the_database_pgbouncer(text: str) -> None:
    dsn = parse_console_dsn(text)

    assert str(dsn) == "bouncer:6432"
    assert "dbname=pgbouncer" in dsn.reveal()
    assert SECRET not in f"{dsn!r} {dsn}"
    assert dsn.redact(f"no {SECRET}") == "no ***"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f"postgresql://stats:{SECRET}@bouncer/shop", "must name the database pgbouncer"),
        (f"host=a,b password={SECRET}", "must name one host"),
        (f"host=a port=1,2 password={SECRET}", "must name one host"),
        (f"mysql://{SECRET}", "is not a PostgreSQL DSN"),
    ],
)
def test_what_is_no_console_is_refused_without_its_secret(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as info:
        parse_console_dsn(text)
    assert SECRET not in str(info.value)
