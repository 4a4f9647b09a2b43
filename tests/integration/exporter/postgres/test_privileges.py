"""Each level of privilege gives what it can, and says what it cannot: no zero stands for hidden."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
import pytest

from poolscope_exporter.core.model.servers import Privilege, ServerLimits
from poolscope_exporter.core.model.sessions import Session
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_exporter.polling.dsn import parse_dsn
from poolscope_exporter.postgres.rows import HIDDEN, GroupsAnswer, Survey
from poolscope_exporter.postgres.server import PostgresServer
from support.exporter.exporter_process import run_to_the_end
from support.postgres.server import make_role


@dataclass(frozen=True, slots=True)
class Level:
    """A role of the exporter, and which sessions it sees: its own, its group's, a stranger's."""

    role: str
    member_of: tuple[str, ...]
    privilege: Privilege
    seen: frozenset[str]


OWN, GROUP, STRANGER = "own", "app_of_group", "app_of_stranger"
EVERY = frozenset({OWN, GROUP, STRANGER})

LEVELS = (
    Level("level_stats", ("pg_read_all_stats",), Privilege.FULL, EVERY),
    Level("level_monitor", ("pg_monitor",), Privilege.FULL, EVERY),
    Level("postgres", (), Privilege.FULL, EVERY),
    Level("level_member", (GROUP,), Privilege.MEMBER, frozenset({OWN, GROUP})),
    Level("level_own", (), Privilege.OWN, frozenset({OWN})),
)


@pytest.fixture(params=LEVELS, ids=lambda level: level.role)
def level(request: pytest.FixtureRequest, every_postgres: EmbeddedPostgres) -> Level:
    found: Level = request.param
    for app in (GROUP, STRANGER):
        make_role(every_postgres, app)
    if found.role != "postgres":
        make_role(every_postgres, found.role, member_of=found.member_of)
    return found


@dataclass(frozen=True, slots=True)
class Seen:
    privilege: Privilege
    limits: ServerLimits | None
    survey: Survey
    groups: GroupsAnswer
    sessions: dict[str, Session]


@contextlib.contextmanager
def sessions_in_transaction(server: EmbeddedPostgres, level: Level) -> Iterator[dict[str, int]]:
    """Yield the pids of sessions that are idle in a transaction, one of each kind of role."""
    roles = {OWN: level.role, GROUP: GROUP, STRANGER: STRANGER}
    with contextlib.ExitStack() as stack:
        pids = {}
        for kind, role in roles.items():
            connection = stack.enter_context(psycopg.connect(server.dsn_for(role)))
            connection.execute("SELECT 1")
            pids[kind] = connection.info.backend_pid
        yield pids


async def look_around(server: EmbeddedPostgres, level: Level) -> Seen:
    asked = PostgresServer("main", parse_dsn(server.dsn_for(level.role)))
    with sessions_in_transaction(server, level) as pids:
        try:
            await asked.connect()
            arrival = await asked.identify()
            limits = await asked.read_limits()
            survey = await asked.survey()
            groups = await asked.session_groups()
            sample = await asked.look_up(list(pids.values()))
        finally:
            await asked.close()
    sessions = {kind: sample.sessions[pid] for kind, pid in pids.items()}
    return Seen(arrival.identity.privilege, limits, survey, groups, sessions)


async def test_what_a_level_sees_and_what_it_says_that_it_does_not(
    every_postgres: EmbeddedPostgres, level: Level
) -> None:
    seen = await look_around(every_postgres, level)

    assert seen.privilege is level.privilege
    assert seen.limits is not None  # readable by everybody
    assert {kind for kind, session in seen.sessions.items() if not session.hidden} == level.seen
    for session in seen.sessions.values():
        facts = (session.state, session.state_age_s, session.backend_start_s, session.client)
        assert all(fact is None for fact in facts) is session.hidden


async def test_every_session_is_counted_and_no_state_is_zero_where_some_are_hidden(
    every_postgres: EmbeddedPostgres, level: Level
) -> None:
    survey = (await look_around(every_postgres, level)).survey

    hidden = len(EVERY - level.seen)
    assert survey.total == sum(survey.by_state.values()) >= len(EVERY) + 1
    assert survey.by_state.get(HIDDEN, 0) >= hidden
    assert survey.by_role[STRANGER] == survey.by_role[GROUP] == 1
    assert survey.by_state["idle in transaction"] >= len(level.seen)
    if level.privilege is Privilege.FULL:
        assert HIDDEN not in survey.by_state
        assert survey.by_state["starting"] == 0  # all is seen, so zero is known
        assert survey.active_on_cpu is not None
    else:
        assert 0 not in survey.by_state.values()
        assert survey.active_on_cpu is None


async def test_every_session_has_a_role_and_a_hidden_client_is_unknown_and_counted(
    every_postgres: EmbeddedPostgres, level: Level
) -> None:
    seen = await look_around(every_postgres, level)

    found = seen.groups
    assert found.total == sum(group.sessions for group in found.groups) == seen.survey.total
    assert seen.survey.by_owner[STRANGER, "postgres"] == 1
    unseen = [group for group in found.groups if group.client_address is None]
    assert found.hidden == sum(group.sessions for group in unseen) >= len(EVERY - level.seen)
    for kind, role in ((OWN, level.role), (GROUP, GROUP), (STRANGER, STRANGER)):
        clients = {group.client_address for group in found.groups if group.role == role}
        assert clients == {"127.0.0.1" if kind in level.seen else None}


def test_check_prints_the_grant_that_a_level_lacks(
    every_postgres: EmbeddedPostgres, level: Level
) -> None:
    ended = run_to_the_end("check", "--dsn", every_postgres.dsn_for(level.role))

    grant = f'GRANT pg_read_all_stats TO "{level.role}";'
    assert (grant in ended.stdout) is (level.privilege is not Privilege.FULL), ended.stdout
    assert f"role        {level.role}, privilege {level.privilege}" in ended.stdout
    assert ended.returncode == (0 if level.privilege is Privilege.FULL else 1)
