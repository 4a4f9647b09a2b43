"""Name why a part of a request is refused before it reaches the core."""

from enum import StrEnum


class Unreadable(StrEnum):
    """Why a point or a checkout was left out while decoding."""

    MALFORMED_POINT = "malformed_point"
    MALFORMED_CHECKOUT = "malformed_checkout"
    TOO_MANY_POINTS = "too_many_points"
    EXPONENTIAL_HISTOGRAM = "exponential_histogram"
    SUMMARY = "summary"
