"""The page shows each pool's diagnosis and the callers that wait, the worst pool first."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from poolscope.catalogue import Phase
from poolscope_exporter.core.capacity.room_for_pods import RoomForPods
from poolscope_exporter.core.checks.model import CheckId, ConfigCheck, Result
from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers
from poolscope_exporter.core.fleet.waiter_groups import group_waiters
from poolscope_exporter.core.judging.diagnosis import Diagnosis, PoolDiagnosis
from poolscope_exporter.core.judging.situation import PoolAssessment, Situation
from poolscope_exporter.core.judging.verdicts import Blocker, Judgement, Verdict
from poolscope_exporter.core.judging.views import BouncerView, ServerView
from poolscope_exporter.core.judging.visibility import Role
from poolscope_exporter.core.linking.link import Link, LinkLevel
from poolscope_exporter.core.model.bouncer_traffic import (
    BouncerTraffic,
    DatabaseTotals,
    LentConnections,
)
from poolscope_exporter.core.model.pushes import PoolGeneration, WaitingCaller
from poolscope_exporter.core.model.rejected_data import RejectedData
from poolscope_exporter.core.model.session_groups import (
    OwnerSessions,
    SessionGroup,
    SessionGroups,
)
from poolscope_exporter.web.page import WORST, render_page
from poolscope_exporter.web.page_cache import PageCache
from poolscope_exporter.web.selection import RowSelection
from support.exporter.builders import (
    a_checkout,
    a_pool,
    a_session,
    a_waiting_caller,
    an_instance,
)
from support.exporter.processes import an_instance_state

NOBODY = "No caller is known to wait for long."


A_LEAK = Judgement(
    a_checkout(7),
    5.0,
    Verdict.LEAKED,
    None,
    None,
    Link(LinkLevel.ADDRESS, "main", a_session(), 100.0),
    confirmed=True,
)


def page_of(*pools: PoolAssessment) -> str:
    return render_page(Situation((), pools, (), (), 0.0), "now")


def diagnosed(
    diagnosis: Diagnosis = Diagnosis.FULL, *, is_probable: bool = False, since_s: float | None = 40
) -> PoolAssessment:
    found = PoolDiagnosis(diagnosis, ("why",), is_probable, since_s)
    return PoolAssessment(a_pool(), PoolNumbers(), found)


def test_a_pool_has_the_line_that_made_it_below_its_name() -> None:
    numbers = PoolNumbers(generation=PoolGeneration(1, call_site="shop/db.py:14"))
    found = PoolDiagnosis(Diagnosis.FULL, ("why",))
    assert "created at shop/db.py:14" in page_of(PoolAssessment(a_pool(), numbers, found))
    assert "created at" not in page_of(diagnosed())


def waited_for(
    *callers: WaitingCaller, waiting: int | None = None, name: str = "orders"
) -> PoolAssessment:
    """Return a full pool with the listed callers; `waiting` is the true number."""
    waiters = group_waiters(len(callers) if waiting is None else waiting, callers)
    numbers = PoolNumbers(pending=waiters.waiting, waiters=waiters)
    return PoolAssessment(a_pool(name=name), numbers, PoolDiagnosis(Diagnosis.FULL, ()))


def test_a_diagnosis_says_for_how_long_and_whether_it_is_only_probable() -> None:
    sure = page_of(diagnosed(Diagnosis.LEAKING))
    assert 'bad">leaking</span><br><small>for 40 s</small>' in sure
    assert 'bad">probably slow_queries</span>' in page_of(
        diagnosed(Diagnosis.SLOW_QUERIES, is_probable=True)
    )


def test_a_diagnosis_of_one_instant_has_no_duration() -> None:
    assert 'bad">full</span></td>' in page_of(diagnosed(since_s=None))


@pytest.mark.parametrize(
    ("since_s", "shown"),
    [
        (0.0, "0 s"),
        (119.0, "119 s"),
        (120.0, "2 min"),
        (7199.0, "119 min"),
        (7200.0, "2 h"),
        (90_000.0, "25 h"),
    ],
)
def test_a_long_duration_is_shown_in_its_larger_unit(since_s: float, shown: str) -> None:
    assert f"<small>for {shown}</small>" in page_of(diagnosed(since_s=since_s))


def test_waiting_callers_are_shown_with_what_they_wait_for_and_where() -> None:
    page = page_of(
        waited_for(
            a_waiting_caller(12.34), a_waiting_caller(5.0), a_waiting_caller(9.0, phase=Phase.PING)
        )
    )

    for text in (
        "<td>queue<br><small>for a place in the pool</small></td>",
        '<td class="n">12.3 s</td>\n<td class="n">2</td>\n<td>/report</td>',
        "<code>shop/report.py:20</code><br><small>report</small>",
        "<td>ping<br><small>for the liveness check of a connection</small></td>",
    ):
        assert text in page
    assert "not listed" not in page
    assert page.count("<tr>") == page.count("</tr>")
    assert page.count("<td") == page.count("</td>")


def test_processes_are_named_and_their_id_is_only_in_links() -> None:
    instance = an_instance("0f6c1f0e-2f9e-4a1c-9a38-6f1f1c0f3d11")
    pool = a_pool(instance)
    process = an_instance_state({"host.name": "node-1", "process.pid": "17"}, instance)
    holder = a_checkout(7, pool=pool)
    blocked = replace(A_LEAK, checkout=holder, blocked_by=(Blocker(98, holder),))
    waiters = group_waiters(3, [a_waiting_caller()])
    check = ConfigCheck(CheckId.C5, Result.WARN, "pool_pre_ping", "off", "on", "turn it on")
    state = PoolAssessment(
        pool, PoolNumbers(waiters=waiters), PoolDiagnosis(Diagnosis.FULL, ()), (check,)
    )
    page = render_page(Situation((blocked,), (state,), (), (process,), 0.0), "now")

    link = f'<a href="/api/v1/pools?service=shop&amp;instance={instance.id}">node-1:17</a>'
    # The checkout and its blocker, the listed and the unlisted callers, the pool, its check.
    assert page.count(link) == page.count(instance.id) == 6


def test_sessions_have_the_names_of_their_role_program_and_client() -> None:
    owners = OwnerSessions(((("tenant", "orders"), 80), ((None, "orders"), 3)), 2)
    groups = (
        SessionGroup("tenant", "orders", "<batch>", "10.0.0.9", 80),
        SessionGroup("shop", "orders", "", None, 3),
    )
    view = ServerView(
        "main", up=True, owners=owners, session_groups=SessionGroups(groups, 2, hidden=3)
    )
    page = render_page(Situation((), (), (view,), (), 0.0), "now")

    for text in (
        '<td>tenant</td><td>orders</td><td class="n">80</td>',
        '<td>unknown</td><td>orders</td><td class="n">3</td>',
        "<td>tenant</td><td>orders</td><td>&lt;batch&gt;</td><td>10.0.0.9</td>",
        "<td>shop</td><td>orders</td><td>&#34;&#34;</td><td>unknown</td>",
        "may not see the client of 3: GRANT pg_read_all_stats",
    ):
        assert text in page
    assert page.count('<small>all others</small></td><td class="n">2</td>') == 2
    assert page.count("<td") == page.count("</td>")


def test_sessions_that_are_not_known_are_unknown_and_not_none() -> None:
    view = ServerView("main", up=True)
    page = render_page(Situation((), (), (view,), (), 0.0), "now")

    assert page.count("<small>unknown</small>") == 2


def test_a_sidecar_shows_no_sessions_of_the_whole_server() -> None:
    view = ServerView("main", up=True)
    page = render_page(Situation((), (), (view,), (), 0.0), "now", Role.SIDECAR)

    assert "Sessions by" not in page


def test_callers_beyond_the_list_are_counted() -> None:
    page = page_of(waited_for(a_waiting_caller(), waiting=41))

    assert "not listed: 40 of 41 callers" in page
    assert '<td class="n">40</td>' in page


def test_callers_of_a_sender_that_lists_none_are_counted() -> None:
    numbers = PoolNumbers(pending=7)
    page = page_of(PoolAssessment(a_pool(), numbers, PoolDiagnosis(Diagnosis.FULL, ())))

    assert "not listed: 7 of 7 callers" in page


def test_callers_in_more_places_than_are_kept_are_counted() -> None:
    page = page_of(waited_for(*(a_waiting_caller(route=f"/{number}") for number in range(12))))

    assert "not listed: 2 of 12 callers" in page


def test_a_caller_without_a_route_or_a_line_has_a_dash() -> None:
    page = page_of(waited_for(WaitingCaller(Phase.CONNECT, 2.0)))

    assert "<td>–</td>\n<td>–</td>" in page  # noqa: RUF001 - the page's en dash


def test_what_a_waiting_caller_says_of_itself_is_escaped() -> None:
    page = page_of(waited_for(a_waiting_caller(route="<script>alert(1)</script>")))

    assert "<script>" not in page


def test_the_waiting_callers_of_a_worse_pool_come_first() -> None:
    calm = waited_for(a_waiting_caller(60.0, route="/calm"), name="calm")
    busy = waited_for(a_waiting_caller(2.0, route="/busy"), waiting=50, name="busy")
    page = page_of(calm, busy)

    assert page.index("<td>/busy</td>") < page.index("<td>/calm</td>")


@pytest.mark.parametrize(
    "pool", [waited_for(), diagnosed()], ids=["nobody waits", "nothing is known"]
)
def test_a_page_without_long_waits_says_so(pool: PoolAssessment) -> None:
    assert NOBODY in page_of(pool)


def test_without_a_pool_the_page_says_nothing_of_callers() -> None:
    assert "Waiting callers" not in page_of()


@pytest.mark.parametrize(
    ("connections", "more", "shown"),
    [
        (15, 4, "4 more pods of shop, 15 connections each"),
        (15, 1, "1 more pod of shop, 15 connections each"),
        (None, None, "more pods of shop: not known"),
    ],
)
def test_a_server_says_how_many_more_pods_fit(
    connections: int | None, more: int | None, shown: str
) -> None:
    room = RoomForPods("acme", "shop", "pod", 2, connections, more)
    view = ServerView("main", up=True, room=(room,))
    bouncer = BouncerView("bouncer", up=True, room=(room,))
    page = render_page(Situation((), (), (view,), (), 0.0, bouncers=(bouncer,)), "now")
    assert page.count(shown) == 2


def test_a_page_has_the_worst_rows_and_how_many_others_there_are() -> None:
    pools = [
        PoolAssessment(a_pool(name=f"p{n}"), PoolNumbers(), PoolDiagnosis(Diagnosis.HEALTHY, ()))
        for n in range(WORST + 3)
    ]
    bad = diagnosed(Diagnosis.LEAKING)
    page = page_of(*pools, bad)
    assert page.count('good">healthy</span>') == WORST - 1
    assert 'bad">leaking</span>' in page
    assert '<p>4 more, less urgent: <a href="/api/v1/pools">/api/v1/pools</a></p>' in page


async def test_a_page_is_rendered_once_for_all_who_look_within_a_second() -> None:
    now_s, rendered = [100.0], []

    def prepare() -> Callable[[], str]:
        rendered.append(now_s[0])
        return lambda: f"page {len(rendered)}"

    pages = PageCache(lambda: now_s[0])
    assert await asyncio.gather(*(pages.page(prepare) for _ in range(5))) == ["page 1"] * 5
    now_s[0] += 0.99
    assert await pages.page(prepare) == "page 1"
    now_s[0] += 0.01
    assert await pages.page(prepare) == "page 2"


def test_the_pools_of_a_pgbouncer_with_waiting_clients_are_shown_by_database_and_user() -> None:
    traffic = BouncerTraffic(
        (
            LentConnections("orders", "shop", waiting=2, longest_s=4.25, lent=2, idle=0),
            LentConnections("reports", "bi", waiting=0),
        ),
        (DatabaseTotals("orders", waited_s=12.5, transactions=30),),
    )
    view = BouncerView("bouncer", up=True, clients={"active": 2, "idle": 0, "waiting": 2})
    shown = render_page(Situation((), (), (), (), 0.0, (replace(view, traffic=traffic),)), "now")

    assert "orders/shop: 2 waiting, the first for 4.2 s, 2 lent, 0 idle" in shown
    assert "orders: waited 12.5 s in 30 transactions" in shown
    assert "reports/bi" not in shown


def test_a_page_has_at_most_the_rows_that_its_query_asks_for() -> None:
    situation = Situation((A_LEAK, A_LEAK, A_LEAK), (), (), (), 0.0)
    page = render_page(situation, "now", wanted=RowSelection(pool="orders", limit=1))
    assert page.count("shop/orders.py:42") == 1
    assert '2 more, less urgent: <a href="/api/v1/checkouts?pool=orders">' in page


def test_rejected_data_is_on_the_page_with_sender_reason_and_metric() -> None:
    rejected = RejectedData("<shop>", "wrong_unit", 12, 7.0, "db.client.connection.max")
    page = render_page(Situation((), (), (), (), 10.0, rejected=(rejected,)), "now")

    assert "Rejected data" in page
    for text in ("&lt;shop&gt;", "wrong_unit", "db.client.connection.max", "12", "3.0 s ago"):
        assert text in page


def test_page_without_rejected_data_has_no_section_for_it() -> None:
    assert "Rejected data" not in page_of()


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
    leak = replace(A_LEAK, checkout=replace(A_LEAK.checkout, trace_id=trace_id))
    page = render_page(Situation((leak,), (), (), (), 0.0), "now", trace_url=trace_url)
    address = str(trace_url).replace("{trace_id}", str(trace_id)).replace("&", "&amp;")
    assert (f'<a href="{address}" rel="noopener noreferrer">trace</a>' in page) is is_linked
    assert "<script" not in page
