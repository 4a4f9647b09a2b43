"""Builders of looks at pools in trouble, and of the incidents that they make."""

from collections.abc import Iterable
from dataclasses import replace

from poolscope.catalogue import Phase
from poolscope_exporter.core.fleet.fleet import InstanceState
from poolscope_exporter.core.fleet.growth import Growth
from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers
from poolscope_exporter.core.fleet.service_totals.route_totals import ServicePool
from poolscope_exporter.core.incidents.incident import (
    CallerGroup,
    CauseChange,
    HolderGroup,
    Incident,
    IncidentEnd,
    KeepingGroup,
    Moment,
    Peaks,
    ReportedTimeout,
    TimelinePoint,
)
from poolscope_exporter.core.incidents.incident_log import IncidentLog
from poolscope_exporter.core.judging.diagnosis import Diagnosis, PoolDiagnosis
from poolscope_exporter.core.judging.situation import PoolAssessment, Situation
from poolscope_exporter.core.judging.verdicts import Judgement, Verdict
from poolscope_exporter.core.linking.link import Link, LinkLevel
from poolscope_exporter.core.model.checkouts import Checkout, Pool
from support.exporter.builders import a_checkout, a_pool, a_session

EPOCH_S = 1_700_000_000.0
"""The wall clock when the monotonic clock of these looks is 0."""


def a_state(
    diagnosis: Diagnosis = Diagnosis.SLOW_QUERIES,
    pool: Pool | None = None,
    *,
    waiting: int | None = 0,
    used: int | None = 5,
    timeouts: float = 0.0,
    leaks_total: int | None = None,
    reasons: tuple[str, ...] = ("why",),
    evidence_at_s: float | None = None,
) -> PoolAssessment:
    growth = Growth({("db.client.connection.timeouts", ""): timeouts})
    numbers = PoolNumbers(used=used, max=5, pending=waiting, leaks_total=leaks_total, growth=growth)
    found = PoolDiagnosis(diagnosis, reasons, evidence_at_s=evidence_at_s)
    return PoolAssessment(pool or a_pool(), numbers, found)


def a_judgement(
    verdict: Verdict = Verdict.SLOW_QUERY, checkout: Checkout | None = None, age_s: float = 5.0
) -> Judgement:
    link = Link(LinkLevel.ADDRESS, "main", a_session(), 100.0)
    return Judgement(checkout or a_checkout(), age_s, verdict, None, None, link, confirmed=True)


def a_look(
    now_s: float,
    *states: PoolAssessment,
    judgements: Iterable[Judgement] = (),
    instances: tuple[InstanceState, ...] = (),
) -> Situation:
    return Situation(tuple(judgements), states, (), instances, now_s)


def observed(log: IncidentLog, *looks: Situation) -> list[Incident]:
    """Return the incidents that ended in these looks."""
    return [each for look in looks for each in log.observe(look, EPOCH_S + look.taken_at_s)]


def an_incident(
    number: int = 1,
    *,
    owner: str = "acme/shop",
    began_at_s: float = EPOCH_S,
    ended: IncidentEnd | None = IncidentEnd.CALM,
    pool: str = "orders",
) -> Incident:
    moment = Moment(began_at_s, Diagnosis.FULL, ("why",), 1, 5, 5, 0)
    return Incident(
        id=f"incident{number}",
        pool=ServicePool("acme", "shop", pool, "orders", "10.0.0.1", 5432),
        owner=owner,
        began_at_s=began_at_s,
        evidence_at_s=began_at_s + 10.0,
        peaks=Peaks(),
        worst=moment,
        changes=(CauseChange(began_at_s, Diagnosis.FULL, "why"),),
        ended=ended,
    )


def a_full_incident(text: str = "shop/orders.py:133") -> Incident:
    """Return an open incident with everything that one may have; `text` is in each of its texts."""
    moment = Moment(
        EPOCH_S,
        Diagnosis.LEAKING,
        (text, text),
        2,
        None,
        10,
        9,
        holders=(HolderGroup(Verdict.LEAKED, text, text, text, 3, 4.5, text, (4711,)),),
        more_holders=2,
        keeping_lines=(KeepingGroup(text, 3),),
        waiters=(CallerGroup(Phase.QUEUE, text, text, 9, 1.5),),
        more_waiters=1,
    )
    return replace(
        an_incident(2, ended=None),
        id="0123456789ab",
        pool=ServicePool(text, text, text, text, text, 0),
        changes=(CauseChange(EPOCH_S, Diagnosis.LEAKING, text),),
        changes_left_out=3,
        worst=moment,
        first_timeout=moment,
        timeout_report=ReportedTimeout(EPOCH_S, text, f"{text}\n{text}"),
        cause_seconds={Diagnosis.LEAKING: 12.5},
        timeline=(
            TimelinePoint(EPOCH_S, Diagnosis.LEAKING, 5, None, None),
            TimelinePoint(EPOCH_S + 1, Diagnosis.HEALTHY, 0, 10, 9),
        ),
        unobserved_s=3.0,
    )
