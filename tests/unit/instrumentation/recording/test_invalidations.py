import errno
import ssl
from asyncio import CancelledError

import asyncpg  # type: ignore[import-untyped]
import psycopg
import psycopg2  # type: ignore[import-untyped]
import pymysql
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import DBAPIError

from poolscope.catalogue import InvalidationReason as Reason
from poolscope.recording.driver_errors.invalidation_signs import SQLSTATES, TEXTS
from poolscope.recording.driver_errors.invalidations import (
    classify_invalidation,
    classify_message,
    classify_silent_loss,
)

CLOSED = (
    "server closed the connection unexpectedly\n"
    "\tThis probably means the server terminated abnormally\n"
    "\tbefore or while processing the request.\n"
)
IN_PSYCOPG = {
    "25P03": psycopg.errors.IdleInTransactionSessionTimeout,
    "57P05": psycopg.errors.IdleSessionTimeout,
    "57P01": psycopg.errors.AdminShutdown,
    "57P02": psycopg.errors.CrashShutdown,
    "57P04": psycopg.errors.DatabaseDropped,
    "57014": psycopg.errors.QueryCanceled,
    "08003": psycopg.errors.ConnectionDoesNotExist,
    "08006": psycopg.errors.ConnectionFailure,
}


def from_asyncpg(sqlstate: str, message: str = "FATAL") -> asyncpg.PostgresError:
    return asyncpg.PostgresError.new({"C": sqlstate, "M": message})


def caused(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


def wrapped(error: BaseException) -> DBAPIError:
    return DBAPIError("SELECT 'admin'", {}, error)


@pytest.mark.parametrize(
    ("sqlstate", "reason"),
    [
        ("25P03", Reason.IDLE_IN_TRANSACTION_TIMEOUT),
        ("25P04", Reason.TRANSACTION_TIMEOUT),
        ("57P05", Reason.IDLE_SESSION_TIMEOUT),
        ("57P01", Reason.ADMIN),
        ("57P02", Reason.ADMIN),
        ("57P04", Reason.ADMIN),
        ("57014", Reason.TIMEOUT),
        ("08003", Reason.SOCKET),
        ("08006", Reason.SOCKET),
        ("08P01", Reason.BROKEN),
        ("40001", Reason.ERROR),
        ("XX000", Reason.ERROR),
    ],
)
def test_sqlstate_gives_the_reason_whatever_the_language_of_the_message(
    sqlstate: str, reason: Reason
) -> None:
    error = from_asyncpg(sqlstate, "Verbindung wird abgebrochen")
    assert classify_invalidation(error) is reason
    assert classify_invalidation(wrapped(error)) is reason


def test_every_sqlstate_of_psycopg_that_ends_a_session_has_a_reason() -> None:
    for sqlstate, reason in SQLSTATES.items():
        if sqlstate == "25P04":
            continue  # of PostgreSQL 17: psycopg may not have a class for it
        error = IN_PSYCOPG[sqlstate]()
        assert error.sqlstate == sqlstate
        assert classify_invalidation(error) is reason


def test_reason_of_the_server_counts_before_that_of_the_driver() -> None:
    error = asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")
    assert classify_invalidation(error) is Reason.SOCKET
    caused(error, from_asyncpg("57P01"))
    assert classify_invalidation(wrapped(error)) is Reason.ADMIN


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (
            "terminating connection due to idle-in-transaction timeout",
            "idle_in_transaction_timeout",
        ),
        ("terminating connection due to transaction timeout", "transaction_timeout"),
        ("terminating connection due to idle-session timeout", "idle_session_timeout"),
        ("terminating connection due to administrator command", "admin"),
        ("terminating connection because of crash of another server process", "admin"),
        ("idle transaction timeout", "idle_in_transaction_timeout"),
        ("transaction timeout", "transaction_timeout"),
        ("client_idle_timeout", "idle_session_timeout"),
        ("query timeout", "timeout"),
        ("query_wait_timeout", "error"),
        ("server conn crashed?", "error"),
        ("lost synchronization with server: got message type", "broken"),
        ("could not receive data from server: Connection reset by peer", "socket"),
        ("SSL SYSCALL error: EOF detected", "socket"),
        ("Verbindung wird auf Anweisung des Administrators abgebrochen", "error"),
    ],
)
@pytest.mark.parametrize("driver", [psycopg, psycopg2])
def test_first_line_gives_the_reason_and_not_what_libpq_adds(
    driver: object, line: str, reason: str
) -> None:
    message = f"FATAL:  {line}\nSSL connection has been closed unexpectedly\n"
    error = driver.OperationalError(message)  # type: ignore[attr-defined]
    assert classify_invalidation(error, in_transaction=False) is Reason(reason)
    assert classify_message(message) is Reason(reason)


@pytest.mark.parametrize(
    ("in_transaction", "reason"),
    [(False, Reason.SOCKET), (True, Reason.ERROR), (None, Reason.ERROR)],
)
@pytest.mark.parametrize(
    "error",
    [
        psycopg2.OperationalError(CLOSED),
        psycopg2.OperationalError("SSL connection has been closed unexpectedly\n"),
        asyncpg.InterfaceError("connection is closed"),
        asyncpg.InterfaceError(
            "cannot call PreparedStatement.fetch(): the underlying connection is closed"
        ),
        asyncpg.InterfaceError(
            "cannot call Connection.fetch(): connection has been released back to the pool"
        ),
    ],
)
def test_driver_that_drops_the_reason_lost_a_socket_only_outside_a_transaction(
    error: Exception, in_transaction: bool | None, reason: Reason
) -> None:
    assert classify_invalidation(wrapped(error), in_transaction) is reason
    assert classify_silent_loss(in_transaction) is reason


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (psycopg.OperationalError(f"consuming input failed: {CLOSED}"), Reason.SOCKET),
        (psycopg.OperationalError("the connection is closed"), Reason.ERROR),
        (psycopg2.InterfaceError("connection already closed"), Reason.ERROR),
        (pymysql.err.OperationalError(2013, "Lost connection to MySQL server"), Reason.SOCKET),
        (pymysql.err.OperationalError(4031, "The client was disconnected"), "idle_session_timeout"),
        (
            caused(
                pymysql.err.OperationalError(2013, "Lost connection"), TimeoutError("timed out")
            ),
            Reason.TIMEOUT,
        ),
        (asyncpg.InternalClientError("got result for unknown protocol state 3"), Reason.BROKEN),
        (TimeoutError(), Reason.TIMEOUT),
        (TimeoutError(errno.ETIMEDOUT, "Connection timed out"), Reason.SOCKET),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), Reason.SOCKET),
        (OSError(errno.EHOSTUNREACH, "No route to host"), Reason.SOCKET),
        (OSError(errno.ENOENT, "No such file"), Reason.ERROR),
        (ssl.SSLEOFError(8, "EOF occurred in violation of protocol"), Reason.SOCKET),
        (ssl.SSLError(1, "decryption failed or bad record mac"), Reason.BROKEN),
        (ValueError("of the application"), Reason.ERROR),
        (CancelledError(), Reason.CANCELLED),
        (KeyboardInterrupt(), Reason.CANCELLED),
    ],
)
def test_error_of_a_driver_or_the_system_gives_its_reason(
    error: BaseException, reason: str
) -> None:
    assert classify_invalidation(error, in_transaction=False) is Reason(reason)


def test_error_that_was_handled_when_this_one_was_raised_explains_nothing() -> None:
    error = psycopg.OperationalError("the connection is lost")
    error.__context__ = TimeoutError()
    assert classify_invalidation(error) is Reason.ERROR


class UnprintableError(Exception):
    @property
    def orig(self) -> object:
        raise RuntimeError

    def __str__(self) -> str:
        raise RuntimeError


def test_error_that_cannot_be_printed_is_of_an_unknown_reason() -> None:
    assert classify_invalidation(UnprintableError()) is Reason.ERROR
    assert classify_invalidation(caused(UnprintableError(), TimeoutError())) is Reason.TIMEOUT


def test_chain_of_causes_that_is_a_circle_ends() -> None:
    first, second = ValueError(), ValueError()
    caused(first, second)
    caused(second, first)
    assert classify_invalidation(first) is Reason.ERROR


@given(st.text(), st.sampled_from(sorted(SQLSTATES)), st.booleans())
def test_known_sqlstate_decides_whatever_the_message(
    message: str, sqlstate: str, in_transaction: bool
) -> None:
    error = from_asyncpg(sqlstate, message)
    assert classify_invalidation(error, in_transaction) is SQLSTATES[sqlstate]


@given(st.text())
def test_any_message_gives_some_reason_and_none_raises(message: str) -> None:
    assert classify_message(message) in set(TEXTS)
