"""Rows of pg_stat_get_activity: what is unknown stays unknown, and only clients are counted."""

from typing import Any

import pytest

from poolscope_exporter.core.model.endpoints import Endpoint
from poolscope_exporter.core.model.sessions import SessionState
from poolscope_exporter.postgres.rows import Names, groups_of, session_of, survey_of

NAMES = Names(roles={10: "shop"}, databases={5: "orders"})


def a_row(**fields: Any) -> dict[str, Any]:
    return {
        "pid": 4711,
        "hidden": False,
        "database_oid": 5,
        "role_oid": 10,
        "application_name": "shop",
        "backend_type": "client backend",
        "state": "idle",
        "wait_event_type": "Client",
        "wait_event": "ClientRead",
        "client_address": "10.0.0.7",
        "client_port": 50002,
        "backend_start_s": 1_700_000_000.5,
        "backend_age_s": 60.0,
        "state_age_s": 30.0,
        "xact_age_s": None,
        "query_age_s": 30.0,
        **fields,
    }


def a_group(sessions: int = 1, **fields: Any) -> dict[str, Any]:
    group = {"database_oid": 5, "role_oid": 10, "backend_type": "client backend", "state": "idle"}
    return {**group, "sessions": sessions, "on_cpu": 0, "lock_waiters": 0, **fields}


def a_client_group(sessions: int, **fields: Any) -> dict[str, Any]:
    group = {
        "database_oid": 5,
        "role_oid": 10,
        "application_name": "shop",
        "client_address": "10.0.0.7",
        "hidden": False,
        "all_sessions": 9,
        "all_hidden": 2,
    }
    return {**group, "sessions": sessions, **fields}


def test_groups_have_the_sums_of_all_sessions_also_of_those_that_are_not_listed() -> None:
    answer = groups_of([a_client_group(4), a_client_group(3, role_oid=11)], NAMES)

    assert (answer.total, answer.hidden) == (9, 2)
    assert [(each.role, each.database, each.sessions) for each in answer.groups] == [
        ("shop", "orders", 4),
        (None, "orders", 3),
    ]


@pytest.mark.parametrize(
    ("address", "is_hidden", "shown"),
    [("10.0.0.7", False, "10.0.0.7"), (None, False, "[local]"), (None, True, None)],
)
def test_a_hidden_client_is_unknown_and_one_without_an_address_is_local(
    address: str | None, is_hidden: bool, shown: str | None
) -> None:
    row = a_client_group(1, client_address=address, hidden=is_hidden)

    assert groups_of([row], NAMES).groups[0].client_address == shown


def test_sessions_are_counted_by_role_and_database_also_if_a_name_is_unknown() -> None:
    rows = [a_group(2), a_group(3, state="active"), a_group(4, role_oid=11)]
    background = a_group(5, backend_type="autovacuum worker")

    survey = survey_of([*rows, background], NAMES)

    assert survey.by_owner == {("shop", "orders"): 5, (None, "orders"): 4}


def test_names_come_from_what_was_read_before() -> None:
    session = session_of(a_row(), NAMES)

    assert (session.user, session.database) == ("shop", "orders")
    assert session.client == Endpoint("10.0.0.7", 50002)


def test_a_name_that_is_not_known_is_none() -> None:
    session = session_of(a_row(role_oid=11, database_oid=None), NAMES)

    assert (session.user, session.database) == (None, None)


@pytest.mark.parametrize(("seconds", "age_s"), [(-0.001, 0.0), (0.0, 0.0), (None, None)])
def test_an_age_is_never_negative_and_never_invented(
    seconds: float | None, age_s: float | None
) -> None:
    assert session_of(a_row(state_age_s=seconds), NAMES).state_age_s == age_s


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("active", SessionState.ACTIVE),
        ("idle in transaction (aborted)", SessionState.IDLE_IN_TRANSACTION_ABORTED),
        ("starting", SessionState.STARTING),
        ("disabled", SessionState.OTHER),
        (None, None),
    ],
)
def test_states_are_an_open_set(text: str | None, state: SessionState | None) -> None:
    assert session_of(a_row(state=text), NAMES).state is state


@pytest.mark.parametrize(("address", "port"), [(None, -1), (None, None), ("10.0.0.7", None)])
def test_a_session_over_a_unix_socket_has_no_endpoint(
    address: str | None, port: int | None
) -> None:
    row = a_row(client_address=address, client_port=port)

    assert session_of(row, NAMES).client is None


def test_background_processes_take_no_slot() -> None:
    survey = survey_of(
        [
            a_group(3),
            a_group(1, backend_type="walsender"),
            a_group(1, backend_type="parallel worker"),
            a_group(5, backend_type="checkpointer", role_oid=None, database_oid=None),
        ],
        NAMES,
    )

    assert survey.total == 3
    assert survey.by_role == {"shop": 3}
    assert survey.by_database == {"orders": 3}


def test_sessions_whose_type_is_hidden_are_counted_all_the_same() -> None:
    hidden = a_group(4, backend_type=None, state=None)
    process = a_group(5, backend_type=None, state=None, role_oid=None, database_oid=None)

    survey = survey_of([hidden, process], NAMES)

    assert survey.total == 4
    assert survey.by_state == {"hidden": 4}  # how many are idle, nobody knows


def test_sessions_on_cpu_are_those_that_run_statements() -> None:
    survey = survey_of(
        [
            a_group(3, state="active", on_cpu=2),
            a_group(2, backend_type="parallel worker", state="active", on_cpu=2),
            a_group(1, backend_type="walsender", state="active", on_cpu=1),
        ],
        NAMES,
    )

    assert survey.active_on_cpu == 4


def test_how_many_are_on_cpu_is_unknown_where_any_session_is_hidden() -> None:
    hidden = a_group(1, backend_type=None, state=None)
    process = a_group(5, backend_type=None, state=None, role_oid=None, database_oid=None)

    assert survey_of([a_group(on_cpu=1), hidden], NAMES).active_on_cpu is None
    assert survey_of([a_group(on_cpu=1), process], NAMES).active_on_cpu == 1


def test_a_session_that_is_starting_has_neither_role_nor_database_and_takes_a_slot() -> None:
    survey = survey_of([a_group(2, state="starting", role_oid=None, database_oid=None)], NAMES)

    assert survey.total == 2
    assert survey.by_state["starting"] == 2
    assert survey.by_role == {}


def test_lock_waiters_are_counted_also_where_some_sessions_are_hidden() -> None:
    hidden = a_group(1, backend_type=None, state=None)

    assert survey_of([a_group(lock_waiters=2), a_group(lock_waiters=1)], NAMES).lock_waiters == 3
    assert survey_of([a_group(lock_waiters=2), hidden], NAMES).lock_waiters == 2
