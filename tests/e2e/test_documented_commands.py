"""The guides do what they say: their programs and commands, on a real server, in order."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from support.documents.guides import GUIDES, Guide, Play, answer_pattern
from support.documents.markdown import Command
from support.postgres.server import run_sql


@pytest.fixture(scope="module")
def shop_server() -> Iterator[EmbeddedPostgres]:
    """Yield a server with the role and the database that the guides take to be there."""
    with EmbeddedPostgres() as server:
        run_sql(server.dsn, "CREATE ROLE shop LOGIN")
        run_sql(server.dsn, "CREATE DATABASE shop OWNER shop")
        yield server


@pytest.mark.parametrize("guide", GUIDES, ids=str)
def test_every_command_of_the_guide_answers_as_documented(
    guide: Guide, tmp_path: Path, shop_server: EmbeddedPostgres
) -> None:
    run_sql(shop_server.dsn, "DROP ROLE IF EXISTS poolscope")
    run_sql(shop_server.dsn, "CREATE ROLE poolscope LOGIN IN ROLE pg_read_all_stats")
    with Play(guide, tmp_path, shop_server) as play:
        assert play.run() >= guide.least


@pytest.mark.parametrize(
    ("documented", "said", "is_so"),
    [
        (("pool shop: 1 of 5",), "pool shop: 1 of 5", True),
        (("pool shop: 1 of 5",), "pool shop: 2 of 5", False),
        (("first", "…", "last"), "first\nsecond\nthird\nlast", True),
        (("held for … s",), "held for 3.25 s", True),
        (("held for … s",), "held for 3.25 s\nTraceback", False),
    ],
)
def test_an_answer_that_differs_is_found(
    documented: tuple[str, ...], said: str, is_so: bool
) -> None:
    pattern = answer_pattern(Command("any", documented))
    assert (pattern.fullmatch(said) is not None) is is_so
