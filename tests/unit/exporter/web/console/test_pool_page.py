"""The page of a pool: who holds its connections, at which line, who waits, and how it is set up."""

from dataclasses import replace

import pytest

from poolscope.catalogue import Evidence, Phase
from poolscope_exporter.core.blocking.lock_forest import RootKind
from poolscope_exporter.core.blocking.lock_parties import LockParty
from poolscope_exporter.core.blocking.root_blockers import LockWaiter, RootBlocker
from poolscope_exporter.core.checks.model import CheckId, ConfigCheck, Result
from poolscope_exporter.core.fleet.occupancy_history import ProfileKey, ProfileRow
from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers
from poolscope_exporter.core.fleet.pool_totals import (
    LeakPlace,
    LineLeaks,
    PoolTotals,
    Quantiles,
)
from poolscope_exporter.core.fleet.service_totals.route_totals import service_pool_of
from poolscope_exporter.core.fleet.waiter_groups import group_waiters
from poolscope_exporter.core.judging.diagnosis import Diagnosis, PoolDiagnosis
from poolscope_exporter.core.judging.situation import PoolAssessment, Situation
from poolscope_exporter.core.judging.verdicts import Blocker, Judgement, Verdict
from poolscope_exporter.core.linking.link import Link, LinkLevel, NoLink, Unlinked
from poolscope_exporter.core.model.checkouts import Pool
from poolscope_exporter.core.model.now_places import NowPlace
from poolscope_exporter.core.model.pushes import PoolGeneration, WaitingCaller
from poolscope_exporter.web.console.look import PoolDetails
from poolscope_exporter.web.console.page_query import PageQuery
from poolscope_exporter.web.console.pool_view import MAX_GROUPS, MAX_MEMBERS
from support.exporter.builders import (
    a_checkout,
    a_pool,
    a_session,
    a_waiting_caller,
    an_instance,
)
from support.exporter.pages import pool_page
from support.exporter.processes import an_instance_state

SECOND = a_pool(an_instance("shop-2"))
STATES = (
    an_instance_state({"host.name": "node-1", "process.pid": "17"}),
    an_instance_state({"host.name": "node-2", "process.pid": "18"}, SECOND.instance),
)
PAYS = NowPlace("shop/payments.py", 55, "pay", "httpx.AsyncClient.get", 11, 11.2)


def a_state(pool: Pool | None = None, numbers: PoolNumbers | None = None) -> PoolAssessment:
    found = PoolDiagnosis(Diagnosis.LEAKING, ("1 of 15 connections leaked",), since_s=60.0)
    return PoolAssessment(pool or a_pool(), numbers or PoolNumbers(), found)


def held(
    number: int = 1,
    verdict: Verdict = Verdict.LEAKED,
    *,
    pool: Pool | None = None,
    route: str = "/export",
    now: NowPlace | None = PAYS,
    age_s: float = 30.0,
) -> Judgement:
    checkout = replace(a_checkout(number, pool=pool, route=route), now=now)
    link = Link(LinkLevel.ADDRESS, "main", a_session(4700 + number), 100.0)
    evidence = Evidence.REQUEST_FINISHED if verdict is Verdict.LEAKED else None
    return Judgement(checkout, age_s, verdict, None, evidence, link, confirmed=True)


def page_of(
    *judgements: Judgement,
    pools: tuple[PoolAssessment, ...] | None = None,
    details: PoolDetails | None = None,
    query: PageQuery | None = None,
    blockers: tuple[RootBlocker, ...] = (),
    trace_url: str | None = None,
) -> str:
    states = (a_state(), a_state(SECOND)) if pools is None else pools
    situation = Situation(judgements, states, (), STATES, 0.0, blockers=blockers)
    return pool_page(situation, query or PageQuery(), details=details, trace_url=trace_url)


def rows_of(page: str, name: str) -> list[str]:
    return page.split(f' id="{name}-')[1:]


def test_equal_checkouts_of_all_processes_are_one_group_with_its_keeping_line() -> None:
    page = page_of(held(1), held(2, pool=SECOND, age_s=371.0))

    (group,) = [row for row in rows_of(page, "held") if row.startswith(tuple("0123456789abcdef"))]
    for text in (
        'bad">leaked</span> <strong>2</strong> held, the oldest for 6 min',
        "evidence request_finished",
        "<dd>/export</dd>",
        "<code>shop/orders.py:42 (place_order)</code>",
        '<code class="keeping">waiting in httpx.AsyncClient.get at shop/payments.py:55</code>',
        "<dd>4702, 4701</dd>",
    ):
        assert text in group


@pytest.mark.parametrize(
    "other",
    [
        held(2, Verdict.HELD_IDLE),
        held(2, route="/other"),
        held(2, now=None),
        held(2, now=replace(PAYS, code_line=56)),
    ],
    ids=["verdict", "route", "keeping line unknown", "keeping line"],
)
def test_a_difference_in_verdict_route_or_line_is_another_group(other: Judgement) -> None:
    assert page_of(held(1), other).count('<dl class="lines">') == 2


def test_the_worst_group_comes_first() -> None:
    page = page_of(held(1, Verdict.WORKING), held(2), held(3), held(4, Verdict.LOST))

    tags = [row.split("</span>")[0].split(">")[-1] for row in page.split('<li id="held-')[1:]]
    assert tags == ["leaked", "lost", "working"]


def test_evidence_is_text_for_a_ticket_with_the_statement_and_the_runbook() -> None:
    page = page_of(held(1), held(2, pool=SECOND, age_s=371.0))

    ticket = page.split('aria-label="Evidence for a ticket">')[1].split("</pre>")[0]
    assert ticket.splitlines() == [
        "2 connections of pool orders of shop: leaked, evidence request_finished",
        "as of now, the oldest is held for 6 min",
        "route: /export",
        "taken at: shop/orders.py:42 (place_order)",
        "kept at: waiting in httpx.AsyncClient.get at shop/payments.py:55",
        "holders (process, checkout, held for, session):",
        "  node-2:18, checkout 2, 6 min, backend 4702",
        "  node-1:17, checkout 1, 30 s, backend 4701",
        "to end these sessions (the statement in progress is lost):",
        "  SELECT pg_terminate_backend(4702);",
        "  SELECT pg_terminate_backend(4701);",
        ("runbook: https://github.com/poolscope/poolscope/blob/main/alerts/runbooks/PoolLeak.md"),
        "dashboard: poolscope-pool, service shop, pool orders",
    ]


def test_an_unlinked_checkout_has_no_statement_that_could_end_a_strangers_session() -> None:
    page = page_of(replace(held(1), link=NoLink(Unlinked.NO_SERVER, None)))

    assert "pg_terminate_backend" not in page
    assert "unlinked:no_server" in page


def test_a_large_group_lists_its_oldest_checkouts_and_counts_the_others() -> None:
    page = page_of(*(held(n) for n in range(MAX_MEMBERS + 3)))

    assert f"<strong>{MAX_MEMBERS + 3}</strong> held" in page
    assert "<li>3 more: " in page
    assert "and 3 more</dd>" in page


def test_many_groups_are_cut_and_counted() -> None:
    page = page_of(*(held(n, route=f"/{n}") for n in range(MAX_GROUPS + 2)))

    assert page.count('<dl class="lines">') == MAX_GROUPS
    assert "2 more groups, less urgent" in page


def test_checkouts_that_the_application_did_not_list_are_counted() -> None:
    numbers = PoolNumbers(held_total=40, listed_total=1)

    assert "39 more are held and not listed." in page_of(held(1), pools=(a_state(numbers=numbers),))


def test_a_checkout_of_another_pool_is_not_here() -> None:
    other = a_pool(name="reports")
    page = page_of(held(1, pool=other), pools=(a_state(), a_state(other)))

    assert "No connection is held for long." in page


def test_the_query_selects_a_process_and_a_verdict() -> None:
    judged = held(1), held(2, pool=SECOND), held(3, Verdict.HELD_IDLE)
    one = page_of(*judged, query=PageQuery(instance="shop-2"))
    idle = page_of(*judged, query=PageQuery(verdict="held_idle"))

    assert (">node-2:18</a>" in one, ">node-1:17</a>" in one) == (True, False)
    assert 'bad">held_idle</span>' in idle
    assert 'bad">leaked</span> <strong>' not in idle


def test_a_blocked_checkout_names_its_blocker_and_the_tree_has_the_root() -> None:
    blocked = replace(held(1, Verdict.BLOCKED), blocked_by=(Blocker(98, a_checkout(8)),))
    waiter = LockWaiter(LockParty(20, None, a_pool(), a_checkout(2)), 10, 1)
    ours = RootBlocker("main", RootKind.HOLDER, LockParty(10), (waiter,))
    stranger = LockWaiter(LockParty(12), 11, 1)
    foreign = RootBlocker("main", RootKind.HOLDER, LockParty(11), (stranger,))
    page = page_of(blocked, blockers=(ours, foreign))

    assert "blocked by 98: /orders at shop/orders.py:42 in " in page
    assert "SELECT pg_terminate_backend(10)" in page
    assert "SELECT pg_terminate_backend(11)" not in page


def test_waiting_callers_are_grouped_over_processes_by_what_they_wait_for_and_where() -> None:
    def waits(*callers: WaitingCaller) -> PoolNumbers:
        waiters = group_waiters(len(callers), callers)
        return PoolNumbers(pending=len(callers), waiters=waiters)

    first = waits(a_waiting_caller(12.34), a_waiting_caller(5.0))
    second = waits(a_waiting_caller(20.0), a_waiting_caller(9.0, phase=Phase.PING))
    page = page_of(pools=(a_state(numbers=first), a_state(SECOND, second)))

    for text in (
        (
            "<td>queue<br><small>for a place in the pool</small></td>"
            '<td class="n">3</td><td class="n">20.0 s</td><td>/report</td>'
        ),
        "<code>shop/report.py:20</code> <small>report</small>",
        "<td>ping<br><small>for the liveness check of a connection</small></td>",
    ):
        assert text in page
    assert "not listed" not in page


@pytest.mark.parametrize(
    ("numbers", "shown"),
    [
        (PoolNumbers(pending=7), "not listed: 7 of 7 callers"),
        (PoolNumbers(waiters=group_waiters(41, [a_waiting_caller()])), "not listed: 40 of 41"),
        (PoolNumbers(pending=0), "No caller is known to wait for long."),
        (PoolNumbers(), "The number of waiting callers is unknown."),
    ],
)
def test_callers_that_are_not_listed_are_counted_or_unknown(
    numbers: PoolNumbers, shown: str
) -> None:
    assert shown in page_of(pools=(a_state(numbers=numbers),))


def test_times_are_quantiles_and_a_dash_without_data() -> None:
    totals = PoolTotals({"wait": Quantiles(120, 0.0012, 0.25, 1.5)})
    page = page_of(details=PoolDetails(totals))

    assert (
        '<th scope="row">wait</th><td class="n">1.2 ms</td><td class="n">250 ms</td>'
        '<td class="n">1.5 s</td><td class="n">120</td>' in page
    )
    assert '<th scope="row">use</th><td class="n">–</td>' in page  # noqa: RUF001 - an en dash
    assert "No process has sent its times." in page_of()


def test_leaks_are_listed_by_line_with_those_that_were_returned_later() -> None:
    place = LeakPlace("request_finished", "/<export>", "shop/export.py:42")
    page = page_of(details=PoolDetails(PoolTotals({}, (LineLeaks(place, 14, 3),))))

    assert (
        "<td><code>shop/export.py:42</code></td><td>/&lt;export&gt;</td>"
        '<td>request_finished</td><td class="n">14</td><td class="n">3</td>' in page
    )
    assert "No process has counted a leak." in page_of()


def test_the_profile_has_its_top_lines_and_the_share_of_the_database() -> None:
    pool = service_pool_of(a_pool())
    rows = (
        ProfileRow(pool, ProfileKey("/pay", "shop/pay.py:9", "shop/pay.py:12", "", "database"), 3),
        ProfileRow(pool, ProfileKey("/pay", "a.py:1", "a.py:2", "httpx.get", "httpx.get"), 1),
    )
    page = page_of(details=PoolDetails(profile=rows))

    assert "4 connection seconds in the last 60 s, 75 % of them in the database." in page
    assert page.index("shop/pay.py:12") < page.index("a.py:2")


def test_a_check_is_listed_once_with_the_number_of_its_processes() -> None:
    warns = ConfigCheck(CheckId.C5, Result.WARN, "pool_pre_ping", "off", "on", "turn it on")
    safe = ConfigCheck(CheckId.C1, Result.OK, "pool_size", 5, "5 to 20")
    pools = tuple(replace(a_state(pool), checks=(warns, safe)) for pool in (a_pool(), SECOND))
    page = page_of(pools=pools)

    assert page.count("turn it on") == 1
    assert '<td>turn it on</td><td class="n">2</td>' in page
    assert "<summary>1 safe setting</summary>" in page


def test_a_process_has_its_numbers_and_the_line_that_made_its_pool() -> None:
    numbers = PoolNumbers(
        used=3, idle=2, max=15, generation=PoolGeneration(1, call_site="shop/db.py:14")
    )
    page = page_of(pools=(a_state(numbers=numbers),))

    assert "created at shop/db.py:14" in page
    assert '<td class="n">3</td><td class="n">2</td><td class="n">15</td>' in page


@pytest.mark.parametrize(
    ("trace_url", "trace_id", "is_linked"),
    [
        ("https://traces.example/{trace_id}", "ab" * 16, True),
        ("https://traces.example/?a=1&id={trace_id}", "ab" * 16, True),
        (None, "ab" * 16, False),
        ("https://traces.example/{trace_id}", None, False),
        ("https://traces.example/{trace_id}", '"><script>alert(1)</script>', False),
    ],
)
def test_a_held_checkout_is_linked_to_its_trace(
    trace_url: str | None, trace_id: str | None, *, is_linked: bool
) -> None:
    leak = held(1)
    leak = replace(leak, checkout=replace(leak.checkout, trace_id=trace_id))
    page = page_of(leak, trace_url=trace_url)
    address = str(trace_url).replace("{trace_id}", str(trace_id)).replace("&", "&amp;")
    assert (f'<a href="{address}" rel="noopener noreferrer">trace</a>' in page) is is_linked
    assert "<script>" not in page


def test_the_same_name_in_another_namespace_has_a_link() -> None:
    other = a_pool(an_instance("x", namespace="beta"))
    page = page_of(pools=(a_state(), a_state(other)))

    assert '<a href="/pool/shop/orders?namespace=beta">beta</a>' in page
