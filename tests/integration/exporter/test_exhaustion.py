"""While every slot of a server is taken: it goes on reporting, and says why where it cannot."""

import contextlib
from collections.abc import Iterator

import psycopg
import pytest

from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_exporter.polling.errors import Reason
from support.documents.fault_records import Faults
from support.postgres.server import make_role
from support.postgres.watching import Shown, Watch, a_target, assert_honest

DETECTED_S = 7.0
SLOTS = {
    "max_connections": "14",
    "superuser_reserved_connections": "3",
    "reserved_connections": "2",
}
OURS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'poolscope-exporter'"
TERMINATE = (
    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
    " WHERE application_name = 'poolscope-exporter'"
)


@pytest.fixture(scope="module", params=[16, 18])
def small(request: pytest.FixtureRequest) -> Iterator[EmbeddedPostgres]:
    """Yield a server with few slots, some of them reserved."""
    with EmbeddedPostgres(major=request.param, settings=SLOTS) as server:
        make_role(server, "crowd")
        make_role(server, "seeing", member_of=("pg_read_all_stats",))
        make_role(
            server, "admitted", member_of=("pg_read_all_stats", "pg_use_reserved_connections")
        )
        yield server


@pytest.fixture
def overseer(small: EmbeddedPostgres) -> Iterator[psycopg.Connection]:
    """Yield a superuser's connection, made before the server is full."""
    with psycopg.connect(small.dsn, autocommit=True) as connection:
        yield connection


class Crowd:
    """Connections of an application that takes all it gets."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self.connections: list[psycopg.Connection] = []

    def fill(self) -> None:
        with contextlib.suppress(psycopg.OperationalError):
            while True:
                self.connections.append(psycopg.connect(self._dsn))

    def leave(self) -> None:
        while self.connections:
            self.connections.pop().close()


@contextlib.contextmanager
def a_crowd(server: EmbeddedPostgres, role: str = "crowd") -> Iterator[Crowd]:
    crowd = Crowd(server.dsn_for(role))
    try:
        yield crowd
    finally:
        crowd.leave()


def has_slots_taken(shown: Shown) -> bool:
    room = shown.view.headroom
    return room is not None and room.free <= 0


class Says:
    """Whether a server is down for this reason."""

    def __init__(self, reason: Reason) -> None:
        self._reason = reason

    def __call__(self, shown: Shown) -> bool:
        return (shown.view.reason or "").startswith(f"{self._reason}:")


def is_linked(shown: Shown) -> bool:
    return shown.view.up and shown.link == "address" and shown.verdict != "unconfirmed"


def our_sessions(overseer: psycopg.Connection) -> int:
    row = overseer.execute(OURS).fetchone()
    assert row is not None
    return int(row[0])


async def test_it_reports_from_before_and_after_a_forced_reconnect(
    small: EmbeddedPostgres, overseer: psycopg.Connection, faults: Faults
) -> None:
    counted = []
    with a_crowd(small) as crowd:
        crowd.connections.append(psycopg.connect(small.dsn_for("crowd")))
        target = a_target(small.dsn_for("admitted"))
        async with Watch(target, crowd.connections[0], small.port) as watch:
            await watch.until(is_linked)
            crowd.fill()
            full = await watch.until(has_slots_taken)
            assert watch.missed() == {}
            for _ in range(3):
                overseer.execute(TERMINATE)
                assert our_sessions(overseer) == 0
                await watch.until(lambda shown: not shown.view.up)
                await watch.until(is_linked)
                counted.append(our_sessions(overseer))
            after = await watch.until(has_slots_taken)
            crowd.leave()

    assert counted == [1, 1, 1]
    assert full.diagnosis == after.diagnosis == "server_full"
    assert watch.report().connections == 0  # it has ended, and took its connection along
    assert set(watch.missed()) == {"terminated"}
    assert_honest(watch, DETECTED_S)
    name = "full for ordinary roles, session terminated three times, with the reserve's privilege"
    faults.record(f"{name}, PostgreSQL {small.major}", watch, "pool: server_full")


async def test_without_the_privilege_it_says_that_the_server_is_full(
    small: EmbeddedPostgres, overseer: psycopg.Connection, faults: Faults
) -> None:
    with a_crowd(small) as crowd:
        crowd.connections.append(psycopg.connect(small.dsn_for("crowd")))
        target = a_target(small.dsn_for("seeing"))
        async with Watch(target, crowd.connections[0], small.port) as watch:
            await watch.until(is_linked)
            crowd.fill()
            await watch.until(has_slots_taken)
            overseer.execute(TERMINATE)
            crowd.fill()  # our slot as well
            refused = await watch.until(Says(Reason.RESERVED_SLOTS))
            held = crowd.connections.pop(0)
            crowd.leave()
            await watch.until(is_linked)
            held.close()

    assert "remaining connection slots are reserved" in (refused.view.reason or "")
    assert refused.view.is_full
    assert refused.diagnosis == "server_full"
    assert refused.link == "unlinked:server_down"
    assert watch.report().failures["reserved_slots"] >= 1
    assert_honest(watch, DETECTED_S)
    name = "full for ordinary roles, session terminated, without the privilege, crowd leaves"
    faults.record(f"{name}, PostgreSQL {small.major}", watch, "meanwhile the pool: server_full")


async def test_the_kept_connection_answers_when_not_even_a_superuser_gets_in(
    small: EmbeddedPostgres, overseer: psycopg.Connection
) -> None:
    with a_crowd(small) as crowd, a_crowd(small, "postgres") as superusers:
        async with Watch(a_target(small.dsn_for("seeing"))) as watch:
            await watch.until(lambda shown: shown.view.up)
            crowd.fill()
            superusers.fill()
            await watch.polls(4)
            assert watch.missed() == {}
            overseer.execute(TERMINATE)
            superusers.fill()
            refused = await watch.until(Says(Reason.TOO_MANY_CONNECTIONS))
            superusers.leave()
            crowd.leave()
            await watch.until(lambda shown: shown.view.up)

    assert "sorry, too many clients already" in (refused.view.reason or "")
    assert refused.view.is_full


@pytest.mark.parametrize(
    ("limited", "reason", "text"),
    [
        ("ROLE seeing", Reason.ROLE_LIMIT, 'too many connections for role "seeing"'),
        (
            "DATABASE postgres",
            Reason.DATABASE_LIMIT,
            'too many connections for database "postgres"',
        ),
    ],
)
async def test_a_limit_of_ours_is_told_apart_from_a_full_server(
    small: EmbeddedPostgres, overseer: psycopg.Connection, limited: str, reason: Reason, text: str
) -> None:
    overseer.execute(f"ALTER {limited} CONNECTION LIMIT 0".encode())
    try:
        async with Watch(a_target(small.dsn_for("seeing"))) as watch:
            refused = await watch.until(Says(reason))
            overseer.execute(f"ALTER {limited} CONNECTION LIMIT -1".encode())
            await watch.until(lambda shown: shown.view.up)
    finally:
        overseer.execute(f"ALTER {limited} CONNECTION LIMIT -1".encode())

    assert text in (refused.view.reason or "")
    assert not refused.view.is_full
