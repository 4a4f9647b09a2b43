"""Combine the data of applications and servers into one situation."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from poolscope_exporter.core.blocking.lock_parties import SessionOwners
from poolscope_exporter.core.blocking.root_blockers import root_blockers
from poolscope_exporter.core.capacity.demand import NOWHERE, Demand, SharedLimit, demands
from poolscope_exporter.core.capacity.headroom import potential
from poolscope_exporter.core.capacity.largest_fleet import AS_SEEN, LargestFleet
from poolscope_exporter.core.capacity.pods import PodDemand, pod_demands
from poolscope_exporter.core.capacity.room_for_pods import RoomForPods, room_for_pods
from poolscope_exporter.core.checks.rules import PoolChecks
from poolscope_exporter.core.fleet.fleet import Fleet
from poolscope_exporter.core.judging.assessment_steps.checkout_states import judge_all
from poolscope_exporter.core.judging.assessment_steps.pool_diagnoses import diagnose_all
from poolscope_exporter.core.judging.assessment_steps.seen_pools import SeenPool, look_at_pools
from poolscope_exporter.core.judging.assessment_steps.view_finder import ViewFinder
from poolscope_exporter.core.judging.diagnosis import PoolDiagnosis
from poolscope_exporter.core.judging.diagnosis_window import DiagnosisWindows
from poolscope_exporter.core.judging.ended_verdicts import EndedVerdicts
from poolscope_exporter.core.judging.idle_blockers import (
    name_idle_pools,
    session_owners,
    with_sessions,
)
from poolscope_exporter.core.judging.server_load import LoadHistory
from poolscope_exporter.core.judging.situation import PoolAssessment, Situation
from poolscope_exporter.core.judging.verdicts import BLOCKED_S, Judgement
from poolscope_exporter.core.judging.views import BouncerView, ServerView
from poolscope_exporter.core.linking.confirmation import Confirmations
from poolscope_exporter.core.model.checkouts import Pool
from poolscope_exporter.core.model.idle_timeouts import IdleTimeout
from poolscope_exporter.core.model.lock_waits import LockWaits


def assess(
    fleet: Fleet,
    confirmations: Confirmations,
    servers: Sequence[ServerView],
    now_s: float,
    bouncers: Sequence[BouncerView] = (),
    *,
    configured_idle: tuple[IdleTimeout, ...] = (),
    checks: PoolChecks | None = None,
    windows: DiagnosisWindows | None = None,
    ended: EndedVerdicts | None = None,
    loads: LoadHistory | None = None,
    largest: LargestFleet = AS_SEEN,
) -> Situation:
    """Judge every held checkout, oldest first; diagnose every pool, and check its configuration."""
    finder = ViewFinder(servers, bouncers)
    lock_waits = [view.lock_waits for view in servers if view.up and view.lock_waits]
    judgements, owners = _judge(fleet, confirmations, finder, lock_waits, now_s)
    seen = look_at_pools(fleet, judgements, finder, confirmations.link_history, now_s)
    instances = tuple(fleet.instances(now_s))
    histories = windows or DiagnosisWindows(), ended or EndedVerdicts(), loads or LoadHistory()
    diagnoses = diagnose_all(seen, finder, *histories, now_s=now_s)
    pods = pod_demands(((each.pool, each.numbers) for each in seen), instances)
    wanted = demands((each.limited for each in seen), largest)
    pools = _assess_pools(
        zip(seen, diagnoses, strict=True), checks or PoolChecks(), configured_idle, wanted, pods
    )
    room = room_for_pods((each.at_limit for each in seen), instances)
    return Situation(
        judgements=tuple(judgements),
        pools=pools,
        servers=tuple(replace(each, room=room.get(each.server, ())) for each in servers),
        instances=instances,
        taken_at_s=now_s,
        bouncers=tuple(_with_pools(each, pools, room.get(each.bouncer, ())) for each in bouncers),
        configured_idle=configured_idle,
        blockers=root_blockers(lock_waits, owners, BLOCKED_S),
    )


def _judge(
    fleet: Fleet,
    confirmations: Confirmations,
    finder: ViewFinder,
    lock_waits: Sequence[LockWaits],
    now_s: float,
) -> tuple[list[Judgement], SessionOwners]:
    """Return the judgement of each held checkout, and the owners of the sessions with locks."""
    judged, holders = judge_all(fleet, confirmations, finder, now_s)
    listed, history = fleet.live_backend_pids(now_s), confirmations.link_history

    def server_of(pool: Pool) -> str | None:
        # Only a server's backend PIDs are real; PgBouncer makes them up.
        view = finder.view_of_pool(pool, [], history.last_link(pool))
        return view.server if isinstance(view, ServerView) else None

    owners = session_owners(
        judged, lock_waits, holders, listed, server_of=server_of, last_of=history.last_checkout
    )
    return name_idle_pools(with_sessions(judged, lock_waits), listed, owners), owners


def _assess_pools(
    diagnosed: Iterable[tuple[SeenPool, PoolDiagnosis]],
    checks: PoolChecks,
    configured_idle: tuple[IdleTimeout, ...],
    wanted: Mapping[SharedLimit, Demand],
    pods: Mapping[Pool, PodDemand],
) -> tuple[PoolAssessment, ...]:
    """Return each pool with its diagnosis, and its checks against what all pools demand."""
    return tuple(
        each.assessment(
            diagnosis,
            checks,
            timeouts=each.all_timeouts(configured_idle),
            demand=wanted.get(each.limit, NOWHERE),
            pod=pods.get(each.pool),
        )
        for each, diagnosis in diagnosed
    )


def _with_pools(
    view: BouncerView, pools: Sequence[PoolAssessment], room: tuple[RoomForPods, ...]
) -> BouncerView:
    """Return the PgBouncer with the clients that these pools may open, and the room for pods."""
    leading = [state.numbers for state in pools if state.bouncer == view.bouncer]
    return replace(view, potential_clients=potential(leading) if leading else None, room=room)
