"""ORM errors count by line, for as many lines as there is room for."""

from poolscope import catalogue
from poolscope.catalogue import OTHER, SessionErrorKind
from poolscope.pushing.samples import session_error_samples
from poolscope.recording.callsite import UNKNOWN_SITE, Site
from poolscope.recording.pool import PoolIdentity, PoolStats
from poolscope.recording.registry import Registry
from poolscope.recording.session_errors import MAX_LINES, SessionErrors

KIND = SessionErrorKind.DETACHED
NO_READER: object = None


def a_site(function: object) -> Site:
    return Site(function.__code__, 0)  # type: ignore[attr-defined]


def sites(count: int) -> list[Site]:
    return [a_site(eval("\n" * line + "lambda: 0")) for line in range(count)]


def test_lines_beyond_the_cap_count_together() -> None:
    errors = SessionErrors()
    for site in sites(MAX_LINES + 3):
        errors.count_error(KIND, site, None)
    assert errors.counts.total() == MAX_LINES + 3
    assert len(errors.counts) == MAX_LINES + 1
    assert errors.counts[KIND, OTHER, None] == 3


def test_line_that_is_known_has_room_when_there_is_none_for_another() -> None:
    errors = SessionErrors()
    known = sites(MAX_LINES)
    for site in (*known, known[0]):
        errors.count_error(KIND, site, None)
    assert errors.counts[KIND, known[0].label, None] == 2


def test_error_without_a_line_of_the_application_has_none() -> None:
    errors = SessionErrors()
    errors.count_error(KIND, UNKNOWN_SITE, None)
    assert errors.counts == {(KIND, "", None): 1}


def test_process_without_an_orm_reports_nothing() -> None:
    assert list(session_error_samples(Registry().session_errors, [])) == []


def test_pool_has_the_name_that_is_unique_in_its_process() -> None:
    errors, stats = SessionErrors(), PoolStats(PoolIdentity("shop"), NO_READER)  # type: ignore[arg-type]
    errors.count_error(KIND, UNKNOWN_SITE, stats)
    found = list(session_error_samples(errors, [(PoolIdentity("shop-2"), stats)]))
    named = [s.value for s in found if s.attributes.get(catalogue.POOL_NAME) == "shop-2"]
    assert named == [1]


def test_forked_child_counts_only_its_own() -> None:
    registry = Registry()
    registry.session_errors = SessionErrors()
    registry.session_errors.count_error(KIND, UNKNOWN_SITE, None)
    registry.forget_counts()
    assert registry.session_errors is not None
    assert not registry.session_errors.counts
