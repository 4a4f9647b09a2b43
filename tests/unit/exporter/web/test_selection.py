"""A query chooses rows; what it cannot mean is refused with what is accepted."""

import pytest

from poolscope_exporter.core.blocking.lock_forest import RootKind
from poolscope_exporter.core.blocking.lock_parties import LockParty
from poolscope_exporter.core.blocking.root_blockers import LockWaiter, RootBlocker
from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers
from poolscope_exporter.core.judging.diagnosis import Diagnosis, PoolDiagnosis
from poolscope_exporter.core.judging.situation import PoolAssessment
from poolscope_exporter.core.judging.verdicts import Judgement, Verdict
from poolscope_exporter.core.linking.link import NoLink, Unlinked
from poolscope_exporter.core.model.checkouts import Pool
from poolscope_exporter.web.selection import RowSelection, WrongQueryError, selection_of
from support.exporter.builders import a_checkout, a_pool, an_instance

POOLS = [
    a_pool(an_instance("a", "shop"), name="orders"),
    a_pool(an_instance("b", "shop"), name="reports"),
    a_pool(an_instance("c", "bank"), name="orders"),
]


def judged(number: int, verdict: Verdict) -> Judgement:
    checkout = a_checkout(number, pool=POOLS[number])
    link = NoLink(Unlinked.NO_SERVER, None)
    return Judgement(checkout, 5.0, verdict, None, None, link, True)


JUDGEMENTS = [judged(n, v) for n, v in enumerate((Verdict.LEAKED, Verdict.WORKING, Verdict.LEAKED))]
ASSESSED = [
    PoolAssessment(pool, PoolNumbers(), PoolDiagnosis(diagnosis, ()))
    for pool, diagnosis in zip(
        POOLS, (Diagnosis.LEAKING, Diagnosis.HEALTHY, Diagnosis.HEALTHY), strict=True
    )
]


@pytest.mark.parametrize(
    ("query", "checkouts", "pools"),
    [
        ({}, [0, 1, 2], [0, 1, 2]),
        ({"service": "shop"}, [0, 1], [0, 1]),
        ({"service": "shop", "pool": "orders"}, [0], [0]),
        ({"instance": "c"}, [2], [2]),
        ({"service": ""}, [], []),
        ({"verdict": "leaked"}, [0, 2], []),
        ({"verdict": "healthy"}, [], [1, 2]),
        ({"limit": "1"}, [0, 1, 2], [0, 1, 2]),
    ],
)
def test_rows_are_those_that_match(
    query: dict[str, str], checkouts: list[int], pools: list[int]
) -> None:
    wanted = selection_of(query)
    assert wanted.matching_checkouts(JUDGEMENTS) == [JUDGEMENTS[n] for n in checkouts]
    assert wanted.matching_pools(ASSESSED) == [ASSESSED[n] for n in pools]


def test_a_limit_is_a_number() -> None:
    assert selection_of({"limit": "0"}) == RowSelection(limit=0)
    assert selection_of({"limit": "200"}).limit == 200


@pytest.mark.parametrize("limit", ["", "-1", "1.5", "many", "1234567", "\u0661"])
def test_a_limit_that_is_none_is_refused(limit: str) -> None:
    with pytest.raises(WrongQueryError, match="limit must be a whole number of at most 6 digits"):
        selection_of({"limit": limit})


def test_a_parameter_that_there_is_not_is_named_with_those_there_are() -> None:
    with pytest.raises(WrongQueryError, match="'servce': unknown parameter; use service, "):
        selection_of({"servce": "shop"})


def a_queue(root: Pool | None, *waiting: Pool | None) -> RootBlocker:
    queue = tuple(LockWaiter(LockParty(20 + n, pool=p), 10, 1) for n, p in enumerate(waiting))
    return RootBlocker("main", RootKind.HOLDER, LockParty(10, pool=root), queue)


BLOCKERS = [a_queue(POOLS[0], POOLS[2]), a_queue(None, POOLS[1]), a_queue(None, None)]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, [0, 1, 2]),
        ({"service": "bank"}, [0]),
        ({"service": "shop"}, [0, 1]),
        ({"service": "bank", "pool": "reports"}, []),
        ({"instance": "b"}, [1]),
        ({"verdict": "blocked"}, []),
    ],
)
def test_a_blocker_matches_by_any_pool_of_its_queue(
    query: dict[str, str], expected: list[int]
) -> None:
    assert selection_of(query).matching_blockers(BLOCKERS) == [BLOCKERS[n] for n in expected]
