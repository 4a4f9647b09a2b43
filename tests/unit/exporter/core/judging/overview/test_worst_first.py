"""A reader in a hurry finds the worst pool and the worst checkout at the top."""

from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers
from poolscope_exporter.core.judging.diagnosis import Diagnosis, PoolDiagnosis
from poolscope_exporter.core.judging.overview.worst_first import (
    DIAGNOSES,
    VERDICTS,
    order_checkouts,
    order_pools,
)
from poolscope_exporter.core.judging.situation import PoolAssessment
from poolscope_exporter.core.judging.verdicts import Judgement, Verdict
from poolscope_exporter.core.linking.link import NoLink, Unlinked
from support.exporter.builders import a_checkout, a_pool

NO_LINK = NoLink(Unlinked.NO_SERVER, None)


def judged(verdict: Verdict, age_s: float = 5.0) -> Judgement:
    return Judgement(a_checkout(), age_s, verdict, None, None, NO_LINK, False)


def diagnosed(name: str, diagnosis: Diagnosis, pending: int | None = None) -> PoolAssessment:
    numbers = PoolNumbers(pending=pending)
    return PoolAssessment(a_pool(name=name), numbers, PoolDiagnosis(diagnosis, ()))


def names(*pools: PoolAssessment) -> list[str]:
    return [each.pool.name for each in order_pools(pools)]


def test_every_verdict_and_every_diagnosis_has_its_place() -> None:
    assert sorted(VERDICTS) == sorted(Verdict)
    assert sorted(DIAGNOSES) == sorted(Diagnosis)


def test_leak_comes_before_work_however_young_it_is() -> None:
    working, leaked = judged(Verdict.WORKING, 500.0), judged(Verdict.LEAKED, 1.0)
    assert order_checkouts([working, leaked]) == [leaked, working]


def test_of_equal_verdicts_the_longest_held_comes_first() -> None:
    young, old = judged(Verdict.BLOCKED, 1.0), judged(Verdict.BLOCKED, 2.0)
    assert order_checkouts([young, old]) == [old, young]


def test_troubled_pool_comes_before_one_that_is_unknown_and_that_before_a_healthy_one() -> None:
    healthy = diagnosed("a", Diagnosis.HEALTHY)
    unknown = diagnosed("b", Diagnosis.UNKNOWN)
    undersized = diagnosed("c", Diagnosis.UNDERSIZED, 1)
    leaking = diagnosed("d", Diagnosis.LEAKING)
    assert names(healthy, unknown, undersized, leaking) == ["d", "c", "b", "a"]


def test_of_equal_diagnoses_the_pool_with_the_most_waiting_callers_comes_first() -> None:
    pools = [
        diagnosed(name, Diagnosis.UNDERSIZED, n) for name, n in (("a", None), ("b", 2), ("c", 7))
    ]
    assert names(*pools) == ["c", "b", "a"]


def test_pools_that_are_alike_stay_in_the_order_of_their_names() -> None:
    assert names(*(diagnosed(name, Diagnosis.HEALTHY, 0) for name in "abc")) == ["a", "b", "c"]
