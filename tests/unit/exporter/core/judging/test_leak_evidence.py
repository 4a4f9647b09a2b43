"""Evidence of a leak counts while the session does nothing new, and no longer."""

from dataclasses import replace

import pytest

from poolscope import catalogue
from poolscope.catalogue import EVIDENCE_AFTER_S, Evidence
from poolscope_exporter.core.correlator import Correlator
from poolscope_exporter.core.judging.diagnosis import Diagnosis
from poolscope_exporter.core.judging.leak_evidence import (
    ANSWER_WITHIN_S,
    Standing,
    weigh_evidence,
)
from poolscope_exporter.core.judging.verdicts import Judgement, Verdict
from poolscope_exporter.core.judging.views import ServerView
from poolscope_exporter.core.linking.confirmation import Confirmed, Pending, State, Unseen
from poolscope_exporter.core.linking.link import Link, LinkLevel, NoLink, Unlinked
from poolscope_exporter.core.model.servers import ConfiguredServer
from poolscope_exporter.core.model.sessions import SessionState
from poolscope_exporter.core.own_metrics import LEAKS_REFUTED
from support.exporter.builders import (
    SERVER,
    a_checkout,
    a_checkout_report,
    a_point,
    a_push,
    a_sample,
    a_server,
    a_session,
    holding,
    pool_points,
)

IDLE, ACTIVE = SessionState.IDLE, SessionState.ACTIVE
LEAK = Evidence.REQUEST_FINISHED
REPORTED_S = 100.0
"""When a push first had the evidence."""


def weighed(
    state: State | NoLink,
    *,
    evidence: Evidence | None = LEAK,
    now_s: float,
    out_s: float = REPORTED_S,
) -> Standing:
    """Weigh the evidence of a checkout that the last push, at `out_s`, still listed."""
    reported = a_checkout_report(a_checkout(evidence=evidence), reported_at_s=out_s)
    return weigh_evidence(replace(reported, evidence_at_s=REPORTED_S), state, now_s)


def answered(
    at_s: float,
    *,
    state: SessionState = IDLE,
    began_s: float | None = None,
    quiet_since_s: float | None = None,
) -> Confirmed:
    """Return what a server answered of a session: its last statement, and since when it is idle."""
    session = a_session(
        state=state,
        query_age_s=None if began_s is None else at_s - began_s,
        state_age_s=None if quiet_since_s is None else at_s - quiet_since_s,
    )
    return Confirmed(Link(LinkLevel.ADDRESS, SERVER, session, at_s), at_s)


@pytest.mark.parametrize("evidence", [e for e in Evidence if EVIDENCE_AFTER_S[e]])
@pytest.mark.parametrize(
    ("began_after_s", "standing"),
    [(-0.01, Standing.OPEN), (0.0, Standing.OPEN), (0.01, Standing.REFUTED)],
)
def test_a_statement_begun_after_the_owner_had_ended_refutes_the_evidence(
    evidence: Evidence, began_after_s: float, standing: Standing
) -> None:
    """The application reports the evidence some time after it saw the owner end."""
    ended_s = REPORTED_S - EVIDENCE_AFTER_S[evidence]
    state = answered(REPORTED_S, began_s=ended_s + began_after_s, quiet_since_s=REPORTED_S - 0.1)
    assert weighed(state, evidence=evidence, now_s=REPORTED_S) is standing


@pytest.mark.parametrize(
    ("quiet_s", "standing"),
    [(1.99, Standing.REFUTED), (2.0, Standing.STANDS), (2.01, Standing.STANDS)],
)
def test_evidence_counts_again_once_statements_have_stopped_for_long_enough(
    quiet_s: float, standing: Standing
) -> None:
    state = answered(120.0, began_s=117.0, quiet_since_s=120.0 - quiet_s)
    assert weighed(state, now_s=120.0, out_s=120.0) is standing


@pytest.mark.parametrize(
    ("out_s", "standing"),
    [(115.0, Standing.REFUTED), (119.99, Standing.REFUTED), (120.0, Standing.STANDS)],
)
def test_a_session_that_may_be_back_in_its_pool_counts_only_while_it_was_reported_out(
    out_s: float, standing: Standing
) -> None:
    state = answered(125.0, began_s=117.0, quiet_since_s=118.0)
    assert weighed(state, now_s=125.0, out_s=out_s) is standing


@pytest.mark.parametrize(
    ("at_s", "standing"),
    [(99.99, Standing.OPEN), (100.0, Standing.STANDS), (100.01, Standing.STANDS)],
)
def test_a_session_must_be_seen_quiet_after_the_evidence(at_s: float, standing: Standing) -> None:
    """Before it, the owner itself may have been idle."""
    assert weighed(answered(at_s, began_s=50.0, quiet_since_s=50.0), now_s=101.0) is standing


def test_a_long_statement_that_began_later_refutes_while_it_runs() -> None:
    running = answered(150.0, state=ACTIVE, began_s=99.0)
    assert weighed(running, now_s=150.0) is Standing.REFUTED


def test_a_statement_that_the_owner_began_refutes_nothing() -> None:
    running = answered(150.0, state=ACTIVE, began_s=90.0)
    assert weighed(running, now_s=150.0) is Standing.STANDS


def test_an_answer_that_is_not_confirmed_weighs_as_much() -> None:
    link = answered(101.0, began_s=100.5, quiet_since_s=100.6).outcome
    assert weighed(Pending(link), now_s=101.0) is Standing.REFUTED


@pytest.mark.parametrize("state", [Unseen(), NoLink(Unlinked.NOT_SAMPLED, SERVER)])
@pytest.mark.parametrize(
    ("waited_s", "standing"),
    [(-0.01, Standing.OPEN), (0.0, Standing.STANDS), (0.01, Standing.STANDS)],
)
def test_evidence_without_an_answer_stands_alone_after_a_while(
    state: State | NoLink, waited_s: float, standing: Standing
) -> None:
    assert weighed(state, now_s=REPORTED_S + ANSWER_WITHIN_S + waited_s) is standing


@pytest.mark.parametrize("reason", [Unlinked.NO_SERVER, Unlinked.SERVER_DOWN, Unlinked.POOLER])
def test_evidence_stands_where_no_server_can_be_asked(reason: Unlinked) -> None:
    assert weighed(NoLink(reason, None), now_s=REPORTED_S) is Standing.STANDS


def test_evidence_stands_where_the_server_does_not_track_activities() -> None:
    assert weighed(answered(101.0), now_s=101.0) is Standing.STANDS


@pytest.mark.parametrize(
    ("lasted_s", "was_active", "standing"),
    [
        (None, False, Standing.OPEN),
        (1.99, False, Standing.OPEN),
        (2.0, False, Standing.STANDS),
        (2.01, False, Standing.STANDS),
        (0.0, True, Standing.REFUTED),
    ],
)
def test_a_client_of_pgbouncer_must_be_quiet_there(
    lasted_s: float | None, was_active: bool, standing: Standing
) -> None:
    idle = NoLink(Unlinked.IDLE_IN_POOLER, None, "bouncer", lasted_s, was_active)
    assert weighed(Confirmed(idle, 101.0), now_s=101.0, out_s=101.0) is standing


@pytest.mark.parametrize(("out_s", "standing"), [(102.99, Standing.OPEN), (103.0, Standing.STANDS)])
def test_a_client_that_may_be_back_in_its_pool_leaves_it_open(
    out_s: float, standing: Standing
) -> None:
    idle = NoLink(Unlinked.IDLE_IN_POOLER, None, "bouncer", 5.0)
    assert weighed(Confirmed(idle, 106.0), now_s=106.0, out_s=out_s) is standing
    assert weighed(Pending(idle), now_s=106.0, out_s=out_s) is Standing.OPEN


@pytest.mark.parametrize("reason", [Unlinked.WAITING_IN_POOLER, Unlinked.MOVED_ON])
def test_a_client_that_is_about_to_work_leaves_it_open(reason: Unlinked) -> None:
    assert weighed(Confirmed(NoLink(reason, None), 101.0), now_s=101.0) is Standing.OPEN


def test_what_has_no_evidence_has_nothing_to_refute() -> None:
    state = answered(101.0, began_s=100.5, quiet_since_s=100.6)
    assert weighed(state, evidence=None, now_s=101.0) is Standing.STANDS


@pytest.mark.parametrize("reason", [Unlinked.NO_ROW, Unlinked.PID_REUSED])
def test_a_session_that_is_gone_counts_only_if_the_checkout_is_still_out_after_it(
    reason: Unlinked,
) -> None:
    """A pool closes what is returned beyond its size, before the next push."""
    gone = NoLink(reason, SERVER)
    assert weighed(Pending(gone), now_s=106.0) is Standing.OPEN
    assert weighed(Confirmed(gone, 101.0), now_s=106.0, out_s=105.0) is Standing.STANDS


class Export:
    """A request that hands its session to a task, which uses it every 1.4 s, and stops at last.

    The request ends at 100 s. Pushes come every 5 s, answers of the server every second.
    """

    def __init__(self, evidence: Evidence = LEAK) -> None:
        self.correlator = Correlator([ConfiguredServer(SERVER)])
        self.correlator.server_up(a_server())
        self._reported_s = 100.0 + EVIDENCE_AFTER_S[evidence]
        self._evidence = evidence
        self._sequence = 0
        self.recovered = 0

    def push(self, now_s: float, *, is_held: bool = True) -> None:
        self._sequence += 1
        has_evidence = now_s >= self._reported_s
        evidence = self._evidence if has_evidence else None
        kind = {catalogue.EVIDENCE: self._evidence.value}
        age_s = now_s - 90.0
        held = [a_checkout(age_s=age_s, connection_age_s=age_s + 50.0, evidence=evidence)]
        points = [*pool_points(), a_point(catalogue.LEAKS, int(has_evidence), attributes=kind)]
        if not is_held:
            points.append(a_point(catalogue.LEAKS_RECOVERED, 1, attributes=kind))
        listed = holding(*held if is_held else (), pool=held[0].pool)
        self.correlator.take_push(a_push(*points, sequence=self._sequence, held=(listed,)), now_s)

    def answer(self, at_s: float, stopped_s: float) -> None:
        began_s = min(at_s, stopped_s) // 1.4 * 1.4
        age_s = at_s - began_s
        state = ACTIVE if age_s < 0.2 else IDLE
        session = a_session(state=state, query_age_s=age_s, state_age_s=max(0.0, age_s - 0.2))
        self.correlator.take_sample(a_sample(session, taken_at_s=at_s), a_server(), at_s)

    def run_until(self, end_s: float, stopped_s: float) -> list[tuple[float, Judgement, Diagnosis]]:
        """Return the judgement and the diagnosis of each second."""
        found = []
        for second in range(91, int(end_s) + 1):
            if second % 5 == 0:
                self.push(float(second))
            if second > 95:
                self.answer(second + 0.3, stopped_s)
                situation = self.correlator.situation(second + 0.5, [ServerView(SERVER, up=True)])
                [judgement], [pool] = situation.judgements, situation.pools
                found.append((second + 0.5, judgement, pool.diagnosis.diagnosis))
        return found

    @property
    def refuted(self) -> list[float]:
        totals = self.correlator.refuted_leaks.totals.totals()
        return [total.value for total in totals if total.metric == LEAKS_REFUTED.name]


@pytest.mark.parametrize("evidence", [LEAK, Evidence.TASK_FINISHED, Evidence.THREAD_FINISHED])
def test_a_session_that_was_handed_to_a_task_never_counts_as_leaked(evidence: Evidence) -> None:
    export = Export(evidence)
    found = export.run_until(200.0, stopped_s=1e6)
    assert found[-1][1].evidence is evidence
    assert {judgement.verdict for _, judgement, _ in found}.isdisjoint({Verdict.LEAKED})
    assert {diagnosis for _, _, diagnosis in found} == {Diagnosis.HEALTHY}
    assert export.refuted == [1.0]


def test_a_session_that_a_task_returned_since_the_last_push_never_counts_as_leaked() -> None:
    """It is quiet in its pool, and the next push does not list it any more."""
    found = Export().run_until(109.0, stopped_s=105.5)
    assert {judgement.verdict for _, judgement, _ in found}.isdisjoint({Verdict.LEAKED})
    assert {diagnosis for _, _, diagnosis in found} == {Diagnosis.HEALTHY}


def test_a_session_that_its_last_user_leaks_counts_once_it_is_quiet() -> None:
    found = Export().run_until(180.0, stopped_s=150.0)
    leaked = [at_s for at_s, judgement, _ in found if judgement.verdict is Verdict.LEAKED]
    assert leaked[0] > 152.0
    assert leaked[0] < 152.0 + 7.0, "a poll, and the push that confirms it"
    assert leaked == [at_s for at_s, _, diagnosis in found if diagnosis is Diagnosis.LEAKING]
    assert leaked[-1] == found[-1][0]


def test_a_leak_that_nobody_uses_counts_with_the_next_answer() -> None:
    found = Export().run_until(120.0, stopped_s=99.0)
    leaked = [at_s for at_s, judgement, _ in found if judgement.verdict is Verdict.LEAKED]
    assert 105.0 < leaked[0] < 112.0


def test_a_checkout_that_came_back_is_withdrawn_once() -> None:
    """The application counts it as recovered; the refutation must not be subtracted as well."""
    export = Export()
    export.run_until(110.0, stopped_s=1e6)
    export.push(115.0, is_held=False)
    [pool] = export.correlator.situation(115.5, [ServerView(SERVER, up=True)]).pools
    assert pool.diagnosis.diagnosis is Diagnosis.HEALTHY
    assert export.refuted == [1.0]


def test_the_counter_of_refuted_leaks_begins_at_zero() -> None:
    export = Export()
    export.push(100.0)
    export.push(105.0)
    assert export.refuted == [0.0]


def test_a_process_that_starts_again_counts_anew() -> None:
    export = Export()
    export.run_until(110.0, stopped_s=1e6)
    export.correlator.refuted_leaks.drop_refuted(a_checkout().pool.instance)
    export.push(115.0)
    assert export.refuted == [2.0]
