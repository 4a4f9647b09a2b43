"""Every keyword of libpq in a DSN: the exporter connects, rejects writes and reads text."""

import pytest
from psycopg.pq import Conninfo

from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_exporter.polling.dsn import REFUSED, parse_dsn
from poolscope_exporter.polling.errors import ServerUnavailableError
from poolscope_exporter.polling.opening import Opening
from poolscope_exporter.postgres.server import LATER_SETTINGS, SESSION_SETTINGS
from support.postgres.server import make_role, run_sql

VALUES: dict[str, tuple[str, ...]] = {
    "target_session_attrs": ("any", "read-write", "primary", "prefer-standby"),
    "options": ("-c default_transaction_read_only=off", "-c statement_timeout=0"),
    "client_encoding": ("SQL_ASCII", "latin1", "auto"),
    "application_name": ("mine",),
    "fallback_application_name": ("mine",),
    "connect_timeout": ("1", "30"),
    "keepalives": ("0", "1"),
    "keepalives_idle": ("1",),
    "keepalives_interval": ("1",),
    "keepalives_count": ("1",),
    "tcp_user_timeout": ("1000",),
    "load_balance_hosts": ("random", "disable"),
    "hostaddr": ("127.0.0.1",),
    "sslmode": ("disable", "allow", "prefer"),
    "sslnegotiation": ("postgres",),
    "sslcompression": ("0",),
    "sslsni": ("0",),
    "sslcertmode": ("disable", "allow"),
    "ssl_min_protocol_version": ("TLSv1.3",),
    "ssl_max_protocol_version": ("TLSv1.3",),
    "gssencmode": ("disable",),
    "gssdelegation": ("0",),
    "krbsrvname": ("postgres",),
    "channel_binding": ("disable", "prefer"),
    "require_auth": ("none",),
    "min_protocol_version": ("3.0",),
    "max_protocol_version": ("3.0", "latest"),
}
"""Values that a server without TLS and with trust authentication accepts."""

NEED_MORE = {
    "service",  # a file: tests/unit/exporter/polling/test_service_file.py
    "passfile",
    "requirepeer",
    "sslcert",
    "sslkey",
    "sslpassword",
    "sslrootcert",
    "sslcrl",
    "sslcrldir",
    "sslkeylogfile",
    "gsslib",
    "scram_client_key",
    "scram_server_key",
    "oauth_issuer",
    "oauth_client_id",
    "oauth_client_secret",
    "oauth_scope",
}
"""Files, certificates and ways to log in, which the exporter passes on to libpq as they are."""

IN_EVERY_DSN = {"user", "password", "dbname", "host", "port"}
CASES = [(keyword, value) for keyword, values in VALUES.items() for value in values]


def libpq_keywords() -> set[str]:
    return {option.keyword.decode() for option in Conninfo.get_defaults()}


def opening(server: EmbeddedPostgres, keyword: str, value: str) -> Opening:
    dsn = f"host=127.0.0.1 port={server.port} user=postgres dbname=postgres {keyword}='{value}'"
    return Opening(parse_dsn(dsn), None, SESSION_SETTINGS, LATER_SETTINGS)


def test_every_keyword_of_libpq_is_decided_on() -> None:
    assert libpq_keywords() - IN_EVERY_DSN - VALUES.keys() - NEED_MORE - REFUSED.keys() == set()


@pytest.mark.parametrize(("keyword", "value"), CASES)
async def test_exporter_connects_with_each_keyword_and_stays_itself(
    postgres: EmbeddedPostgres, keyword: str, value: str
) -> None:
    if keyword not in libpq_keywords():
        pytest.skip(f"this libpq has no {keyword}")
    connection = await opening(postgres, keyword, value).open()
    try:
        cursor = await connection.execute(
            "SELECT current_setting('default_transaction_read_only') AS read_only,"
            " current_setting('statement_timeout') AS statement_timeout,"
            " current_setting('application_name') AS application_name, U&'caf\\00E9' AS name"
        )
        found = await cursor.fetchone()
    finally:
        await connection.close()

    assert found == {
        "read_only": "on",
        "statement_timeout": "2s",
        "application_name": "poolscope-exporter",
        "name": "café",
    }


async def test_role_that_is_read_only_by_default_does_not_hide_the_primary(
    postgres: EmbeddedPostgres,
) -> None:
    """deploy/postgres/role.sql gives the exporter's role this default."""
    dsn = make_role(postgres, "read_only_role")
    run_sql(postgres.dsn, "ALTER ROLE read_only_role SET default_transaction_read_only = on")
    given = parse_dsn(f"{dsn}?target_session_attrs=read-write")

    connection = await Opening(given, None, SESSION_SETTINGS, LATER_SETTINGS).open()
    try:
        cursor = await connection.execute("SHOW default_transaction_read_only")
        found = await cursor.fetchone()
    finally:
        await connection.close()

    assert found == {"default_transaction_read_only": "on"}


@pytest.mark.parametrize("wanted", ["read-only", "standby"])
async def test_primary_is_no_answer_to_a_dsn_that_wants_another(
    postgres: EmbeddedPostgres, wanted: str
) -> None:
    """A session that the exporter itself makes read-only must not count as a read-only server."""
    with pytest.raises(ServerUnavailableError):
        await opening(postgres, "target_session_attrs", wanted).open()


@pytest.mark.parametrize("keyword", sorted(REFUSED))
def test_keyword_with_which_no_query_works_stops_the_start(keyword: str) -> None:
    with pytest.raises(ValueError, match=f"must not set {keyword}: a replication connection"):
        parse_dsn(f"host=db {keyword}=database")
