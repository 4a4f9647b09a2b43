"""The user chooses suites by their name or their distribution."""

import pytest

from poolscope_peers.sources import is_unpacked
from poolscope_peers.suites import SUITES, UnknownSuiteError, chosen


def test_all_suites_are_chosen_without_a_name() -> None:
    assert chosen([], SUITES) == list(SUITES)


def test_distribution_chooses_all_its_suites() -> None:
    names = [suite.name for suite in chosen(["sqlalchemy"], SUITES)]
    assert names == ["sqlalchemy-sqlite", "sqlalchemy-psycopg", "sqlalchemy-asyncpg"]


def test_name_chooses_one_suite() -> None:
    assert [suite.name for suite in chosen(["sqlalchemy-sqlite"], SUITES)] == ["sqlalchemy-sqlite"]


def test_unknown_name_is_an_error_that_lists_the_names() -> None:
    with pytest.raises(UnknownSuiteError, match=r"starlete.*starlette"):
        chosen(["starlete"], SUITES)


@pytest.mark.parametrize(
    ("name", "needs_postgres"),
    [
        ("starlette", False),
        ("asyncpg", True),
        ("sqlalchemy-psycopg", True),
        ("celery", False),
        ("django-pool", True),
    ],
)
def test_suite_needs_a_server_if_it_names_its_port(name: str, needs_postgres: bool) -> None:
    [suite] = chosen([name], SUITES)
    assert suite.needs_postgres is needs_postgres


@pytest.mark.parametrize(
    ("member", "expected"),
    [
        ("a-1.0/tests", True),
        ("a-1.0/tests/deep/test_a.py", True),
        ("a-1.0/pyproject.toml", True),
        ("a-1.0/tests_of_others/test_a.py", False),
        ("a-1.0/a/__init__.py", False),
    ],
)
def test_only_the_named_parts_of_an_sdist_are_unpacked(member: str, expected: bool) -> None:
    assert is_unpacked(member, ("tests", "pyproject.toml")) is expected
