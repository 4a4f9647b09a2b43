"""Name why a request, or a part of it, is refused before it reaches the core."""

from enum import Enum, StrEnum


class Outcome(Enum):
    """How a request was answered; the values are those of the receiver's counter."""

    OK = "ok"
    PARTIAL = "partial"
    IGNORED = "ignored"
    MALFORMED = "malformed"
    UNSUPPORTED = "unsupported"
    TOO_LARGE = "too_large"
    TOO_SLOW = "too_slow"
    OVERLOADED = "overloaded"
    UNAUTHORIZED = "unauthorized"
    FOREIGN_HOST = "foreign_host"


class RefusedError(Exception):
    """A request is answered with an error; the message is for its sender."""

    def __init__(self, outcome: Outcome, message: str) -> None:
        super().__init__(message)
        self.outcome = outcome


class DecodeRefusal(StrEnum):
    """Why a point, a checkout, a waiting caller or a report was left out while decoding."""

    MALFORMED_POINT = "malformed_point"
    MALFORMED_CHECKOUT = "malformed_checkout"
    MALFORMED_WAITER = "malformed_waiter"
    MALFORMED_REPORT = "malformed_report"
    TOO_MANY_POINTS = "too_many_points"
    TOO_MANY_REPORTS = "too_many_reports"
    TOO_MANY_RESOURCES = "too_many_resources"
    NAME_TOO_LONG = "name_too_long"
    UNKNOWN_TEMPORALITY = "unknown_temporality"
    DELTA_OF_GAUGE = "delta_of_gauge"
    SUMMARY = "summary"
