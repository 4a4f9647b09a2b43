import socket

import pytest

from poolscope.catalogue import ConnectErrorKind as Kind
from poolscope.recording.connect_errors import classify_connect_error


def chained(outer: Exception, cause: Exception) -> Exception:
    outer.__cause__ = cause
    return outer


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ConnectionRefusedError("no"), Kind.REFUSED),
        (chained(RuntimeError("wrapped"), ConnectionRefusedError()), Kind.REFUSED),
        (socket.gaierror(-2, "Name or service not known"), Kind.NAME_RESOLUTION),
        (TimeoutError(), Kind.TIMEOUT),
        (OSError('FATAL: password authentication failed for user "u"'), Kind.AUTHENTICATION),
        (OSError("FATAL: sorry, too many clients already"), Kind.TOO_MANY_CONNECTIONS),
        (OSError('too many connections for role "app"'), Kind.TOO_MANY_CONNECTIONS),
        (OSError("remaining connection slots are reserved for …"), Kind.TOO_MANY_CONNECTIONS),
        (ValueError("something else"), Kind.OTHER),
    ],
)
def test_a_failed_connect_is_told_by_what_the_driver_says(error: Exception, kind: Kind) -> None:
    assert classify_connect_error(error) is kind
