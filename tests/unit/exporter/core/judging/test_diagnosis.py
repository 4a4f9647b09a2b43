"""A pool gets the first diagnosis that matches, and says why with its numbers."""

from collections import Counter
from dataclasses import replace

import pytest

from poolscope import catalogue
from poolscope.catalogue import ConnectErrorKind, Evidence, FailureReason, OwnerKind, Phase
from poolscope_exporter.core.fleet.growth import COUNT, SUM, Growth
from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers
from poolscope_exporter.core.fleet.process_numbers import (
    ProcessNumbers,
    StallHistory,
    ThreadNumbers,
)
from poolscope_exporter.core.fleet.waiter_groups import group_waiters
from poolscope_exporter.core.judging import sentences
from poolscope_exporter.core.judging.diagnosis import Diagnosis, PoolDiagnosis, diagnose
from poolscope_exporter.core.judging.pool_evidence import Destination
from poolscope_exporter.core.judging.verdicts import Judgement, Verdict
from poolscope_exporter.core.linking.link import NoLink, Unlinked
from poolscope_exporter.core.model.pushes import LoopStall, WaitingCaller
from support.exporter.builders import a_checkout, a_waiting_caller, an_inherited_connection

FULL = PoolNumbers(used=15, max=15, pending=0)
BLOCKING = (catalogue.BLOCKING_CHECKOUTS.name, "")
REFUSED = (catalogue.CONNECT_ERRORS.name, ConnectErrorKind.TOO_MANY_CONNECTIONS.value)
TIMEOUTS = (catalogue.TIMEOUTS.name, "")
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


def probably(verdict: Verdict) -> Judgement:
    link = NoLink(Unlinked.NOT_SAMPLED, None)
    return Judgement(
        a_checkout(), 10.0, Verdict.UNCONFIRMED, None, None, link, confirmed=False, probable=verdict
    )


def used_for(mean_s: float, ended: float = 100.0) -> Growth:
    name, queue = catalogue.USE_TIME.name, catalogue.QUEUE_TIME.name
    sums = {(name, COUNT): ended, (name, SUM): ended * mean_s, (queue, SUM): 30.0}
    return Growth({(catalogue.CHECKINS.name, ""): ended, **sums})


def short_uses(used: int, limit: int, pending: int) -> PoolNumbers:
    return PoolNumbers(used=used, max=limit, pending=pending, held_total=0, growth=used_for(0.2))


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
        (PoolNumbers(used=15, max=15, pending=0), Diagnosis.FULL),
        (PoolNumbers(used=15, max=15, pending=None, held_total=0), Diagnosis.FULL),
        (PoolNumbers(used=15, max=15, pending=0, held_total=0), Diagnosis.HEALTHY),
        (PoolNumbers(used=16, max=15, pending=1), Diagnosis.FULL),
        (PoolNumbers(used=3, max=15, pending=1), Diagnosis.FULL),
        (PoolNumbers(used=3, max=None, pending=None), Diagnosis.UNKNOWN),
        (PoolNumbers(used=3, max=15, pending=None), Diagnosis.HEALTHY),
        (PoolNumbers(used=3, max=None, pending=1), Diagnosis.FULL),
        (PoolNumbers(used=None, pending=0), Diagnosis.HEALTHY),
        (PoolNumbers(used=None, pending=1), Diagnosis.FULL),
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
    growth = Growth({} if grown is None else {BLOCKING: grown})
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
    growth = Growth({} if refused is None else {REFUSED: refused})
    numbers = PoolNumbers(used=1, max=15, growth=growth)
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
    # Callers that wait for a lock lose time, also where the pool has places left.
    is_hurt = applies or verdict is Verdict.BLOCKED
    assert told is (diagnosis if is_hurt else Diagnosis.HEALTHY)


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
    [(4, Diagnosis.FULL), (5, Diagnosis.SLOW_QUERIES), (6, Diagnosis.SLOW_QUERIES)],
)
def test_trouble_must_concern_half_of_what_is_out(slow: int, diagnosis: Diagnosis) -> None:
    assert found(PoolNumbers(used=10, max=10), some(slow_query=slow)) is diagnosis


@pytest.mark.parametrize("verdict", [Verdict.UNKNOWN, Verdict.UNCONFIRMED, Verdict.LOST])
@pytest.mark.parametrize(("unclear", "diagnosis"), [(4, "undersized"), (5, "full"), (10, "full")])
def test_full_pool_is_not_called_too_small_where_its_sessions_are_not_known(
    verdict: Verdict, unclear: int, diagnosis: str
) -> None:
    numbers = short_uses(used=10, limit=10, pending=1)
    assert found(numbers, [judged(verdict)] * unclear) == diagnosis


@pytest.mark.parametrize("verdict", list(Verdict))
def test_calm_pool_is_healthy_unless_its_holders_leak_wait_for_locks_or_lost_their_session(
    verdict: Verdict,
) -> None:
    hurts = {
        Verdict.LEAKED: Diagnosis.LEAKING,
        Verdict.BLOCKED: Diagnosis.BLOCKED,
        Verdict.LOST: Diagnosis.UNKNOWN,
    }
    assert found(CALM, [judged(verdict)] * 3) is hurts.get(verdict, Diagnosis.HEALTHY)


def test_session_that_is_gone_speaks_against_a_pool_only_if_its_checkout_is_still_held() -> None:
    assert found(CALM, [probably(Verdict.LOST)]) is Diagnosis.HEALTHY
    assert found(CALM, [judged(Verdict.LOST)]) is Diagnosis.UNKNOWN


def test_diagnoses_come_in_the_documented_order() -> None:
    pressed = PoolNumbers(used=15, max=15, growth=Growth({BLOCKING: 1.0}))
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
            "12 of 15 connections are held by checkouts with a finished request",
        ),
        (
            leaked(Evidence.TASK_FINISHED, 1),
            "1 of 15 connections is held by a checkout with a finished task",
        ),
        (some(slow_query=15), "15 of 15 connections are running a slow query"),
        (some(held_idle=14), "14 of 15 connections are held without being used"),
        (
            some(unconfirmed=15),
            "15 of 15 connections are held by checkouts with an unconfirmed server session",
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
        (
            PoolNumbers(used=3, max=15),
            "3 of 15 connections are in use, waiting callers are not reported",
        ),
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
    paused = "PgBouncer bouncer is paused: its clients wait until RESUME"
    for is_paused in (True, False):
        told = diagnose(CALM, [queued()], None, Destination("bouncer", is_paused))
        assert told.diagnosis is Diagnosis.SERVER_FULL
        assert (paused in told.reasons) is is_paused


IN_LONG_QUEUE = Destination("bouncer", queued=15, longest_queued_s=1.0)


@pytest.mark.parametrize(
    ("numbers", "longest_s", "is_full"),
    [(FULL, 1.0, True), (WAITED_FOR, 1.0, True), (CALM, 9.0, False), (FULL, 0.9, False)],
)
def test_what_the_bouncer_says_of_its_queue_needs_no_confirmation(
    numbers: PoolNumbers, longest_s: float, is_full: bool
) -> None:
    told = diagnose(numbers, [], None, replace(IN_LONG_QUEUE, longest_queued_s=longest_s))
    assert (told.diagnosis is Diagnosis.SERVER_FULL) is is_full


def test_a_connection_that_opens_into_the_bouncers_queue_is_not_slow_to_open() -> None:
    opening = PoolNumbers(
        used=0,
        max=4,
        pending=3,
        pending_by_phase={Phase.CONNECT: 3},
        oldest_wait_s={Phase.CONNECT: 6.0},
    )
    told = diagnose(opening, [], None, IN_LONG_QUEUE)
    assert told.diagnosis is Diagnosis.SERVER_FULL
    assert told.reasons[0] == (
        "15 clients wait in PgBouncer bouncer for a server connection, the longest for 1.0 s,"
        " and none is free"
    )
    assert found(opening) is Diagnosis.CONNECTING


def test_long_holds_that_ended_a_moment_ago_are_evidence() -> None:
    waited_for = replace(FULL, pending=9, held_total=0, growth=used_for(1.5, ended=30.0))
    assert found(waited_for) is Diagnosis.FULL
    ended = Counter({Verdict.SLOW_QUERY: 3, Verdict.WORKING: 1})
    told = diagnose(waited_for, [], None, ended=ended)
    assert (told.diagnosis, told.is_probable) == (Diagnosis.SLOW_QUERIES, False)
    assert (
        told.reasons[0] == "3 of 4 checkouts that ended in the last 5 s were running a slow query"
    )


@pytest.mark.parametrize("verdict", [Verdict.UNCONFIRMED, Verdict.UNKNOWN])
@pytest.mark.parametrize(
    ("owner_kind", "is_healthy"), [(OwnerKind.LONG_LIVED, True), (OwnerKind.TASK, False)]
)
def test_a_full_pool_of_declared_holders_is_healthy_before_its_server_was_asked(
    verdict: Verdict, owner_kind: OwnerKind, is_healthy: bool
) -> None:
    listening = replace(judged(verdict), checkout=replace(a_checkout(), owner_kind=owner_kind))
    of_one = PoolNumbers(used=1, max=1, pending=0, held_total=1)
    assert (found(of_one, [listening]) is Diagnosis.HEALTHY) is is_healthy


def test_few_long_holds_say_nothing_of_a_pool_whose_uses_are_short() -> None:
    waited_for = replace(short_uses(15, 15, 9), pending=9)
    told = diagnose(waited_for, [], None, ended=Counter({Verdict.SLOW_QUERY: 3}))
    assert told.diagnosis is Diagnosis.UNDERSIZED


@pytest.mark.parametrize(("oldest_s", "is_calm"), [(0.0, True), (0.49, True), (0.5, False)])
def test_a_full_pool_whose_callers_wait_within_reason_is_busy(
    oldest_s: float, is_calm: bool
) -> None:
    busy = replace(short_uses(15, 15, 2), oldest_wait_s={Phase.QUEUE: oldest_s})
    assert (found(busy) is Diagnosis.HEALTHY) is is_calm


def test_a_bouncer_without_room_for_a_client_is_named() -> None:
    told = diagnose(CALM, [], 0, Destination("bouncer"))
    assert told.diagnosis is Diagnosis.SERVER_FULL
    assert told.reasons[0] == "PgBouncer bouncer admits no further client"


def test_reasons_tell_the_queue_in_the_pooler_and_the_leaks_that_cost_the_server_nothing() -> None:
    told = diagnose(FULL, [queued(), queued(3.25)], None)
    assert told.reasons == (
        "2 of 15 connections are waiting in the pooler's queue for a server connection",
        "the longest of them has waited for 3.2 s",
        "all 15 connections are in use",
    )
    evidence = Evidence.REQUEST_FINISHED
    leaks = [judged(Verdict.LEAKED, evidence, reason) for reason in (None, Unlinked.IDLE_IN_POOLER)]
    assert diagnose(CALM, leaks, None).reasons == (
        "2 of 15 connections are held by checkouts with a finished request",
        "1 of them without a server connection",
    )


@pytest.mark.parametrize("kind", [each for each in ConnectErrorKind if each.value != REFUSED[1]])
@pytest.mark.parametrize("numbers", [FULL, CALM, WAITED_FOR])
def test_attempts_that_fail_are_the_diagnosis_whatever_else_is_the_matter(
    kind: ConnectErrorKind, numbers: PoolNumbers
) -> None:
    errors = {(catalogue.CONNECT_ERRORS.name, kind.value): 12.0}
    callers = {(catalogue.CHECKOUT_FAILURES.name, FailureReason.ERROR.value): 9.0}
    failing = replace(numbers, growth=Growth({**errors, **callers}))
    told = diagnose(failing, some(leaked=3, slow_query=12), headroom=0)
    assert told.diagnosis is Diagnosis.CONNECT_FAILING
    assert told.reasons[:2] == (
        f"12 of 12 attempts to open a connection failed in the last 30 s: {kind} 12",
        "9 callers got an error instead of a connection",
    )


def test_attempts_that_the_full_server_refused_are_the_servers_trouble() -> None:
    kinds = (REFUSED, (catalogue.CONNECT_ERRORS.name, ConnectErrorKind.OTHER.value))
    for refused, other, expected in (
        (5.0, 1.0, Diagnosis.SERVER_FULL),
        (1.0, 5.0, Diagnosis.CONNECT_FAILING),
    ):
        growth = Growth(dict(zip(kinds, (refused, other), strict=True)))
        assert found(replace(CALM, growth=growth)) is expected


@pytest.mark.parametrize("phase", [Phase.CONNECT, Phase.PING])
@pytest.mark.parametrize(("oldest_s", "applies"), [(0.99, False), (1.0, False), (1.01, True)])
def test_opening_or_testing_that_takes_more_than_a_second_is_connecting(
    phase: Phase, oldest_s: float, applies: bool
) -> None:
    numbers = PoolNumbers(
        used=3, max=15, pending=2, pending_by_phase={phase: 2}, oldest_wait_s={phase: oldest_s}
    )
    assert (found(numbers) is Diagnosis.CONNECTING) is applies


def slowly_opened(connections: float, uses: Growth) -> Growth:
    name = catalogue.CREATE_TIME.name
    opened = {(name, COUNT): connections, (name, SUM): connections * 2.0}
    return Growth({**uses.by_counter, **opened})


@pytest.mark.parametrize(
    ("phase", "used", "applies"),
    [(Phase.QUEUE, 5, False), (Phase.QUEUE, 4, True), (Phase.CONNECT, 5, True)],
)
def test_a_slow_start_does_not_explain_who_waits_once_all_connections_are_in_use(
    phase: Phase, used: int, applies: bool
) -> None:
    holders = some(idle_in_transaction=used)
    numbers = PoolNumbers(
        used=used,
        max=5,
        pending=5,
        held_total=used,
        pending_by_phase={phase: 5},
        oldest_wait_s={phase: 0.9},
        growth=slowly_opened(5, Growth()),
    )
    assert (found(numbers, holders) is Diagnosis.CONNECTING) is applies
    if not applies:
        assert found(numbers, holders) is Diagnosis.HELD_IDLE


@pytest.mark.parametrize(("ended", "applies"), [(19.0, True), (20.0, False), (21.0, False)])
def test_a_slow_start_does_not_explain_who_gave_up_once_uses_took_longer(
    ended: float, applies: bool
) -> None:
    gave_up = {(catalogue.TIMEOUTS.name, ""): 13.0}
    growth = Growth({**slowly_opened(3, used_for(0.3, ended)).by_counter, **gave_up})
    numbers = PoolNumbers(used=0, max=3, pending=0, held_total=0, growth=growth)
    expected = Diagnosis.CONNECTING if applies else Diagnosis.UNDERSIZED
    assert found(numbers) is expected


@pytest.mark.parametrize(("oldest_s", "is_calm"), [(0.49, True), (0.5, False), (0.51, False)])
def test_a_wait_within_reason_is_healthy(oldest_s: float, is_calm: bool) -> None:
    numbers = PoolNumbers(used=3, max=15, pending=1, oldest_wait_s={Phase.QUEUE: oldest_s})
    assert (found(numbers) is Diagnosis.HEALTHY) is is_calm


def test_many_short_uses_that_ended_while_callers_waited_make_a_pool_too_small() -> None:
    told = diagnose(short_uses(used=5, limit=5, pending=9), [], None)
    assert told.diagnosis is Diagnosis.UNDERSIZED
    assert told.reasons[0] == (
        "100 uses of 0.2 s on average ended in the last 30 s while callers waited"
    )


@pytest.mark.parametrize(
    ("mean_s", "ended", "held_total"),
    [(1.0, 100.0, 0), (0.2, 4.0, 0), (0.2, 100.0, None)],
    ids=["long uses", "fewer uses than places", "no holders listed"],
)
def test_without_that_evidence_a_waited_for_pool_is_only_full(
    mean_s: float, ended: float, held_total: int | None
) -> None:
    numbers = PoolNumbers(used=5, max=5, pending=9, held_total=held_total)
    assert found(replace(numbers, growth=used_for(mean_s, ended))) is Diagnosis.FULL


def test_callers_that_gave_up_between_two_pushes_count() -> None:
    growth = Growth({**used_for(0.3).by_counter, TIMEOUTS: 140.0})
    told = diagnose(PoolNumbers(used=0, max=3, pending=0, held_total=0, growth=growth), [], None)
    assert told.diagnosis is Diagnosis.UNDERSIZED
    assert "140 callers gave up waiting in the last 30 s" in told.reasons


@pytest.mark.parametrize(
    ("groups", "waiting", "said"),
    [
        ({"/report": 54, "/orders": 6}, 60, "54 of 60 waiters are /report at shop/report.py:20"),
        (
            {"/report": 54, "/orders": 46},
            130,
            "54 of the 100 oldest waiters are /report at shop/report.py:20",
        ),
        ({"/report": 2, "/orders": 2}, 4, "2 of 4 waiters are /report at shop/report.py:20"),
        ({"/report": 2, "/orders": 3, "/": 2}, 7, None),
        ({"/report": 2}, 2, None),
        ({}, 0, None),
    ],
)
def test_a_request_that_half_of_the_waiters_are_is_named(
    groups: dict[str, int], waiting: int, said: str | None
) -> None:
    callers = [a_waiting_caller(route=r) for r, count in groups.items() for _ in range(count)]
    numbers = replace(WAITED_FOR, waiters=group_waiters(waiting, callers))
    reasons = diagnose(numbers, [], None).reasons
    assert [reason for reason in reasons if "waiters are" in reason] == ([said] if said else [])


def test_waiters_without_route_and_line_are_not_named() -> None:
    callers = [WaitingCaller(Phase.PING, 5.0)] * 5
    numbers = replace(WAITED_FOR, waiters=group_waiters(5, callers))
    assert not [each for each in diagnose(numbers, [], None).reasons if "waiters are" in each]


def test_what_unconfirmed_samples_agree_on_is_probable() -> None:
    told = diagnose(FULL, [probably(Verdict.SLOW_QUERY)] * 15, None)
    assert (told.diagnosis, told.is_probable) == (Diagnosis.SLOW_QUERIES, True)
    assert told.reasons[0] == "15 of 15 connections are probably running a slow query"
    sure = diagnose(FULL, [probably(Verdict.SLOW_QUERY)] * 14 + some(slow_query=1), None)
    assert (sure.diagnosis, sure.is_probable) == (Diagnosis.SLOW_QUERIES, False)


@pytest.mark.parametrize(("mean_s", "diagnosis"), [(1.5, "slow_queries"), (0.2, "full")])
def test_where_uses_are_long_the_listed_ones_speak_for_the_younger_ones(
    mean_s: float, diagnosis: str
) -> None:
    numbers = PoolNumbers(used=10, max=10, pending=3, growth=used_for(mean_s))
    assert found(numbers, [probably(Verdict.SLOW_QUERY)] * 3) == diagnosis


def test_places_that_were_lost_are_leaks() -> None:
    told = diagnose(PoolNumbers(used=4, max=4, pending=2, lost_places=3), [], None)
    assert told.diagnosis is Diagnosis.LEAKING
    assert told.reasons[0] == "3 of 4 places are lost: a connection was collected, not returned"


def test_a_leaking_pool_names_its_other_troubles_too() -> None:
    told = diagnose(FULL, [*leaked(Evidence.REQUEST_FINISHED, 1), *some(blocked=6)], None)
    assert "6 of 15 connections are waiting for a lock" in told.reasons


def test_a_full_pool_of_a_sender_that_lists_no_holders_says_that_nothing_came_back() -> None:
    growth = Growth({(catalogue.USE_TIME.name, COUNT): 0.0})
    told = diagnose(PoolNumbers(used=5, max=5, pending=2, growth=growth), [], None)
    assert told.diagnosis is Diagnosis.FULL
    assert "no connection was returned in the last 30 s" in told.reasons
    silent = diagnose(PoolNumbers(used=5, max=5, pending=2), [], None)
    assert not any("came back" in reason for reason in silent.reasons)


def test_a_pool_whose_callers_waited_for_opening_is_not_too_small() -> None:
    opening = {(catalogue.CREATE_TIME.name, COUNT): 6.0, (catalogue.CREATE_TIME.name, SUM): 36.0}
    growth = Growth({**used_for(0.3).by_counter, **opening})
    numbers = PoolNumbers(used=2, max=10, pending=4, held_total=0, growth=growth)
    told = diagnose(numbers, [], None)
    assert told.diagnosis is Diagnosis.CONNECTING
    assert told.reasons[0] == "opening a connection took 6.0 s on average in the last 30 s"
    short = Growth({**growth.by_counter, (catalogue.CREATE_TIME.name, COUNT): 360.0})
    assert found(replace(numbers, growth=short)) is Diagnosis.FULL


@pytest.mark.parametrize(
    ("recovered", "expected"), [(0.0, "leaking"), (1.0, "leaking"), (2.0, "healthy")]
)
def test_a_leak_that_was_just_counted_is_one_before_the_server_was_asked(
    recovered: float, expected: str
) -> None:
    kind = Evidence.REQUEST_FINISHED.value
    growth = Growth(
        {(catalogue.LEAKS.name, kind): 2.0, (catalogue.LEAKS_RECOVERED.name, kind): recovered}
    )
    assert found(replace(CALM, growth=growth)) == expected


def test_collected_checkouts_stand_beside_a_healthy_diagnosis() -> None:
    growth = Growth({(catalogue.LEAKS.name, Evidence.GARBAGE_COLLECTED.value): 1.0})
    told = diagnose(replace(CALM, growth=growth), [], None)
    assert told.diagnosis is Diagnosis.HEALTHY
    assert told.reasons[1] == (
        "1 checkout garbage-collected without being returned in the last 30 s"
    )


def test_a_leak_whose_sample_is_not_confirmed_yet_is_probable() -> None:
    told = diagnose(FULL, [probably(Verdict.LEAKED)], None)
    assert (told.diagnosis, told.is_probable) == (Diagnosis.LEAKING, True)
    assert not diagnose(FULL, [judged(Verdict.LEAKED)], None).is_probable


@pytest.mark.parametrize("verdict", [Verdict.UNKNOWN, Verdict.UNCONFIRMED])
@pytest.mark.parametrize(("unclear", "diagnosis"), [(4, "healthy"), (5, "unknown")])
def test_a_full_pool_of_unclear_holders_is_not_healthy_though_nobody_waits(
    verdict: Verdict, unclear: int, diagnosis: str
) -> None:
    numbers = PoolNumbers(used=10, max=10, pending=0, held_total=10)
    assert found(numbers, [judged(verdict)] * unclear) == diagnosis


ERRORS = {(catalogue.CONNECT_ERRORS.name, ConnectErrorKind.REFUSED.value): 12.0}
GAVE_UP = {(catalogue.TIMEOUTS.name, ""): 3.0}


@pytest.mark.parametrize(
    ("numbers", "judgements", "grown", "evidence_at_s"),
    [
        (CALM, [], GAVE_UP, 90.0),
        (CALM, some(working=3), GAVE_UP, 90.0),
        (CALM, [probably(Verdict.WORKING)], GAVE_UP, 90.0),
        (CALM, [probably(Verdict.SLOW_QUERY)], GAVE_UP, None),
        (FULL, [], GAVE_UP, None),
        (WAITED_FOR, [], GAVE_UP, None),
        (CALM, some(held_idle=1), GAVE_UP, None),
        (WAITED_FOR, some(held_idle=1), ERRORS, 90.0),
    ],
)
def test_what_counters_alone_tell_is_as_old_as_their_last_growth(
    numbers: PoolNumbers,
    judgements: list[Judgement],
    grown: dict[tuple[str, str], float],
    evidence_at_s: float | None,
) -> None:
    hurt = replace(numbers, growth=Growth(grown, hurt_at_s=90.0))
    told = diagnose(hurt, judgements, None)
    assert told.diagnosis is not Diagnosis.HEALTHY
    assert told.evidence_at_s == evidence_at_s


def stalled(lasted_s: float, *, is_over: bool = True) -> ProcessNumbers:
    history = StallHistory()
    blocked_s = lasted_s if is_over else 0.0
    place = {"code_file": "shop/reports.py", "code_line": 88, "code_function": "render"}
    history.record_stalls([LoopStall(lasted_s, is_over, blocked_s, "MainThread", **place)], 50.0)  # type: ignore[arg-type]
    return ProcessNumbers(history.loop_numbers())


@pytest.mark.parametrize(("lasted_s", "is_blocked"), [(0.99, False), (1.0, True), (3.0, True)])
@pytest.mark.parametrize("is_over", [True, False])
def test_a_loop_that_stood_still_for_a_second_is_blocked_although_nobody_can_wait(
    lasted_s: float, is_blocked: bool, is_over: bool
) -> None:
    numbers = replace(CALM, process=stalled(lasted_s, is_over=is_over))
    assert (found(numbers) is Diagnosis.LOOP_BLOCKED) is is_blocked


def test_the_line_that_blocks_a_loop_is_named_and_ages() -> None:
    over = diagnose(replace(CALM, process=stalled(3.0)), [], None)
    assert over.evidence_at_s == 50.0
    assert over.reasons[0] == (
        "event loops did not run for 3.0 s in the last 30 s, up to 3.0 s at a time:"
        " shop/reports.py:88 in render"
    )
    now = diagnose(replace(CALM, process=stalled(3.0, is_over=False)), [], None)
    assert now.reasons[0] == ("an event loop has not run for 3.0 s: shop/reports.py:88 in render")


THREADS = ProcessNumbers(threads=ThreadNumbers(used=40, max=40, waiting=61))


@pytest.mark.parametrize(("awaiting", "is_cause"), [(0, False), (7, False), (8, True), (15, True)])
def test_holders_that_wait_for_a_thread_are_the_cause_from_half_of_the_pool_on(
    awaiting: int, is_cause: bool
) -> None:
    numbers = replace(WAITED_FOR, used=15, max=15, awaiting_thread=awaiting, process=THREADS)
    told = diagnose(numbers, [], None)
    assert (told.diagnosis is Diagnosis.THREADS_EXHAUSTED) is is_cause
    if is_cause:
        assert "40 of 40 worker threads are in use, 61 requests wait for one" in told.reasons


@pytest.mark.parametrize(
    ("held", "leaks", "is_deadlock"), [(15, 0, True), (14, 0, False), (14, 1, True), (0, 15, False)]
)
def test_a_pool_is_deadlocked_only_if_nobody_can_return_a_connection(
    held: int, leaks: int, is_deadlock: bool
) -> None:
    numbers = replace(WAITED_FOR, used=15, max=15, held_by_waiters=held)
    told = found(numbers, leaked(Evidence.REQUEST_FINISHED, leaks))
    assert (told is Diagnosis.DEADLOCKED) is is_deadlock


def test_a_nested_checkout_that_waits_for_a_moment_is_no_deadlock() -> None:
    numbers = replace(
        WAITED_FOR, used=15, max=15, held_by_waiters=15, oldest_wait_s={Phase.QUEUE: 0.1}
    )
    assert found(numbers) is not Diagnosis.DEADLOCKED


INHERITED = (catalogue.INHERITED_CHECKOUTS.name, "")
FOREIGN_LOOP = (catalogue.FOREIGN_LOOP_CHECKOUTS.name, "")


@pytest.mark.parametrize(("grown", "applies"), [(None, False), (0.0, False), (1.0, True)])
def test_one_use_of_an_inherited_connection_is_enough_without_pressure(
    grown: float | None, applies: bool
) -> None:
    growth = Growth({} if grown is None else {INHERITED: grown}, hurt_at_s=90.0)
    told = diagnose(replace(CALM, growth=growth), some(leaked=1), None)
    assert told.diagnosis is (Diagnosis.SHARED_ACROSS_FORK if applies else Diagnosis.LEAKING)
    assert told.evidence_at_s == (90.0 if applies else None)


def test_an_inherited_connection_that_is_out_is_evidence_of_now() -> None:
    numbers = replace(CALM, inherited=(an_inherited_connection(unused_s=0.0),))
    told = diagnose(replace(numbers, growth=Growth({}, hurt_at_s=1.0)), [], None)
    assert told.diagnosis is Diagnosis.SHARED_ACROSS_FORK
    assert told.evidence_at_s is None
    assert told.reasons[0] == "1 of 15 connections is shared with another process by a fork"


def test_an_inherited_connection_that_was_used_long_ago_is_no_evidence() -> None:
    assert found(replace(CALM, inherited=(an_inherited_connection(),))) is Diagnosis.HEALTHY


def test_the_shared_connection_is_named_with_line_other_process_and_cure() -> None:
    also = ("process 71 on web-1", "process 72 on web-1")
    numbers = replace(
        CALM,
        growth=Growth({INHERITED: 12.0}),
        inherited=(an_inherited_connection(shared_with=also),),
    )
    assert diagnose(numbers, [], None).reasons == (
        "12 checkouts used a connection that another process opened in the last 30 s",
        "the last of them was taken by /orders at shop/orders.py:42",
        "its session (backend pid 4711) is also used by process 71 on web-1, process 72 on web-1",
        sentences.INHERITED_CURE,
    )


@pytest.mark.parametrize(
    ("numbers", "diagnosis"), [(CALM, Diagnosis.UNKNOWN), (FULL, Diagnosis.FULL)]
)
def test_a_connection_of_another_loop_is_named_beside_every_diagnosis(
    numbers: PoolNumbers, diagnosis: Diagnosis
) -> None:
    told = diagnose(replace(numbers, growth=Growth({FOREIGN_LOOP: 7.0})), [], None)
    reason = "7 checkouts got a connection of another event loop in the last 30 s"
    assert told.diagnosis is diagnosis
    assert [each for each in told.reasons if each.startswith(reason)] == [
        f"{reason}: {sentences.FOREIGN_LOOP_CURE}"
    ]
