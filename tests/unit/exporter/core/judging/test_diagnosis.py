"""A pool gets the first diagnosis that matches, and says why with its numbers."""

import pytest

from poolscope.catalogue import Evidence
from poolscope_exporter.core.fleet.growth import Growth
from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers
from poolscope_exporter.core.judging.diagnosis import (
    Destination,
    Diagnosis,
    PoolDiagnosis,
    diagnose,
)
from poolscope_exporter.core.judging.verdicts import Judgement, Verdict
from poolscope_exporter.core.linking.link import NoLink, Unlinked
from support.exporter.builders import a_checkout

FULL = PoolNumbers(used=15, max=15, pending=0)
CALM = PoolNumbers(used=3, max=15, pending=0)
WAITED_FOR = PoolNumbers(used=4, max=15, pending=2)


def judged(
    verdict: Verdict, evidence: Evidence | None = None, reason: str | None = None
) -> Judgement:
    link = NoLink(Unlinked.NO_SERVER, None)
    return Judgement(a_checkout(), 10.0, verdict, reason, evidence, link, confirmed=True)


def queued(waits_s: float | None = 1.0) -> Judgement:
    link = NoLink(Unlinked.WAITING_IN_POOLER, None, "bouncer", waits_s)
    return Judgement(a_checkout(), 10.0, Verdict.WORKING, link.reason, None, link, confirmed=True)


def some(**counts: int) -> list[Judgement]:
    return [judged(Verdict(name)) for name, count in counts.items() for _ in range(count)]


def found(
    numbers: PoolNumbers, judgements: list[Judgement] | None = None, headroom: int | None = None
) -> Diagnosis:
    return diagnose(numbers, judgements or [], headroom).diagnosis


def test_pool_without_numbers_is_unknown() -> None:
    told = diagnose(PoolNumbers(), [], None)
    assert told == PoolDiagnosis(
        Diagnosis.UNKNOWN, ("the application sent no numbers of this pool",)
    )


def test_pool_without_numbers_is_not_healthy_because_its_checkouts_work() -> None:
    assert found(PoolNumbers(), some(working=2)) is Diagnosis.UNKNOWN


@pytest.mark.parametrize(
    ("numbers", "diagnosis"),
    [
        (PoolNumbers(used=14, max=15, pending=0), Diagnosis.HEALTHY),
        (PoolNumbers(used=15, max=15, pending=0), Diagnosis.UNDERSIZED),
        (PoolNumbers(used=16, max=15, pending=0), Diagnosis.UNDERSIZED),
        (PoolNumbers(used=3, max=15, pending=1), Diagnosis.UNDERSIZED),
        (PoolNumbers(used=3, max=None, pending=None), Diagnosis.HEALTHY),
        (PoolNumbers(used=3, max=None, pending=1), Diagnosis.UNDERSIZED),
        (PoolNumbers(used=None, pending=0), Diagnosis.HEALTHY),
        (PoolNumbers(used=None, pending=1), Diagnosis.UNDERSIZED),
        (PoolNumbers(used=0, max=0, pending=0), Diagnosis.HEALTHY),
    ],
)
def test_pool_is_under_pressure_when_full_or_waited_for(
    numbers: PoolNumbers, diagnosis: Diagnosis
) -> None:
    assert found(numbers) is diagnosis


@pytest.mark.parametrize(("grown", "applies"), [(None, False), (0.0, False), (1.0, True)])
@pytest.mark.parametrize("is_pressed", [True, False])
def test_blocked_loop_needs_new_blocking_checkouts_and_pressure(
    grown: float | None, applies: bool, is_pressed: bool
) -> None:
    growth = Growth(blocking_checkouts=grown)
    numbers = PoolNumbers(used=15 if is_pressed else 1, max=15, pending=0, growth=growth)
    assert (found(numbers) is Diagnosis.LOOP_BLOCKED) is (applies and is_pressed)


@pytest.mark.parametrize(
    ("headroom", "refused", "is_full"),
    [
        (None, None, False),
        (1, 0.0, False),
        (0, None, True),
        (None, 1.0, True),
        (5, 1.0, True),
    ],
)
def test_server_is_full_without_headroom_or_when_it_refused(
    headroom: int | None, refused: float | None, is_full: bool
) -> None:
    numbers = PoolNumbers(used=1, max=15, growth=Growth(too_many_connections=refused))
    assert (found(numbers, headroom=headroom) is Diagnosis.SERVER_FULL) is is_full


@pytest.mark.parametrize("numbers", [FULL, CALM, WAITED_FOR])
def test_one_leak_is_enough_under_any_pressure(numbers: PoolNumbers) -> None:
    assert found(numbers, some(leaked=1, slow_query=14)) is Diagnosis.LEAKING


@pytest.mark.parametrize(
    ("verdict", "diagnosis"),
    [
        (Verdict.BLOCKED, Diagnosis.BLOCKED),
        (Verdict.SLOW_QUERY, Diagnosis.SLOW_QUERIES),
        (Verdict.HELD_IDLE, Diagnosis.HELD_IDLE),
        (Verdict.IDLE_IN_TRANSACTION, Diagnosis.HELD_IDLE),
        (Verdict.STALLED, Diagnosis.HELD_IDLE),
    ],
)
@pytest.mark.parametrize(
    ("numbers", "applies"), [(FULL, True), (PoolNumbers(used=14, max=15, pending=0), False)]
)
def test_what_most_checkouts_do_is_the_diagnosis_of_a_pool_under_pressure(
    verdict: Verdict, diagnosis: Diagnosis, numbers: PoolNumbers, applies: bool
) -> None:
    told = found(numbers, [judged(verdict)] * 14)
    assert told is (diagnosis if applies else Diagnosis.HEALTHY)


@pytest.mark.parametrize(
    ("counts", "diagnosis"),
    [
        ({"slow_query": 8, "blocked": 7}, Diagnosis.SLOW_QUERIES),
        ({"slow_query": 7, "blocked": 8}, Diagnosis.BLOCKED),
        ({"slow_query": 7, "blocked": 7}, Diagnosis.BLOCKED),
        ({"slow_query": 6, "held_idle": 4, "idle_in_transaction": 4}, Diagnosis.HELD_IDLE),
    ],
)
def test_commonest_trouble_wins_and_the_graver_one_where_they_are_even(
    counts: dict[str, int], diagnosis: Diagnosis
) -> None:
    assert found(FULL, some(**counts)) is diagnosis


@pytest.mark.parametrize(
    ("slow", "diagnosis"),
    [(4, Diagnosis.UNDERSIZED), (5, Diagnosis.SLOW_QUERIES), (6, Diagnosis.SLOW_QUERIES)],
)
def test_trouble_must_concern_half_of_what_is_out(slow: int, diagnosis: Diagnosis) -> None:
    assert found(PoolNumbers(used=10, max=10), some(slow_query=slow)) is diagnosis


@pytest.mark.parametrize("verdict", [Verdict.UNKNOWN, Verdict.UNCONFIRMED, Verdict.LOST])
@pytest.mark.parametrize(
    ("unclear", "diagnosis"),
    [(4, Diagnosis.UNDERSIZED), (5, Diagnosis.UNKNOWN), (10, Diagnosis.UNKNOWN)],
)
def test_full_pool_is_not_called_too_small_where_its_sessions_are_not_known(
    verdict: Verdict, unclear: int, diagnosis: Diagnosis
) -> None:
    assert found(PoolNumbers(used=10, max=10), [judged(verdict)] * unclear) is diagnosis


@pytest.mark.parametrize("verdict", list(Verdict))
def test_calm_pool_is_healthy_unless_it_leaks(verdict: Verdict) -> None:
    expected = Diagnosis.LEAKING if verdict is Verdict.LEAKED else Diagnosis.HEALTHY
    assert found(CALM, [judged(verdict)] * 3) is expected


def test_diagnoses_come_in_the_documented_order() -> None:
    pressed = PoolNumbers(used=15, max=15, growth=Growth(blocking_checkouts=1))
    troubles = [*some(leaked=1, blocked=14)]
    assert found(pressed, troubles, headroom=0) is Diagnosis.LOOP_BLOCKED
    assert found(FULL, troubles, headroom=0) is Diagnosis.SERVER_FULL
    assert found(FULL, troubles, headroom=1) is Diagnosis.LEAKING
    assert found(FULL, troubles[1:], headroom=1) is Diagnosis.BLOCKED


def leaked(evidence: Evidence, count: int) -> list[Judgement]:
    return [judged(Verdict.LEAKED, evidence)] * count


@pytest.mark.parametrize(
    ("judgements", "reason"),
    [
        (
            leaked(Evidence.REQUEST_FINISHED, 12),
            "12 of 15 connections are held by checkouts whose request has finished",
        ),
        (
            leaked(Evidence.TASK_FINISHED, 1),
            "1 of 15 connections is held by a checkout whose task has finished",
        ),
        (some(slow_query=15), "15 of 15 connections are running a slow query"),
        (some(held_idle=14), "14 of 15 connections are held without being used"),
        (
            some(unconfirmed=15),
            "15 of 15 connections are held by checkouts whose server session is not confirmed yet",
        ),
        ([], "all 15 connections are in use"),
    ],
)
def test_first_reason_is_a_sentence_with_the_numbers(
    judgements: list[Judgement], reason: str
) -> None:
    assert diagnose(FULL, judgements, None).reasons[0] == reason


def test_shares_of_a_pool_without_a_limit_are_of_what_is_out() -> None:
    told = diagnose(PoolNumbers(used=5, pending=1), some(slow_query=3), None)
    assert told.reasons[0] == "3 of 5 connections are running a slow query"


def test_reasons_of_an_unknown_diagnosis_name_what_is_missing() -> None:
    told = diagnose(FULL, [judged(Verdict.UNKNOWN, reason="no_server")] * 15, None)
    assert "reason: no_server" in told.reasons


def test_reasons_name_the_pressure() -> None:
    told = diagnose(PoolNumbers(used=15, max=15, pending=3), [], None)
    assert told.reasons == ("all 15 connections are in use", "3 callers wait for a connection")
    alone = diagnose(PoolNumbers(used=1, max=15, pending=1), [], None)
    assert alone.reasons == ("1 caller waits for a connection",)


@pytest.mark.parametrize(
    ("numbers", "reason"),
    [
        (CALM, "3 of 15 connections are in use, nobody waits"),
        (PoolNumbers(used=3), "3 connections are in use"),
        (PoolNumbers(pending=0), "nobody waits for a connection"),
    ],
)
def test_healthy_pool_claims_no_more_than_is_known(numbers: PoolNumbers, reason: str) -> None:
    assert diagnose(numbers, [], None).reasons == (reason,)


@pytest.mark.parametrize("judgements", [[], some(leaked=1), some(blocked=15), some(unknown=15)])
@pytest.mark.parametrize("numbers", [FULL, CALM, WAITED_FOR, PoolNumbers()])
@pytest.mark.parametrize("headroom", [0, None])
def test_every_diagnosis_has_a_reason(
    numbers: PoolNumbers, judgements: list[Judgement], headroom: int | None
) -> None:
    assert diagnose(numbers, judgements, headroom).reasons


@pytest.mark.parametrize(
    ("waits_s", "is_full"), [(None, False), (0.99, False), (1.0, True), (1.01, True)]
)
@pytest.mark.parametrize("numbers", [CALM, FULL])
def test_server_side_is_full_where_clients_queue_in_the_pooler(
    numbers: PoolNumbers, waits_s: float | None, is_full: bool
) -> None:
    assert (found(numbers, [queued(waits_s)]) is Diagnosis.SERVER_FULL) is is_full


def test_queue_in_the_pooler_is_no_excuse_for_a_leak_or_for_what_the_pool_does_itself() -> None:
    assert found(FULL, [queued(), judged(Verdict.LEAKED)]) is Diagnosis.LEAKING
    assert found(FULL, [queued(), *some(slow_query=9)]) is Diagnosis.SLOW_QUERIES
    assert found(FULL, [queued(), *some(unknown=14)]) is Diagnosis.SERVER_FULL


def test_reasons_of_a_queue_say_that_the_bouncer_is_paused() -> None:
    paused = "PgBouncer bouncer is paused: RESUME lets it go on"
    for is_paused in (True, False):
        told = diagnose(CALM, [queued()], None, Destination("bouncer", is_paused))
        assert told.diagnosis is Diagnosis.SERVER_FULL
        assert (paused in told.reasons) is is_paused


def test_a_bouncer_without_room_for_a_client_is_named() -> None:
    told = diagnose(CALM, [], 0, Destination("bouncer"))
    assert told.diagnosis is Diagnosis.SERVER_FULL
    assert told.reasons[0] == "PgBouncer bouncer admits no further client"


def test_reasons_tell_the_queue_in_the_pooler_and_the_leaks_that_cost_the_server_nothing() -> None:
    told = diagnose(FULL, [queued(), queued(3.25)], None)
    assert told.reasons == (
        "2 of 15 connections are waiting in the pooler's queue for a server connection",
        "the longest of them for 3.2 s",
        "all 15 connections are in use",
    )
    evidence = Evidence.REQUEST_FINISHED
    leaks = [judged(Verdict.LEAKED, evidence, reason) for reason in (None, Unlinked.IDLE_IN_POOLER)]
    assert diagnose(CALM, leaks, None).reasons == (
        "2 of 15 connections are held by checkouts whose request has finished",
        "1 of them without a server connection",
    )
