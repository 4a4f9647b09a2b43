"""Every scenario, with what must be said of it; and what no process can show, with its reason."""

from poolscope_exporter.core.judging.diagnosis import Diagnosis
from poolscope_exporter.core.judging.verdicts import Verdict
from poolscope_exporter.core.linking.link import Unlinked
from poolscope_generators.scenarios.scenario import (
    Declared,
    Expected,
    Phase,
    Runs,
    Scenario,
    Truth,
    Watcher,
    unlinked,
)
from scenarios.timed.misplaced_cases import FORKED
from scenarios.timed.outside_cases import DEADLOCK, THREADS
from scenarios.timed.saturated_cases import SATURATED

ADDRESS, AGE, PGBOUNCER = "address", "age", "pgbouncer"

ON_THE_WAY = {
    str(Verdict.UNCONFIRMED): "every checkout, until a later push shows it still held",
    unlinked(Unlinked.NOT_SAMPLED): "every checkout, until its server was asked",
}
"""What no scenario ends with; the document is written only where it was seen before that.

A server is asked within a quarter of a second, so not every run sees `not_sampled`.
"""

LEAKING = Diagnosis.LEAKING
LEAKED = Expected(Verdict.LEAKED, ADDRESS, LEAKING)
SLOW = Expected(Verdict.SLOW_QUERY, ADDRESS, Diagnosis.SLOW_QUERIES)
HELD = Expected(Verdict.HELD_IDLE, ADDRESS, Diagnosis.HELD_IDLE)
IN_TRANSACTION = Expected(Verdict.IDLE_IN_TRANSACTION, ADDRESS, Diagnosis.HELD_IDLE)
STALLED = Expected(Verdict.STALLED, ADDRESS, Diagnosis.HELD_IDLE)


def unknown(reason: Unlinked) -> Expected:
    return Expected(Verdict.UNKNOWN, unlinked(reason), Diagnosis.UNKNOWN)


def leaked_for(reason: Unlinked) -> Expected:
    return Expected(Verdict.LEAKED, unlinked(reason), LEAKING)


def blocked(by: str) -> Expected:
    return Expected(Verdict.BLOCKED, ADDRESS, Diagnosis.BLOCKED, blocked_by=by)


LEAKS = (
    Scenario("leak_in_a_transaction", Truth.LEAKED, LEAKED),
    Scenario("leak_in_an_aborted_transaction", Truth.LEAKED, LEAKED),
    Scenario("leak_by_an_error", Truth.LEAKED, LEAKED),
    Scenario("leak_of_asyncpg", Truth.LEAKED, LEAKED),
    Scenario("leak_of_psycopg_pool", Truth.LEAKED, LEAKED),
    Scenario("leak_in_a_worker_thread", Truth.LEAKED, LEAKED),
    Scenario("leak_by_a_task", Truth.LEAKED, LEAKED, by_route=False, is_late=True),
    Scenario("leak_by_a_thread", Truth.LEAKED, LEAKED, is_late=True),
    Scenario(
        "leak_behind_a_translated_address", Truth.LEAKED, Expected(Verdict.LEAKED, AGE, LEAKING)
    ),
    Scenario("leak_on_an_unknown_server", Truth.LEAKED, leaked_for(Unlinked.UNKNOWN_SERVER)),
)
BUSY = (
    Scenario("slow_query", Truth.SLOW, SLOW),
    Scenario("slow_query_in_a_worker_thread", Truth.SLOW, SLOW),
    Scenario("slow_query_after_the_response", Truth.SLOW, SLOW),
    Scenario("slow_query_of_a_request_that_gave_up", Truth.SLOW, SLOW),
    Scenario("slow_query_in_a_wait_for", Truth.SLOW, SLOW),
    Scenario("slow_query_while_streaming", Truth.SLOW, SLOW),
    Scenario("holds_the_lock", Truth.IN_TRANSACTION, IN_TRANSACTION),
    Scenario("blocked_by_a_checkout", Truth.BLOCKED, blocked(by="holds_the_lock")),
    Scenario("blocked_by_another_session", Truth.BLOCKED, blocked(by="")),
    Scenario("at_work", Truth.AT_WORK, Expected(Verdict.WORKING, ADDRESS, Diagnosis.HEALTHY)),
    Scenario(
        "at_work_in_a_large_pool",
        Truth.AT_WORK,
        Expected(Verdict.WORKING, ADDRESS, Diagnosis.HEALTHY),
    ),
    Scenario(
        "at_work_at_the_limit_of_its_role",
        Truth.AT_WORK,
        Expected(Verdict.WORKING, ADDRESS, Diagnosis.SERVER_FULL),
    ),
    Scenario("blocks_its_loop", Truth.AT_WORK, Expected(None, None, Diagnosis.LOOP_BLOCKED)),
    Scenario(
        "cannot_connect", Truth.NO_CONNECTION, Expected(None, None, Diagnosis.CONNECT_FAILING)
    ),
    Scenario(
        "waits_for_a_connection_to_open",
        Truth.NO_CONNECTION,
        Expected(None, None, Diagnosis.CONNECTING),
    ),
    Scenario("too_many_for_their_pool", Truth.AT_WORK, Expected(None, None, Diagnosis.UNDERSIZED)),
)
IDLE = (
    Scenario("idle_in_a_transaction", Truth.IN_TRANSACTION, IN_TRANSACTION),
    Scenario("idle_in_an_aborted_transaction", Truth.IN_TRANSACTION, IN_TRANSACTION),
    Scenario("held_after_a_query", Truth.IDLE, HELD),
    Scenario("held_and_never_used", Truth.IDLE, HELD),
    Scenario(
        "held_behind_a_translated_address",
        Truth.IDLE,
        Expected(Verdict.HELD_IDLE, AGE, Diagnosis.HELD_IDLE),
    ),
    Scenario("held_on_an_unknown_server", Truth.IDLE, unknown(Unlinked.UNKNOWN_SERVER)),
    Scenario(
        "held_without_track_activities",
        Truth.IDLE,
        Expected(Verdict.UNKNOWN, ADDRESS, Diagnosis.UNKNOWN),
    ),
    Scenario("held_through_a_wrapped_driver", Truth.IDLE, unknown(Unlinked.NO_BACKEND_PID)),
    Scenario("held_since_before_we_looked", Truth.IDLE, unknown(Unlinked.NO_WITNESS)),
    Scenario("listens", Truth.DECLARED, Expected(Verdict.WORKING, ADDRESS, Diagnosis.HEALTHY)),
    Scenario("stalled_in_a_copy", Truth.STALLED, STALLED),
    Scenario("stalled_in_a_result", Truth.STALLED, STALLED),
)
GONE = (
    Scenario("lost", Truth.GONE, Expected(Verdict.LOST, unlinked(Unlinked.NO_ROW))),
    Scenario("held_beside_a_lost_one", Truth.IDLE, Expected(Verdict.HELD_IDLE, ADDRESS)),
    Scenario("lost_before_any_was_linked", Truth.GONE, unknown(Unlinked.NO_ROW)),
    Scenario(
        "lost_and_its_pid_reused",
        Truth.GONE,
        Expected(Verdict.LOST, unlinked(Unlinked.PID_REUSED)),
    ),
    Scenario("held_beside_a_reused_pid", Truth.IDLE, Expected(Verdict.HELD_IDLE, ADDRESS)),
)
SEEN_TWICE = (
    Scenario("held_after_a_query", Truth.IDLE, unknown(Unlinked.AMBIGUOUS), Watcher.TWICE),
    Scenario("slow_query", Truth.SLOW, unknown(Unlinked.AMBIGUOUS), Watcher.TWICE),
    Scenario("leak_of_asyncpg", Truth.LEAKED, leaked_for(Unlinked.AMBIGUOUS), Watcher.TWICE),
    Scenario(
        "held_behind_a_translated_address",
        Truth.IDLE,
        unknown(Unlinked.NO_PRIVILEGE),
        Watcher.TWICE,
    ),
    Scenario(
        "leak_behind_a_translated_address",
        Truth.LEAKED,
        leaked_for(Unlinked.NO_PRIVILEGE),
        Watcher.TWICE,
    ),
)
UNSEEN = (
    Scenario("held_after_a_query", Truth.IDLE, unknown(Unlinked.NO_SERVER), Watcher.NONE),
    Scenario("slow_query", Truth.SLOW, unknown(Unlinked.NO_SERVER), Watcher.NONE),
    Scenario("leak_of_asyncpg", Truth.LEAKED, leaked_for(Unlinked.NO_SERVER), Watcher.NONE),
    Scenario(
        "held_while_another_waits",
        Truth.IDLE,
        Expected(Verdict.UNKNOWN, unlinked(Unlinked.NO_SERVER), Diagnosis.FULL),
        Watcher.NONE,
    ),
)
AFTERWARDS = (
    Scenario("held_and_never_used", Truth.GONE, unknown(Unlinked.SERVER_DOWN), phase=Phase.DOWN),
    Scenario(
        "held_and_never_used",
        Truth.GONE,
        Expected(Verdict.LOST, unlinked(Unlinked.SERVER_CHANGED)),
        phase=Phase.RESTARTED,
    ),
)


def pooled(
    behaviour: str, truth: Truth, expected: Expected, phase: Phase = Phase.RUNNING
) -> Scenario:
    return Scenario(behaviour, truth, expected, phase=phase, runs=Runs.POOLED)


BEHIND_A_BOUNCER = (
    pooled(
        "bouncer_idle_in_a_transaction",
        Truth.IN_TRANSACTION,
        Expected(Verdict.IDLE_IN_TRANSACTION, PGBOUNCER, Diagnosis.HELD_IDLE),
    ),
    pooled(
        "bouncer_slow_query",
        Truth.SLOW,
        Expected(Verdict.SLOW_QUERY, PGBOUNCER, Diagnosis.SLOW_QUERIES),
    ),
    pooled(
        "bouncer_leak_in_a_transaction", Truth.LEAKED, Expected(Verdict.LEAKED, PGBOUNCER, LEAKING)
    ),
    pooled(
        "bouncer_held",
        Truth.IDLE,
        Expected(Verdict.HELD_IDLE, unlinked(Unlinked.IDLE_IN_POOLER), Diagnosis.HELD_IDLE),
    ),
    pooled("bouncer_leak", Truth.LEAKED, leaked_for(Unlinked.IDLE_IN_POOLER)),
    pooled(
        "bouncer_at_work",
        Truth.AT_WORK,
        Expected(Verdict.WORKING, on_the_way=(unlinked(Unlinked.MOVED_ON),)),
    ),
    pooled(
        "bouncer_first_in_a_small_one",
        Truth.IN_TRANSACTION,
        Expected(Verdict.IDLE_IN_TRANSACTION, PGBOUNCER),
    ),
    pooled(
        "bouncer_queued",
        Truth.QUEUED,
        Expected(Verdict.WORKING, unlinked(Unlinked.WAITING_IN_POOLER), Diagnosis.SERVER_FULL),
    ),
    pooled(
        "bouncer_ends_its_client",
        Truth.GONE,
        Expected(Verdict.LOST, unlinked(Unlinked.CLIENT_GONE)),
    ),
    pooled("bouncer_behind_a_translated_address", Truth.IDLE, unknown(Unlinked.NO_CLIENT)),
    pooled(
        "bouncer_before_an_unknown_server", Truth.IN_TRANSACTION, unknown(Unlinked.UNKNOWN_SERVER)
    ),
    pooled("held_behind_an_unknown_pooler", Truth.IDLE, unknown(Unlinked.POOLER)),
    pooled("bouncer_held", Truth.GONE, unknown(Unlinked.POOLER_DOWN), Phase.DOWN),
)

SCENARIOS = (
    *LEAKS,
    *BUSY,
    *IDLE,
    *GONE,
    *SEEN_TWICE,
    *UNSEEN,
    *AFTERWARDS,
    *BEHIND_A_BOUNCER,
)

BY_INCIDENTS = {
    **{str(each.named_by): each.title for each in (THREADS, FORKED, DEADLOCK, SATURATED)},
    unlinked(Unlinked.CONTESTED): "a process lists the session of another process",
}
"""What no scenario of one moment shows, because it takes several processes, or many callers.

`tests/integration/exporter/test_contested_session.py` shows the contested session.
"""

DECLARED = Declared(SCENARIOS, ON_THE_WAY, BY_INCIDENTS)
