import errno
import socket
import ssl

import asyncpg  # type: ignore[import-untyped]
import psycopg
import psycopg2  # type: ignore[import-untyped]
import pymysql
import pytest
from asyncpg.exceptions import (  # type: ignore[import-untyped]
    ClientConfigurationError,
    TargetServerAttributeNotMatched,
)
from sqlalchemy.exc import OperationalError

from poolscope.catalogue import ConnectErrorKind as Kind
from poolscope.recording.driver_errors.connect_error_signs import TEXTS
from poolscope.recording.driver_errors.connect_errors import classify_connect_error

SQLSTATES = [
    ("28000", Kind.AUTHENTICATION),
    ("28P01", Kind.AUTHENTICATION),
    ("42501", Kind.AUTHENTICATION),
    ("53300", Kind.TOO_MANY_CONNECTIONS),
    ("55000", Kind.NOT_READY),
    ("57P01", Kind.NOT_READY),
    ("57P02", Kind.NOT_READY),
    ("57P03", Kind.NOT_READY),
    ("57P04", Kind.UNKNOWN_DATABASE),
    ("3D000", Kind.UNKNOWN_DATABASE),
    ("22023", Kind.WRONG_SETTING),
    ("42601", Kind.WRONG_SETTING),
    ("42704", Kind.WRONG_SETTING),
    ("55P02", Kind.WRONG_SETTING),
    ("57014", Kind.TIMEOUT),
    ("08003", Kind.RESET),
    ("08006", Kind.RESET),
    ("53200", Kind.OTHER),
    ("XX000", Kind.OTHER),
]

LIBPQ = [
    ('FATAL:  password authentication failed for user "app"', Kind.AUTHENTICATION),
    ("fe_sendauth: no password supplied", Kind.AUTHENTICATION),
    ('FATAL:  role "app" does not exist', Kind.AUTHENTICATION),
    ('FATAL:  role "app" is not permitted to log in', Kind.AUTHENTICATION),
    (
        'FATAL:  no pg_hba.conf entry for host "::1", user "app", database "shop", SSL off',
        Kind.AUTHENTICATION,
    ),
    ("FATAL:  connection requires a valid client certificate", Kind.AUTHENTICATION),
    ('FATAL:  permission denied for database "shop"', Kind.AUTHENTICATION),
    ("channel binding required, but SSL not in use", Kind.AUTHENTICATION),
    ('FATAL:  database "shop" does not exist', Kind.UNKNOWN_DATABASE),
    ("FATAL:  sorry, too many clients already", Kind.TOO_MANY_CONNECTIONS),
    ('FATAL:  too many connections for role "app"', Kind.TOO_MANY_CONNECTIONS),
    ('FATAL:  too many connections for database "shop"', Kind.TOO_MANY_CONNECTIONS),
    (
        "FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute",
        Kind.TOO_MANY_CONNECTIONS,
    ),
    ("FATAL:  the database system is starting up", Kind.NOT_READY),
    ("FATAL:  the database system is shutting down", Kind.NOT_READY),
    ("FATAL:  the database system is in recovery mode", Kind.NOT_READY),
    ("FATAL:  the database system is not yet accepting connections", Kind.NOT_READY),
    ('FATAL:  database "shop" is not currently accepting connections', Kind.NOT_READY),
    ("FATAL:  terminating connection due to administrator command", Kind.NOT_READY),
    ("session is read-only", Kind.NOT_READY),
    ("server is in hot standby mode", Kind.NOT_READY),
    ('FATAL:  unrecognized configuration parameter "nonsense"', Kind.WRONG_SETTING),
    ('FATAL:  invalid value for parameter "work_mem": "abc"', Kind.WRONG_SETTING),
    ('invalid sslmode value: "nonsense"', Kind.WRONG_SETTING),
    ("server does not support SSL, but SSL was required", Kind.TLS),
    ("SSL error: certificate verify failed", Kind.TLS),
    ('server certificate for "db" does not match host name "db.example"', Kind.TLS),
    ('root certificate file "/root.crt" does not exist', Kind.TLS),
    ("received invalid response to SSL negotiation: H", Kind.TLS),
    ("SSL SYSCALL error: EOF detected", Kind.RESET),
    ("could not receive data from server: Connection reset by peer", Kind.RESET),
    (
        "server closed the connection unexpectedly\n\tThis probably means the server terminated",
        Kind.RESET,
    ),
    ("timeout expired", Kind.TIMEOUT),
    ("Connection timed out\n\tIs the server running on that host?", Kind.TIMEOUT),
    ("FATAL:  canceling authentication due to timeout", Kind.TIMEOUT),
    ("Connection refused\n\tIs the server running on that host?", Kind.REFUSED),
    ("No such file or directory\n\tIs the server running locally?", Kind.REFUSED),
    ("No route to host", Kind.UNREACHABLE),
    ("Network is unreachable", Kind.UNREACHABLE),
    ("Permission denied", Kind.UNREACHABLE),
    ("out of memory", Kind.OTHER),
]
"""What follows 'connection to server at "…" failed: ' in libpq's messages."""

PGBOUNCER = [
    ("no such database: shop", Kind.UNKNOWN_DATABASE),
    ("no such user: app", Kind.AUTHENTICATION),
    ('"trust" authentication failed', Kind.AUTHENTICATION),
    ("no more connections allowed (max_client_conn)", Kind.TOO_MANY_CONNECTIONS),
    ("client connections exceeded (max_db_client_connections)", Kind.TOO_MANY_CONNECTIONS),
    ("unsupported startup parameter: options", Kind.WRONG_SETTING),
    ("query_wait_timeout", Kind.TIMEOUT),
    ("client_login_timeout (server down)", Kind.TIMEOUT),
    ("SSL required", Kind.TLS),
    ('database "shop" is disabled', Kind.NOT_READY),
    ("pgbouncer cannot connect to server", Kind.NOT_READY),
    (
        "server login has been failing, try again later (server_login_retry)",
        Kind.NOT_READY,
    ),
    (
        "server login has been failing, cached error: connect failed (server_login_retry)",
        Kind.NOT_READY,
    ),
    (
        "server login has been failing, cached error: connect timeout (server_login_retry)",
        Kind.TIMEOUT,
    ),
    (
        "server login has been failing, cached error: server DNS lookup failed",
        Kind.NAME_RESOLUTION,
    ),
    ('server login failed: FATAL password authentication failed for user "a"', Kind.AUTHENTICATION),
]

MYSQL = [
    (1040, "Too many connections", Kind.TOO_MANY_CONNECTIONS),
    (
        1226,
        "User 'app' has exceeded the 'max_user_connections' resource",
        Kind.TOO_MANY_CONNECTIONS,
    ),
    (1045, "Access denied for user 'app'@'10.0.0.1' (using password: YES)", Kind.AUTHENTICATION),
    (1044, "Access denied for user 'app'@'%' to database 'shop'", Kind.AUTHENTICATION),
    (4151, "Access denied, this account is locked", Kind.AUTHENTICATION),
    (1049, "Unknown database 'shop'", Kind.UNKNOWN_DATABASE),
    (1053, "Server shutdown in progress", Kind.NOT_READY),
    (1193, "Unknown system variable 'nonsense'", Kind.WRONG_SETTING),
    (2026, "SSL is required but the server doesn't support it", Kind.TLS),
    (2003, "Can't connect to MySQL server on 'db' ([Errno 111] Connection refused)", Kind.REFUSED),
    (2003, "Can't connect to MySQL server on 'db' (timed out)", Kind.TIMEOUT),
    (2013, "Lost connection to MySQL server during query (timed out)", Kind.TIMEOUT),
    (2013, "Lost connection to MySQL server during query", Kind.RESET),
]

PYTHON = [
    (ConnectionRefusedError("no"), Kind.REFUSED),
    (FileNotFoundError(errno.ENOENT, "No such file or directory"), Kind.REFUSED),
    (OSError(errno.EHOSTUNREACH, "Kein Weg zum Zielrechner"), Kind.UNREACHABLE),
    (OSError(errno.ENETUNREACH, "Das Netzwerk ist nicht erreichbar"), Kind.UNREACHABLE),
    (OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address"), Kind.UNREACHABLE),
    (PermissionError(errno.EPERM, "Operation not permitted"), Kind.UNREACHABLE),
    (TimeoutError(), Kind.TIMEOUT),
    (OSError(errno.ETIMEDOUT, "Verbindung abgelaufen"), Kind.TIMEOUT),
    (ConnectionAbortedError("SSL handshake is taking longer than 60 seconds"), Kind.TIMEOUT),
    (socket.gaierror(-2, "Name or service not known"), Kind.NAME_RESOLUTION),
    (OSError("getaddrinfo() returned empty list"), Kind.NAME_RESOLUTION),
    (UnicodeError("encoding with 'idna' codec failed (UnicodeError: label too long)"),
     Kind.NAME_RESOLUTION),
    (ConnectionResetError(), Kind.RESET),
    (BrokenPipeError(errno.EPIPE, "Datenübergabe unterbrochen"), Kind.RESET),
    (ConnectionError("unexpected connection_lost() call"), Kind.RESET),
    (ssl.SSLEOFError(8, "EOF occurred in violation of protocol"), Kind.RESET),
    (ssl.SSLCertVerificationError(1, "self-signed certificate"), Kind.TLS),
    (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"), Kind.TLS),
    (ConnectionError('PostgreSQL server at "db:5432" rejected SSL upgrade'), Kind.TLS),
    (OSError(errno.EMFILE, "Too many open files"), Kind.OTHER),
    (UnicodeDecodeError("utf-8", b"\xab", 0, 1, "invalid start byte"), Kind.OTHER),
    (ValueError("something else"), Kind.OTHER),
    (ValueError(), Kind.OTHER),
]  # fmt: skip


class UnprintableError(Exception):
    @property
    def sqlstate(self) -> str:
        raise RuntimeError("no state")

    def __str__(self) -> str:
        raise RuntimeError("no words")


def caused(outer: BaseException, by: BaseException) -> BaseException:
    outer.__cause__ = by
    return outer


def in_context(outer: BaseException, of: BaseException) -> BaseException:
    outer.__context__ = of
    return outer


def of_libpq(text: str) -> str:
    return f'connection to server at "10.0.0.1", port 5432 failed: {text}'


def test_every_kind_but_the_rest_has_a_rank() -> None:
    assert set(TEXTS) == set(Kind) - {Kind.OTHER}


@pytest.mark.parametrize(("state", "kind"), SQLSTATES)
def test_sqlstate_gives_the_kind_in_any_language(state: str, kind: Kind) -> None:
    error = asyncpg.PostgresError.new({"C": state, "M": "das ist schiefgegangen"})
    assert classify_connect_error(error) is kind


@pytest.mark.parametrize(("text", "kind"), LIBPQ)
@pytest.mark.parametrize("error", [psycopg.OperationalError, psycopg2.OperationalError])
def test_text_of_libpq_gives_the_kind_where_there_is_no_sqlstate(
    error: type[Exception], text: str, kind: Kind
) -> None:
    assert classify_connect_error(error(of_libpq(text))) is kind


@pytest.mark.parametrize(("text", "kind"), PGBOUNCER)
def test_pgbouncer_is_understood_by_its_text_with_every_driver(text: str, kind: Kind) -> None:
    of_asyncpg = asyncpg.PostgresError.new({"C": "08P01", "M": text})
    of_psycopg = psycopg.OperationalError(of_libpq(f"FATAL:  {text}"))
    assert [*map(classify_connect_error, (of_asyncpg, of_psycopg))] == [kind, kind]


@pytest.mark.parametrize(("number", "text", "kind"), MYSQL)
def test_mysql_is_understood_by_its_number_or_its_text(number: int, text: str, kind: Kind) -> None:
    assert classify_connect_error(pymysql.OperationalError(number, text)) is kind


@pytest.mark.parametrize(("error", "kind"), PYTHON)
def test_errors_of_python_give_the_kind_by_class_number_or_text(
    error: Exception, kind: Kind
) -> None:
    assert classify_connect_error(error) is kind


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (TargetServerAttributeNotMatched("None of the hosts match"), Kind.NOT_READY),
        (
            ClientConfigurationError("`sslmode` parameter must be one of: disable"),
            Kind.WRONG_SETTING,
        ),
        (psycopg.ProgrammingError('missing "=" after "nonsense"'), Kind.WRONG_SETTING),
        (psycopg.errors.ConnectionTimeout("connection timeout expired"), Kind.TIMEOUT),
    ],
)
def test_errors_of_the_drivers_themselves_have_a_kind(error: Exception, kind: Kind) -> None:
    assert classify_connect_error(error) is kind


@pytest.mark.parametrize(
    ("kind", "fragment"), [(kind, text) for kind, texts in TEXTS.items() for text in texts]
)
def test_no_text_is_taken_for_another_kind(kind: Kind, fragment: str) -> None:
    assert classify_connect_error(Exception(f"well, {fragment}, alas")) is kind


@pytest.mark.parametrize("name", ["ssl_db", "timed out", "password", "too many clients"])
@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('FATAL:  database "{}" does not exist', Kind.UNKNOWN_DATABASE),
        ("FATAL:  Datenbank »{}« existiert nicht", Kind.OTHER),
        ("FATAL:  la base de données « {} » n'existe pas", Kind.OTHER),
        ("failed to resolve host '{}': [Errno -3] Irgendein Fehler", Kind.NAME_RESOLUTION),
        ("Can't connect to MySQL server on '{}' ([Errno 111] Connection refused)", Kind.REFUSED),
    ],
)
def test_name_of_a_database_or_host_is_no_reason(text: str, kind: Kind, name: str) -> None:
    assert classify_connect_error(psycopg.OperationalError(text.format(name))) is kind


SEVERAL_ATTEMPTS = [
    (
        [
            "Multiple exceptions: [Errno 111] Connect call failed ('::1', 1, 0, 0)",
            ", [Errno 111] Connect call failed ('127.0.0.1', 1)",
        ],
        Kind.REFUSED,
    ),
    (
        [
            "Multiple exceptions: [Errno 101] Connect call failed ('fd00::1', 1, 0, 0)",
            ", [Errno 111] Connect call failed ('10.0.0.1', 1)",
        ],
        Kind.REFUSED,
    ),
    (
        [
            'connection to server at "localhost" (::1), port 5432 failed: Connection refused\n',
            'connection to server at "localhost" (127.0.0.1), port 5432 failed: FATAL:  role "a"',
            " is not permitted to log in\n",
        ],
        Kind.AUTHENTICATION,
    ),
    (
        [
            'could not translate host name "a" to address: Name or service not known\n',
            'connection to server at "b" (10.0.0.1), port 5432 failed: timeout expired\n',
        ],
        Kind.TIMEOUT,
    ),
    (
        [
            "connection timeout expired\nMultiple connection attempts failed. All failures were:\n",
            "- host: 'a', port: None, hostaddr: '10.0.0.1': connection failed: FATAL:  sorry, too",
            " many clients already\n",
            "- host: 'b', port: None, hostaddr: '10.0.0.2': connection timeout expired",
        ],
        Kind.TOO_MANY_CONNECTIONS,
    ),
]


@pytest.mark.parametrize(("parts", "kind"), SEVERAL_ATTEMPTS)
def test_of_several_attempts_the_one_that_got_farthest_counts(parts: list[str], kind: Kind) -> None:
    assert classify_connect_error(OSError("".join(parts))) is kind


REFUSED, TIMED_OUT = ConnectionRefusedError(), TimeoutError()
FULL = OSError("sorry, too many clients already")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (caused(RuntimeError("wrapped"), REFUSED), Kind.REFUSED),
        (caused(pymysql.OperationalError(2003, "Can't connect on 'db'"), TIMED_OUT), Kind.TIMEOUT),
        (caused(RuntimeError(), caused(RuntimeError(), caused(RuntimeError(), FULL))),
         Kind.TOO_MANY_CONNECTIONS),
        (OperationalError("connect", {}, REFUSED), Kind.REFUSED),
        (ExceptionGroup("all addresses", [REFUSED, TIMED_OUT]), Kind.TIMEOUT),
        (BaseExceptionGroup("", [KeyboardInterrupt(), ExceptionGroup("", [FULL])]),
         Kind.TOO_MANY_CONNECTIONS),
        (in_context(RuntimeError("wrapped"), REFUSED), Kind.REFUSED),
        (in_context(UnprintableError(), caused(UnprintableError(), REFUSED)), Kind.REFUSED),
    ],
)  # fmt: skip
def test_an_error_that_wraps_another_has_its_kind(error: BaseException, kind: Kind) -> None:
    assert classify_connect_error(error) is kind


def test_error_that_was_being_handled_meanwhile_is_no_reason_where_there_is_one() -> None:
    assert classify_connect_error(in_context(ConnectionRefusedError(), FULL)) is Kind.REFUSED


@pytest.mark.parametrize("error", [UnprintableError(), UnprintableError("a", 1)])
def test_error_that_cannot_be_read_is_an_error_all_the_same(error: Exception) -> None:
    assert classify_connect_error(error) is Kind.OTHER


def test_circle_of_causes_has_an_end() -> None:
    first, second = RuntimeError("a"), RuntimeError("b")
    caused(first, caused(second, first))
    assert classify_connect_error(first) is Kind.OTHER


def test_chain_of_causes_is_followed_so_far_and_no_farther() -> None:
    error: BaseException = ConnectionRefusedError()
    for _ in range(50):
        error = caused(RuntimeError(), error)
    assert classify_connect_error(error) is Kind.OTHER


def test_long_message_is_read_so_far_and_no_farther() -> None:
    assert classify_connect_error(OSError("x" * 1_000_000 + "timed out")) is Kind.OTHER
