"""Why a server does not answer: the texts that real servers and libpq send."""

import psycopg
import pytest
from psycopg import errors

from poolscope_exporter.polling.errors import (
    Reason,
    first_line,
    reason_of,
    telling_line,
)

RESERVED = "FATAL:  remaining connection slots are reserved for"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('FATAL:  too many connections for role "app"', Reason.ROLE_LIMIT),
        ('FATAL:  too many connections for database "shop"', Reason.DATABASE_LIMIT),
        (f"{RESERVED} non-replication superuser connections", Reason.RESERVED_SLOTS),
        (f"{RESERVED} roles with the SUPERUSER attribute", Reason.RESERVED_SLOTS),
        (
            f'{RESERVED} roles with privileges of the "pg_use_reserved_connections" role',
            Reason.RESERVED_SLOTS,
        ),
        ("FATAL:  sorry, too many clients already", Reason.TOO_MANY_CONNECTIONS),
        ("connection to server failed: Connection refused", Reason.REFUSED),
        ("connection timeout expired", Reason.TIMEOUT),
        ("[Errno -2] Name or service not known", Reason.NAME_RESOLUTION),
        ("failed to resolve host 'db': [Errno -3]", Reason.NAME_RESOLUTION),
        ('FATAL:  password authentication failed for user "app"', Reason.AUTHENTICATION),
        ('FATAL:  no pg_hba.conf entry for host "10.0.0.1"', Reason.AUTHENTICATION),
        ('FATAL:  role "app" does not exist', Reason.AUTHENTICATION),
        ('FATAL:  role "app" is not permitted to log in', Reason.AUTHENTICATION),
        ("fe_sendauth: no password supplied", Reason.AUTHENTICATION),
        ('FATAL:  permission denied for database "shop"', Reason.PERMISSION),
        ("connection to server failed: FATAL:  not allowed", Reason.PERMISSION),
        ("FATAL:  no more connections allowed (max_client_conn)", Reason.TOO_MANY_CONNECTIONS),
        ('root certificate file "/x.pem" does not exist', Reason.TLS),
        ("SSL error: certificate verify failed", Reason.TLS),
        ("server does not support SSL, but SSL was required", Reason.TLS),
        ("SSL connection has been closed unexpectedly", Reason.TERMINATED),
        ("FATAL:  the database system is starting up", Reason.TERMINATED),
        ("server closed the connection unexpectedly", Reason.TERMINATED),
        ('FATAL:  database "shop" does not exist', Reason.OTHER),
        ("FATAL:  unsupported startup parameter: options", Reason.OTHER),
    ],
)
def test_a_failed_connect_is_told_apart_by_its_text(text: str, reason: Reason) -> None:
    assert reason_of(psycopg.OperationalError(text)) is reason


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (errors.QueryCanceled("x"), Reason.TIMEOUT),
        (errors.LockNotAvailable("x"), Reason.TIMEOUT),
        (errors.AdminShutdown("x"), Reason.TERMINATED),
        (errors.InsufficientPrivilege("x"), Reason.PERMISSION),
        (errors.UndefinedFunction("x"), Reason.PERMISSION),
    ],
)
def test_a_failed_statement_is_told_apart_by_its_class(
    error: psycopg.Error, reason: Reason
) -> None:
    assert reason_of(error) is reason


@pytest.mark.parametrize(("text", "line"), [("a\nb", "a"), ("\n a \nb", "a"), ("", "Error")])
def test_hints_for_interactive_users_are_left_out(text: str, line: str) -> None:
    assert first_line(psycopg.Error(text)) == line


def test_of_several_addresses_the_one_that_is_full_tells() -> None:
    error = errors.ConnectionTimeout(
        "connection timeout expired\nMultiple connection attempts failed. All failures were:\n"
        "- host: 'a': connection failed: FATAL:  sorry, too many clients already\n"
        "- host: 'b': connection timeout expired"
    )

    assert reason_of(error) is Reason.TOO_MANY_CONNECTIONS
    assert telling_line(error).endswith("FATAL:  sorry, too many clients already")
