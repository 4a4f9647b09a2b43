"""The start page shows what is wrong now, the worst pool first, and how much room is left."""

from dataclasses import replace

import pytest

from poolscope_exporter.core.capacity.room_for_pods import RoomForPods
from poolscope_exporter.core.checks.model import CheckId, ConfigCheck, Result
from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers
from poolscope_exporter.core.judging.diagnosis import Diagnosis, PoolDiagnosis
from poolscope_exporter.core.judging.overview.last_words import Silence, SilentProcess
from poolscope_exporter.core.judging.situation import PoolAssessment, Situation
from poolscope_exporter.core.judging.verdicts import Judgement, Verdict
from poolscope_exporter.core.judging.views import BouncerView, ServerView
from poolscope_exporter.core.judging.visibility import Role
from poolscope_exporter.core.linking.link import Link, LinkLevel
from poolscope_exporter.core.model.bouncer_traffic import (
    BouncerTraffic,
    DatabaseTotals,
    LentConnections,
)
from poolscope_exporter.core.model.rejected_data import RejectedData
from poolscope_exporter.core.model.servers import ServerRole
from poolscope_exporter.core.model.session_groups import (
    OwnerSessions,
    SessionGroup,
    SessionGroups,
)
from poolscope_exporter.web.console.page_query import PageQuery
from poolscope_exporter.web.console.start_view import FEW, WORST
from support.exporter.builders import a_checkout, a_pool, a_session, an_instance
from support.exporter.pages import scripts_of, start_page
from support.exporter.processes import an_instance_state

LINK = Link(LinkLevel.ADDRESS, "main", a_session(), 100.0)
A_LEAK = Judgement(a_checkout(7), 5.0, Verdict.LEAKED, None, None, LINK, confirmed=True)


def page_of(*pools: PoolAssessment) -> str:
    return start_page(Situation((), pools, (), (), 0.0))


def with_views(*servers: ServerView, bouncers: tuple[BouncerView, ...] = ()) -> Situation:
    return Situation((), (), servers, (), 0.0, bouncers=bouncers)


def diagnosed(
    diagnosis: Diagnosis = Diagnosis.FULL,
    *,
    is_probable: bool = False,
    since_s: float | None = 40,
    instance: str = "shop-1",
    service: str = "shop",
    name: str = "orders",
    numbers: PoolNumbers | None = None,
) -> PoolAssessment:
    found = PoolDiagnosis(diagnosis, ("why",), is_probable, since_s)
    pool = a_pool(an_instance(instance, service), name=name)
    return PoolAssessment(pool, numbers or PoolNumbers(), found)


def test_a_diagnosis_has_its_sentence_its_age_and_whether_it_is_only_probable() -> None:
    sure = page_of(diagnosed(Diagnosis.LEAKING))
    assert (
        '<span class="tag bad">leaking</span> <span class="since">for 40 s</span></p>'
        '<p class="reason">why</p>' in sure
    )
    assert '<span class="tag warn">probably slow_queries</span>' in page_of(
        diagnosed(Diagnosis.SLOW_QUERIES, is_probable=True)
    )


def test_a_diagnosis_of_one_instant_has_no_duration() -> None:
    assert '<span class="since">' not in page_of(diagnosed(since_s=None))


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
    assert f'<span class="since">for {shown}</span>' in page_of(diagnosed(since_s=since_s))


def test_the_processes_of_a_pool_are_one_row() -> None:
    pools = [diagnosed(instance=f"shop-{n}") for n in range(FEW + 2)]
    page = page_of(*pools)

    assert page.count('<li id="pools-') == 1
    assert f"<summary>{FEW + 2} processes</summary>" in page
    assert page.count('<span class="tag warn">full</span> – of –') == FEW  # noqa: RUF001 - a dash
    assert '<a href="/pool/shop/orders?namespace=acme">2 more</a>' in page


def test_the_worst_pool_comes_first_and_healthy_ones_are_a_count() -> None:
    page = page_of(
        diagnosed(Diagnosis.HEALTHY, name="calm"),
        diagnosed(Diagnosis.FULL, name="full"),
        diagnosed(Diagnosis.LEAKING, name="leaks"),
        diagnosed(Diagnosis.UNKNOWN, name="dark"),
    )
    places = [page.index(f'/pool/shop/{name}?namespace=acme">') for name in ("leaks", "full")]
    assert places == sorted(places)
    assert page.index("/pool/shop/full?") < page.index("/pool/shop/dark?")
    assert "1 healthy pool</summary>" in page
    assert page.count('class="pool"') == 3


def test_five_numbers_count_pools_waiters_leaks_failures_and_silent_processes() -> None:
    waits = diagnosed(numbers=PoolNumbers(used=15, max=15, pending=7))
    silent = SilentProcess(an_instance("x"), "node-2:9", -30.0, ())
    situation = Situation((A_LEAK,), (waits, diagnosed(Diagnosis.HEALTHY, name="b")), (), (), 0.0)
    page = start_page(situation, silence=Silence((silent,), has_pushes=True))

    for name, value in (("troubled", "1"), ("waiting", "7"), ("leaked", "1"), ("silent", "1")):
        assert f'<div id="n-{name}" class="tile alarm">' in page
        tile = page.split(f'<div id="n-{name}"')[1].split("</div>")[0]
        assert f"<strong>{value}</strong>" in tile


def test_unknown_numbers_are_a_dash_and_no_alarm() -> None:
    page = page_of(diagnosed(Diagnosis.HEALTHY))

    for name in ("waiting", "failures"):
        tile = page.split(f'<div id="n-{name}"')[1].split("</div>")[0]
        assert tile.startswith(' class="tile"><dt>')
        assert "<strong>–</strong>" in tile  # noqa: RUF001 - the page's en dash


def test_use_is_drawn_against_the_limit_with_the_numbers_as_text() -> None:
    numbers = PoolNumbers(used=12, idle=3, max=15, overflow=2, pending=4)
    page = page_of(diagnosed(numbers=numbers))

    assert "12 used (2 overflow), 3 idle of 15, 4 waiting" in page
    for piece in (
        'b-used" x="0.0" y="1" width="80.0"',
        'b-over" x="80.0" y="1" width="16.0"',
        'b-idle" x="96.0" y="1" width="24.0"',
        'b-wait" x="120" y="1" width="32.0"',
    ):
        assert piece in page  # fmt: skip
    assert "style=" not in page  # the policy would forbid it


def test_never_a_push_and_no_push_now_are_different_sentences() -> None:
    never = page_of()
    last = SilentProcess(an_instance(), "node-1:17", -130.0, (diagnosed(Diagnosis.LEAKING),))
    silent = start_page(Situation((), (), (), (), 0.0), silence=Silence((last,), has_pushes=True))

    assert "No application has pushed yet." in never
    assert "No application has pushed yet." not in silent
    assert (
        "No application pushes now. The last push came 2 min ago, from node-1:17 of shop." in silent
    )


def test_a_silent_process_stays_with_its_last_word() -> None:
    numbers = PoolNumbers(used=15, max=15, pending=3)
    last = SilentProcess(
        an_instance(), "node-<1>:17", 60.0, (diagnosed(Diagnosis.LEAKING, numbers=numbers),)
    )
    page = start_page(Situation((), (), (), (), 100.0), silence=Silence((last,), has_pushes=True))

    assert "<strong>node-&lt;1&gt;:17</strong> of shop has not pushed for 40 s" in page
    assert (
        'last word of pool orders: <span class="tag bad">leaking</span> 15 of 15 used, 3 waiting;'
        " why" in page
    )
    assert "No process fell silent" not in page


def test_a_page_without_silent_processes_states_that() -> None:
    assert "No process fell silent in the last hour." in page_of(diagnosed())


def test_processes_are_named_and_their_id_is_only_in_links() -> None:
    instance = an_instance("0f6c1f0e-2f9e-4a1c-9a38-6f1f1c0f3d11")
    process = an_instance_state({"host.name": "node-1", "process.pid": "17"}, instance)
    state = diagnosed(instance=instance.id)
    page = start_page(Situation((), (state,), (), (process,), 0.0))

    assert page.count(instance.id) == 1
    assert f'<a href="/?service=shop&amp;instance={instance.id}">node-1:17</a>' in page


def test_unsafe_settings_are_named_in_the_row() -> None:
    checks = (
        ConfigCheck(CheckId.C5, Result.WARN, "pool_pre_ping", "off", "on", "turn it on"),
        ConfigCheck(CheckId.C1, Result.OK, "pool_size", 5, "5 to 20"),
    )
    page = page_of(replace(diagnosed(), checks=checks))

    assert "<small>configuration warns: C5</small>" in page


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        (PageQuery(), {"orders", "invoices"}),
        (PageQuery(service="shop"), {"orders"}),
        (PageQuery(pool="invoices"), {"invoices"}),
        (PageQuery(namespace="acme"), {"orders", "invoices"}),
        (PageQuery(namespace=""), set()),
        (PageQuery(verdict="full"), {"invoices"}),
        (PageQuery(verdict="leaked"), {"orders"}),
        (PageQuery(q="INVOI"), {"invoices"}),
        (PageQuery(q="node-1:1"), {"orders"}),
        (PageQuery(q="no such text"), set()),
        (PageQuery(limit=1), {"orders"}),
    ],
)
def test_the_query_selects_pools(query: PageQuery, shown: set[str]) -> None:
    pools = (
        diagnosed(Diagnosis.LEAKING),
        diagnosed(Diagnosis.FULL, service="billing", name="invoices"),
    )
    process = an_instance_state({"host.name": "node-1", "process.pid": "17"})
    page = start_page(Situation((A_LEAK,), pools, (), (process,), 0.0), query)

    found = {name for name in ("orders", "invoices") if f"/{name}?namespace=acme" in page}
    assert found == shown
    assert ("No pool matches." in page) is (len(shown) == 0)


def test_a_page_has_the_worst_rows_and_how_many_others_there_are() -> None:
    pools = [diagnosed(Diagnosis.FULL, name=f"p{n}") for n in range(WORST + 3)]
    page = page_of(*pools, diagnosed(Diagnosis.LEAKING))

    assert page.count('class="pool"') == WORST
    assert "4 more, less urgent" in page


def test_names_and_sentences_from_outside_are_escaped_and_their_links_quoted() -> None:
    found = PoolDiagnosis(Diagnosis.FULL, ("<script>alert(1)</script>",))
    pool = a_pool(an_instance("i", '"><script>'), name="a/b?c#d <b>")
    page = start_page(Situation((), (PoolAssessment(pool, PoolNumbers(), found),), (), (), 0.0))

    assert scripts_of(page) == ["/page.js", "/copy.js"]
    assert "<b>" not in page
    assert 'href="/pool/%22%3E%3Cscript%3E/a%2Fb%3Fc%23d%20%3Cb%3E?namespace=acme"' in page


def test_the_refresh_of_the_query_is_that_of_the_page() -> None:
    def head_of(query: PageQuery) -> str:
        return start_page(Situation((), (), (), (), 0.0), query).split("</head>")[0]

    assert '<noscript><meta http-equiv="refresh" content="2"></noscript>' in head_of(PageQuery())
    assert 'content="30"' in head_of(PageQuery(refresh=30))
    assert "refresh" not in head_of(PageQuery(refresh=0))


def test_a_server_has_its_place_its_headroom_and_its_sessions_by_owner() -> None:
    owners = OwnerSessions(((("tenant", "orders"), 80), ((None, "orders"), 3)), 2)
    groups = (
        SessionGroup("tenant", "orders", "<batch>", "10.0.0.9", 80),
        SessionGroup("shop", "orders", "", None, 3),
    )
    view = ServerView(
        "main",
        up=True,
        place=ServerRole.PRIMARY,
        owners=owners,
        session_groups=SessionGroups(groups, 2, hidden=3),
    )
    page = start_page(with_views(view))

    for text in (
        "<small>primary</small>",
        "headroom unknown",
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
    assert start_page(with_views(ServerView("main", up=True))).count("<small>unknown</small>") == 2


def test_a_sidecar_shows_no_sessions_of_the_whole_server() -> None:
    page = start_page(with_views(ServerView("main", up=True)), role=Role.SIDECAR)

    assert "Sessions by" not in page


@pytest.mark.parametrize(
    ("connections", "more", "shown"),
    [
        (15, 4, "4 more pods of shop, 15 connections each"),
        (15, 1, "1 more pod of shop, 15 connections each"),
        (None, None, "more pods of shop: not known"),
    ],
)
def test_a_server_shows_how_many_more_pods_fit(
    connections: int | None, more: int | None, shown: str
) -> None:
    room = RoomForPods("acme", "shop", "pod", 2, connections, more)
    view = ServerView("main", up=True, room=(room,))
    bouncer = BouncerView("bouncer", up=True, room=(room,))
    assert start_page(with_views(view, bouncers=(bouncer,))).count(shown) == 2


def test_the_pools_of_a_pgbouncer_with_waiting_clients_are_shown_by_database_and_user() -> None:
    traffic = BouncerTraffic(
        (
            LentConnections("orders", "shop", waiting=2, longest_s=4.25, lent=2, idle=0),
            LentConnections("reports", "bi", waiting=0),
        ),
        (DatabaseTotals("orders", waited_s=12.5, transactions=30),),
    )
    view = BouncerView("bouncer", up=True, clients={"active": 2, "idle": 0, "waiting": 2})
    shown = start_page(with_views(bouncers=(replace(view, traffic=traffic),)))

    assert "orders/shop: 2 waiting, the first for 4.2 s, 2 lent, 0 idle" in shown
    assert "orders: waited 12.5 s in 30 transactions" in shown
    assert "reports/bi" not in shown


def test_rejected_data_is_on_the_page_with_sender_reason_and_metric() -> None:
    rejected = RejectedData("<shop>", "wrong_unit", 12, 7.0, "db.client.connection.max")
    page = start_page(Situation((), (), (), (), 10.0, rejected=(rejected,)))

    for text in ("&lt;shop&gt;", "wrong_unit", "db.client.connection.max", "12", "3.0 s ago"):
        assert text in page


def test_page_without_rejected_data_has_no_row_of_it() -> None:
    assert '<tbody id="rejected"></tbody>' in page_of()
