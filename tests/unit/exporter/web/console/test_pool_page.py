"""The page of a pool: who holds its connections, at which line, who waits, and how it is set up."""

import re
from dataclasses import replace
from html import unescape

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
from poolscope_exporter.core.model.lock_waits import PREPARED
from poolscope_exporter.core.model.now_places import NowPlace
from poolscope_exporter.core.model.pushes import PoolGeneration, WaitingCaller
from poolscope_exporter.core.model.sessions import SessionState
from poolscope_exporter.web.console.look import PoolDetails
from poolscope_exporter.web.console.page_query import PageQuery
from poolscope_exporter.web.console.pool_past import MAX_INCIDENTS
from poolscope_exporter.web.console.pool_view import MAX_GROUPS, MAX_MEMBERS
from support.exporter.builders import (
    a_checkout,
    a_pool,
    a_session,
    a_waiting_caller,
    an_instance,
)
from support.exporter.incident_looks import a_full_incident, an_incident
from support.exporter.pages import pool_page
from support.exporter.processes import an_instance_state
from support.exporter.releases import a_release

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


def tickets_of(page: str) -> dict[str, str]:
    """Return the first text for a ticket of each section that has one, by the section's name."""
    sections = re.split(r'<section [^>]*aria-label(?:ledby)?="(?:h-)?(\w+)"', page)
    found = {}
    for name, section in zip(sections[1::2], sections[2::2], strict=True):
        texts = section.split('aria-label="Evidence for a ticket">')[1:]
        if texts:
            found[name] = unescape(texts[0].split("</pre>")[0])
    return found


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

    assert tickets_of(page)["held"].splitlines() == [
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
        "dashboard (path in Grafana): /d/poolscope-pool?var-service=shop&var-pool=orders",
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


def test_each_block_has_its_evidence_and_a_button_to_copy_it() -> None:
    waiters = group_waiters(3, [a_waiting_caller(12.0)])
    numbers = PoolNumbers(pending=3, waiters=waiters)
    waiter = LockWaiter(LockParty(20, None, a_pool(), a_checkout(2)), 10, 1)
    blocker = RootBlocker("main", RootKind.HOLDER, LockParty(10), (waiter,))
    leaks = (LineLeaks(LeakPlace("request_finished", "/export", "shop/export.py:42"), 14, 3),)
    details = PoolDetails(PoolTotals({}, leaks), incidents=(a_full_incident(),))
    page = page_of(held(1), pools=(a_state(numbers=numbers),), details=details, blockers=(blocker,))

    assert list(tickets_of(page)) == ["State", "held", "waiters", "blockers", "incidents", "leaks"]
    copy = '<button type="button" class="copy">Copy the evidence</button><pre class="ticket"'
    assert page.count(copy) == page.count('class="ticket"') == 6


def test_a_calm_pool_has_evidence_of_its_state_alone() -> None:
    assert list(tickets_of(page_of())) == ["State"]


def test_the_evidence_of_the_state_has_the_numbers_the_processes_and_the_runbook() -> None:
    numbers = PoolNumbers(used=15, idle=0, max=15, pending=9)
    page = page_of(held(1), pools=(a_state(numbers=numbers), a_state(SECOND)))

    assert tickets_of(page)["State"].splitlines() == [
        "pool orders of shop (acme): leaking for 60 s",
        "as of now, in 2 processes",
        "1 of 15 connections leaked",
        "connections: 15 used, 0 idle, limit 15; 9 callers waiting; 1 leaked",
        "processes (process, diagnosis, connections, waiting callers):",
        "  node-1:17, leaking, 15 of 15 used, 9 waiting",
        "  node-2:18, leaking, unknown of unknown used, unknown waiting",
        "runbook: https://github.com/poolscope/poolscope/blob/main/alerts/runbooks/PoolLeak.md",
        "dashboard (path in Grafana): /d/poolscope-pool?var-service=shop&var-pool=orders",
    ]


def test_the_evidence_of_waiting_callers_counts_those_that_are_not_listed() -> None:
    waiters = group_waiters(41, [a_waiting_caller(12.34)])
    page = page_of(pools=(a_state(numbers=PoolNumbers(waiters=waiters)),))

    assert tickets_of(page)["waiters"].splitlines()[:5] == [
        "41 callers wait for pool orders of shop (acme)",
        "as of now, diagnosis leaking",
        "callers (phase, number, oldest, route, line that asks, line now):",
        "  queue (for a place in the pool), 1, 12 s, /report, shop/report.py:20, unknown",
        "  and 40 more",
    ]


def test_the_evidence_of_a_lock_queue_has_the_session_its_code_and_the_statement() -> None:
    session = a_session(10, user="app", xact_age_s=300.0)
    holder = LockParty(10, session, a_pool(), replace(a_checkout(1), now=PAYS))
    idle = LockParty(30, a_session(30, state=SessionState.IDLE, state_age_s=9.0), SECOND)
    queue = (
        LockWaiter(LockParty(20, None, a_pool(), a_checkout(2)), 10, 1),
        LockWaiter(LockParty(21), 20, 2, (10,)),
        LockWaiter(idle, 10, 1),
    )
    page = page_of(blockers=(RootBlocker("main", RootKind.HOLDER, holder, queue),))
    lines = tickets_of(page)["blockers"].splitlines()

    assert lines[:2] == ["backend 10 on main (holder): 3 sessions wait behind it", "as of now"]
    assert lines[2].startswith("session: app in ")
    assert lines[3] == (
        "code: /orders at shop/orders.py:42 in pool orders of shop in node-1:17,"
        " waiting in httpx.AsyncClient.get at shop/payments.py:55"
    )
    assert lines[5].startswith("  backend 20, behind 10, /orders at shop/orders.py:42 in pool ")
    assert lines[6] == "  backend 21, behind 20, 10, not a known pool, unknown"
    assert lines[7].startswith("  backend 30, behind 10, idle in pool orders of shop in node-2:18,")
    assert lines[8:] == [
        "to end the session (its transaction is rolled back):",
        "  SELECT pg_terminate_backend(10);",
        "runbook: https://github.com/poolscope/poolscope/blob/main/alerts/runbooks/PoolBlocked.md",
        "dashboard (path in Grafana): /d/poolscope-server?var-server=main",
    ]


@pytest.mark.parametrize(
    ("kind", "pid", "shown"),
    [
        (RootKind.DEADLOCK, 10, "PostgreSQL ends it after deadlock_timeout"),
        (RootKind.PREPARED, PREPARED, "to end it: see pg_prepared_xacts"),
    ],
)
def test_the_evidence_of_a_queue_without_one_session_has_no_statement(
    kind: RootKind, pid: int, shown: str
) -> None:
    waiter = LockWaiter(LockParty(20, None, a_pool(), a_checkout(2)), pid, 1)
    page = page_of(blockers=(RootBlocker("main", kind, LockParty(pid), (waiter,)),))

    assert shown in tickets_of(page)["blockers"]
    assert "pg_terminate_backend" not in page


def test_the_evidence_of_leaks_has_each_line_and_the_connections_that_are_out() -> None:
    place = LeakPlace("request_finished", "/export", "shop/export.py:42")
    page = page_of(held(1), details=PoolDetails(PoolTotals({}, (LineLeaks(place, 14, 3),))))

    assert tickets_of(page)["leaks"].splitlines()[:4] == [
        "leaks of pool orders of shop (acme) since the start of its processes",
        "as of now, 1 leaked connection is out",
        "leaks (number, returned later, evidence, route, line that took the connection):",
        "  14, 3, request_finished, /export, shop/export.py:42",
    ]


def test_a_name_with_a_line_break_adds_no_line_to_the_evidence() -> None:
    page = page_of(held(1, route="/a\nSELECT pg_terminate_backend(1);"))

    assert "SELECT pg_terminate_backend(1);" not in tickets_of(page)["held"].splitlines()


def test_the_last_incidents_have_links_and_their_report() -> None:
    incidents = (a_full_incident(), *(an_incident(n) for n in range(MAX_INCIDENTS + 1)))
    page = page_of(details=PoolDetails(incidents=incidents))

    assert len(rows_of(page, "incidents")) == MAX_INCIDENTS + 1  # the note is one of them
    for text in (
        '<span class="tag bad">leaking</span> <a href="/incidents?id=0123456789ab">',
        "<strong>open</strong>",
        "ended: calm",
        "<code>poolscope-exporter report 0123456789ab</code>",
        '2 earlier incidents: <a href="/incidents?service=shop&amp;pool=orders">/incidents</a>',
    ):
        assert text in page
    assert "No incident of this pool is recorded." in page_of()


def test_the_evidence_of_an_incident_has_its_worst_holders_and_no_statement() -> None:
    page = page_of(details=PoolDetails(incidents=(a_full_incident(),)))
    lines = tickets_of(page)["incidents"].splitlines()

    assert lines[0].startswith("incident 0123456789ab of pool shop/orders.py:133 of ")
    assert "  and 3 more" in lines
    place = "shop/orders.py:133"
    assert f"  leaked, 3, 4 s, {place}, {place}, {place}, {place}, backends then 4711" in lines
    assert lines[-1] == "report: poolscope-exporter report 0123456789ab"
    assert any(line.endswith("/PoolLeak.md") for line in lines)
    # The session behind a PID of that time may be another one's by now.
    assert "pg_terminate_backend" not in page


def test_the_newest_release_stands_beside_the_one_before_it() -> None:
    releases = (
        a_release("2.0", leaks=3),
        a_release("<b>", first_seen_age_s=9e4, live=0),
        a_release("1.8", first_seen_age_s=9e5),
    )
    page = page_of(details=PoolDetails(releases=releases))

    assert '<th scope="col" class="n">before: &lt;b&gt;</th>' in page
    assert (
        '<th scope="row">leaks</th><td class="n">0</td><td class="n">3 (0.03 %)</td></tr>' in page
    )
    link = '<a href="/api/v1/releases?service=shop&amp;pool=orders">releases as JSON</a>'
    assert f"1 earlier release: {link}" in page
    assert "2 processes do not report service.version" in page


def test_without_a_version_the_comparison_is_unknown() -> None:
    elsewhere = a_release(pool=service_pool_of(a_pool(server_address="10.9.9.9")))

    for releases in ((), (elsewhere,)):
        page = page_of(details=PoolDetails(releases=releases))
        assert "Unknown: no process of this pool reports <code>service.version</code>" in page
        assert "releases as JSON" not in page
