"""What is remembered of a bouncer between two samples: quiet clients, and connections once seen."""

import pytest

from poolscope_exporter.core.model.endpoints import Endpoint
from poolscope_exporter.core.model.pgbouncers import (
    Bouncer,
    Bouncers,
    BouncerSample,
    PoolingSettings,
    PoolMode,
    socket_of,
)
from support.exporter.builders import (
    BOUNCER,
    BOUNCER_END,
    LOCAL,
    a_bouncer_sample,
    a_bouncer_server,
    a_client,
)

SOCKET = socket_of(LOCAL)
EARLIER = "2026-01-01 12:00:00 UTC"
LATER = "2026-01-01 12:00:05 UTC"


def told(*samples: BouncerSample, held: bool = True) -> Bouncer:
    bouncers = Bouncers({BOUNCER: frozenset({BOUNCER_END})})
    for sample in samples:
        bouncers.record_sockets(sample, {SOCKET} if held else set())
    [bouncer] = bouncers.known()
    return bouncer


def idle_at(taken_at_s: float, last_request: str = EARLIER) -> BouncerSample:
    return a_bouncer_sample({LOCAL: a_client(last_request=last_request)}, taken_at_s=taken_at_s)


@pytest.mark.parametrize(
    ("second_at_s", "idle_spell_s"), [(100.5, 0.0), (101.0, 0.0), (101.5, 0.5), (105.0, 4.0)]
)
def test_quiet_counts_between_two_samples_less_the_grain_of_the_bouncers_clock(
    second_at_s: float, idle_spell_s: float
) -> None:
    assert told(idle_at(100.0), idle_at(second_at_s)).idle_spell_s(SOCKET) == idle_spell_s


def test_quiet_begins_when_the_first_answer_was_there() -> None:
    slow = a_bouncer_sample({LOCAL: a_client()}, taken_at_s=100.0, answered_at_s=102.0)
    assert told(slow, idle_at(105.0)).idle_spell_s(SOCKET) == 2.0


def test_one_sample_says_nothing_of_how_long() -> None:
    assert told(idle_at(100.0)).idle_spell_s(SOCKET) == 0.0


def test_request_between_two_samples_breaks_the_quiet() -> None:
    assert told(idle_at(100.0), idle_at(105.0, last_request=LATER)).idle_spell_s(SOCKET) == 0.0


def test_server_connection_between_two_samples_breaks_the_quiet() -> None:
    busy = a_bouncer_sample({LOCAL: a_client("s1")}, {"s1": a_bouncer_server()}, taken_at_s=102.0)
    assert told(idle_at(100.0), busy, idle_at(105.0)).idle_spell_s(SOCKET) == 0.0


BUSY = a_bouncer_sample({LOCAL: a_client("s1")}, {"s1": a_bouncer_server()}, taken_at_s=102.0)


@pytest.mark.parametrize(
    ("samples", "was_active"),
    [
        ([idle_at(100.0)], False),
        ([a_bouncer_sample(taken_at_s=95.0), idle_at(100.0)], False),
        ([idle_at(100.0), idle_at(105.0)], False),
        ([idle_at(100.0), idle_at(105.0, LATER)], True),
        ([idle_at(100.0), idle_at(105.0, LATER), idle_at(110.0, LATER)], False),
        ([BUSY, idle_at(105.0)], True),
    ],
)
def test_client_was_active_where_the_look_before_knew_it_otherwise(
    samples: list[BouncerSample], was_active: bool
) -> None:
    assert told(*samples).was_active(SOCKET) is was_active


def test_quiet_goes_on_over_many_samples() -> None:
    assert told(idle_at(100.0), idle_at(105.0), idle_at(110.0)).idle_spell_s(SOCKET) == 9.0


def test_held_connection_is_remembered_as_a_client_after_it_is_gone() -> None:
    gone = told(idle_at(100.0), a_bouncer_sample(taken_at_s=105.0))
    assert gone.seen == {SOCKET}
    assert told(a_bouncer_sample(taken_at_s=105.0)).seen == frozenset()


def test_connection_that_nobody_holds_is_not_remembered() -> None:
    assert told(idle_at(100.0), held=False).seen == frozenset()


def test_bouncer_that_was_lost_is_known_by_its_configured_address_alone() -> None:
    bouncers = Bouncers({BOUNCER: frozenset({BOUNCER_END})})
    inner = Endpoint("172.18.0.3", 6432)
    bouncers.record_sockets(a_bouncer_sample({LOCAL: a_client()}, addresses=[inner]), {SOCKET})
    assert bouncers.known()[0].addresses == {BOUNCER_END, inner}
    bouncers.mark_down(BOUNCER)
    assert bouncers.known() == [Bouncer(BOUNCER, frozenset({BOUNCER_END}))]


def test_answer_of_a_bouncer_that_was_removed_meanwhile_is_not_kept() -> None:
    bouncers = Bouncers({BOUNCER: frozenset({BOUNCER_END})})
    bouncers.remove_bouncer(BOUNCER)
    bouncers.record_sockets(a_bouncer_sample(), [])
    bouncers.mark_down(BOUNCER)
    assert bouncers.known() == []


def test_bouncer_that_is_added_has_said_nothing_yet() -> None:
    bouncers = Bouncers({})
    bouncers.add_bouncer(BOUNCER, frozenset({BOUNCER_END}))
    [known] = bouncers.known()
    assert known.addresses == {BOUNCER_END}
    assert known.sample is None


SESSION, TRANSACTION, STATEMENT = PoolMode


@pytest.mark.parametrize(
    ("database", "users", "expected"),
    [
        ("other", [], {TRANSACTION}),
        ("other", ["shop"], {TRANSACTION}),
        ("orders", [], {SESSION}),
        ("orders", ["shop"], {SESSION}),
        ("orders", ["batch"], {STATEMENT}),  # a user's own mode comes first
        ("orders", ["batch", "shop"], {SESSION, STATEMENT}),
        ("", ["shop"], {SESSION, TRANSACTION, STATEMENT}),  # it may be any database
    ],
)
def test_mode_is_the_users_or_the_databases_or_the_default(
    database: str, users: list[str], expected: set[PoolMode]
) -> None:
    settings = PoolingSettings(TRANSACTION, {"orders": SESSION}, {"batch": STATEMENT})
    assert settings.modes(database, users) == expected


@pytest.mark.parametrize(
    ("database", "users", "expected"),
    [
        ("other", ["shop"], set()),
        ("other", ["batch"], {STATEMENT}),
        ("other", ["batch", "shop"], set()),
        ("orders", ["shop"], {SESSION}),
        ("", [], set()),
    ],
)
def test_no_mode_is_known_where_one_of_them_is_not(
    database: str, users: list[str], expected: set[PoolMode]
) -> None:
    settings = PoolingSettings(None, {"orders": SESSION}, {"batch": STATEMENT})
    assert settings.modes(database, users) == expected


def test_without_modes_the_rest_is_still_known() -> None:
    settings = PoolingSettings(TRANSACTION, {"orders": SESSION}, {"batch": STATEMENT}, 7, (1, 25))
    assert settings.without_modes() == PoolingSettings(max_prepared_statements=7, version=(1, 25))
