"""Turn the answers of the API into the states that the start page shows, so that both agree.

A value that this version does not have, from a newer exporter, becomes `unknown`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeVar

from poolscope import catalogue
from poolscope.catalogue import Evidence, Phase
from poolscope_exporter.core.fleet.growth import UNKNOWN_GROWTH, Growth
from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers
from poolscope_exporter.core.fleet.process_names import ProcessNames
from poolscope_exporter.core.fleet.waiter_groups import PoolWaiters, WaiterGroup
from poolscope_exporter.core.judging.diagnosis import Diagnosis, PoolDiagnosis
from poolscope_exporter.core.judging.situation import PoolAssessment
from poolscope_exporter.core.judging.verdicts import Judgement, Verdict
from poolscope_exporter.core.linking.link import Link, LinkLevel, NoLink, Unlinked
from poolscope_exporter.core.model.checkouts import Checkout, Instance, Pool
from poolscope_exporter.core.model.now_places import NowPlace
from poolscope_exporter.core.model.sessions import Session, SessionState
from poolscope_exporter.terminal.reported import (
    ReportedCheckout,
    ReportedNow,
    ReportedPool,
    ReportedWaiters,
)

_UNLINKED: Final = "unlinked:"
_MINUTE_S: Final = 60.0

_Word = TypeVar("_Word", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class PoolsReading:
    """The pools and held checkouts at one moment, and the names of their processes.

    `taken_at` is the time by the exporter's clock. So many pools and checkouts may not be shown:
    `withheld`.
    """

    pools: tuple[PoolAssessment, ...]
    judgements: tuple[Judgement, ...]
    names: ProcessNames
    taken_at: str = ""
    withheld: int = 0


def pools_reading(
    pools: Iterable[ReportedPool],
    checkouts: Iterable[ReportedCheckout],
    taken_at: str = "",
    withheld: int = 0,
) -> PoolsReading:
    """Return the reported pools and checkouts as the states of the start page."""
    all_pools, all_checkouts = list(pools), list(checkouts)
    rows: list[ReportedPool | ReportedCheckout] = [*all_pools, *all_checkouts]
    names = {_instance(each): each.process for each in rows if each.process}
    return PoolsReading(
        tuple(map(_assessment, all_pools)),
        tuple(map(_judgement, all_checkouts)),
        names,
        taken_at,
        withheld,
    )


def _instance(row: ReportedPool | ReportedCheckout) -> Instance:
    return Instance(row.service_namespace, row.service, row.service_instance_id)


def _pool(row: ReportedPool | ReportedCheckout) -> Pool:
    server = row.server_address, row.server_port or 0
    return Pool(_instance(row), row.pool, row.db_namespace, *server)


def _assessment(row: ReportedPool) -> PoolAssessment:
    numbers = PoolNumbers(
        idle=row.idle,
        used=row.used,
        max=row.max,
        pending=row.pending,
        overflow=row.overflow,
        growth=_growth(row.failures_per_minute),
        waiters=_waiters(row),
    )
    diagnosis = PoolDiagnosis(
        _known(Diagnosis, row.diagnosis) or Diagnosis.UNKNOWN,
        row.reasons,
        row.is_probable,
        row.diagnosis_age_s,
    )
    return PoolAssessment(_pool(row), numbers, diagnosis)


def _growth(failures_per_minute: float | None) -> Growth:
    """Return a growth with this rate; the API has the rate, not the counters."""
    if failures_per_minute is None:
        return UNKNOWN_GROWTH
    return Growth({(catalogue.TIMEOUTS.name, ""): failures_per_minute}, span_s=_MINUTE_S)


def _waiters(row: ReportedPool) -> PoolWaiters | None:
    if row.waiters is None:
        return None
    groups = tuple(map(_waiter_group, row.waiters))
    listed = sum(group.count for group in groups)
    return PoolWaiters(row.waiters_waiting or 0, row.waiters_listed or listed, groups)


def _waiter_group(row: ReportedWaiters) -> WaiterGroup:
    place = row.code_file, row.code_line, row.code_function
    phase = _known(Phase, row.phase) or Phase.QUEUE
    return WaiterGroup(phase, row.route, *place, row.age_s, row.count, _now(row.now))


def _judgement(row: ReportedCheckout) -> Judgement:
    evidence = _known(Evidence, row.evidence)
    checkout = Checkout(
        pool=_pool(row),
        id=row.checkout_id,
        age_s=row.age_s,
        backend_pid=row.backend_pid,
        route=row.route,
        code_file=row.code_file,
        code_line=row.code_line,
        code_function=row.code_function,
        evidence=evidence,
        now=_now(row.now),
    )
    return Judgement(
        checkout=checkout,
        age_s=row.age_s,
        verdict=_known(Verdict, row.verdict) or Verdict.UNKNOWN,
        reason=row.reason,
        evidence=evidence,
        link=_link(row),
        confirmed=True,
    )


def _link(row: ReportedCheckout) -> Link | NoLink:
    """Return the session of a linked checkout; a PID without a link proves nothing."""
    level = _known(LinkLevel, row.link)
    if level is None or row.backend_pid is None:
        reason = row.link.removeprefix(_UNLINKED)
        return NoLink(_known(Unlinked, reason) or Unlinked.NOT_SAMPLED, None)
    return Link(level, "", _session(row.backend_pid, row.server_state), 0.0)


def _session(pid: int, state: str | None) -> Session:
    """Return a session with its PID and state; the API has more, which no view here shows."""
    return Session(
        pid=pid,
        hidden=False,
        backend_start_s=None,
        backend_age_s=None,
        state=_known(SessionState, state),
        state_age_s=None,
        xact_age_s=None,
        query_age_s=None,
        wait_event_type=None,
        wait_event=None,
        client=None,
        database=None,
        user=None,
        application_name="",
    )


def _now(row: ReportedNow | None) -> NowPlace | None:
    return None if row is None else NowPlace(row.code_file, row.code_line, None, row.call)


def _known(kind: type[_Word], text: str | None) -> _Word | None:
    return next((each for each in kind if each == text), None)
