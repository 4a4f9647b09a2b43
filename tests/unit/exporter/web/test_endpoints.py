"""The web side: what is open, what is guarded, and what the page and the API tell."""

import base64

import httpx
import pytest

from poolscope.catalogue import Evidence
from poolscope_exporter.core.checks.model import CheckId, ConfigCheck, Result
from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers
from poolscope_exporter.core.judging.diagnosis import Diagnosis, PoolDiagnosis
from poolscope_exporter.core.judging.situation import PoolAssessment, Situation
from poolscope_exporter.core.judging.verdicts import Blocker, Judgement, Verdict
from poolscope_exporter.core.judging.views import BouncerView, ServerView
from poolscope_exporter.core.linking.link import Link, LinkLevel, NoLink, Unlinked
from poolscope_exporter.core.model.sessions import SessionState
from poolscope_exporter.listeners.access import FORWARDED
from poolscope_exporter.listeners.tokens import Keyring, parse_tokens
from poolscope_exporter.metrics.exposition import Exposition
from poolscope_exporter.metrics.scrape import Scrape
from poolscope_exporter.web.endpoints import create_web
from poolscope_exporter.web.sources import Sources
from support.exporter.builders import a_checkout, a_pool, a_server, a_session
from support.exporter.pages import scripts_of
from support.exporter.processes import an_instance_state

TOKEN = "t0k3n"
GUARDED = [
    "/", "/pool/shop/orders", "/api/v1/checkouts", "/api/v1/pools", "/api/v1/blockers",
    "/api/v1/profile", "/api/v1/incidents", "/incidents", "/api/v1/releases", "/api/v1/settings",
    "/openapi.json", "/docs",
]  # fmt: skip
OPEN = ["/metrics", "/healthz", "/readyz", "/page.css", "/page.js", "/copy.js"]
POOL = "/pool/shop/orders"
HERE = "127.0.0.1"


def a_blocked_checkout() -> Judgement:
    checkout = a_checkout(7, route="/pay", evidence=None)
    session = a_session(
        state=SessionState.ACTIVE, query_age_s=4.5, wait_event_type="Lock", wait_event="tuple"
    )
    blockers = (Blocker(99, None), Blocker(98, a_checkout(8, route="/report")))
    link = Link(LinkLevel.ADDRESS, "main", session, 100.0)
    return Judgement(checkout, 12.3456, Verdict.BLOCKED, None, None, link, True, blockers)


def an_unlinked_checkout(route: str = "/orders") -> Judgement:
    checkout = a_checkout(9, route=route, evidence=Evidence.REQUEST_FINISHED)
    link = NoLink(Unlinked.NO_SERVER, None)
    return Judgement(checkout, 5.0, Verdict.LEAKED, "no_server", checkout.evidence, link, False)


AN_INSTANCE = an_instance_state({"host.name": "node-1", "process.pid": "17"})


def a_web(
    *judgements: Judgement,
    servers: tuple[ServerView, ...] = (),
    bouncers: tuple[BouncerView, ...] = (),
    client: str = HERE,
    host: str = "127.0.0.1:9736",
    token: str | None = None,
    is_ready: bool = True,
    checks: tuple[ConfigCheck, ...] = (),
    pools: tuple[PoolAssessment, ...] | None = None,
) -> httpx.AsyncClient:
    diagnosis = PoolDiagnosis(Diagnosis.LEAKING, ("1 of 15 connections leaked",))
    known = PoolAssessment(a_pool(), PoolNumbers(used=1, max=15), diagnosis, checks)
    pools = (known,) if pools is None else pools
    situation = Situation(judgements, pools, servers, (AN_INSTANCE,), 100.0, bouncers)
    exposition = Exposition(lambda: Scrape(situation, (), (), (), (), {}, {}))
    sources = Sources(lambda: situation, exposition, lambda: is_ready, lambda: "now")
    keyring = Keyring(parse_tokens(token)) if token else None
    transport = httpx.ASGITransport(create_web(sources, keyring), client=(client, 50000))
    return httpx.AsyncClient(transport=transport, base_url=f"http://{host}")


@pytest.mark.parametrize("path", GUARDED + OPEN)
@pytest.mark.parametrize("client", ["127.0.0.1", "127.0.0.9", "::1", "::ffff:127.0.0.1"])
async def test_this_machine_may_see_everything(path: str, client: str) -> None:
    async with a_web(client=client) as web:
        assert (await web.get(path)).status_code == 200


@pytest.mark.parametrize("path", OPEN)
async def test_metrics_and_health_are_open(path: str) -> None:
    async with a_web(client="10.0.0.9", host="exporter:9736") as web:
        assert (await web.get(path)).status_code == 200


@pytest.mark.parametrize("path", GUARDED)
async def test_without_a_token_other_machines_learn_the_cure_alone(path: str) -> None:
    async with a_web(a_blocked_checkout(), client="10.0.0.9", host="10.0.0.1") as web:
        response = await web.get(path)

    assert response.status_code == 403
    assert "set POOLSCOPE_TOKEN" in response.text
    assert "/pay" not in response.text


@pytest.mark.parametrize(
    ("host", "headers"),
    [
        ("evil.example:9736", {}),
        # Starlette's URL of a request with such a header has the listener's address instead.
        (HERE, {"Host": "evil.example:99999999"}),
        (HERE, {"Host": "evil.example@127.0.0.1"}),
        (HERE, {"X-Forwarded-For": "10.0.0.9"}),
        (HERE, {"Forwarded": "for=10.0.0.9"}),
        *((HERE, {name: "x"}) for name in FORWARDED),
    ],
)
async def test_a_browser_or_a_proxy_here_does_not_ask_for_itself(
    host: str, headers: dict[str, str]
) -> None:
    async with a_web(host=host) as web:
        assert (await web.get("/api/v1/pools", headers=headers)).status_code == 403


@pytest.mark.parametrize("path", GUARDED + OPEN)
async def test_a_head_is_answered_as_a_get_is(path: str) -> None:
    async with a_web() as web:
        head, get = await web.head(path), await web.get(path)
    assert head.status_code == get.status_code
    assert head.headers["content-type"] == get.headers["content-type"]


async def test_the_document_names_no_heads() -> None:
    async with a_web() as web:
        paths = (await web.get("/openapi.json")).json()["paths"]
    assert {method for operations in paths.values() for method in operations} == {"get"}


@pytest.mark.parametrize(
    ("query", "status", "rows"),
    [
        ({"service": "shop"}, 200, 1),
        ({"service": "bank"}, 200, 0),
        ({"limit": "0"}, 200, 0),
        ({"limit": "all"}, 400, None),
        ({"sevice": "shop"}, 400, None),
    ],
)
async def test_a_query_chooses_rows(query: dict[str, str], status: int, rows: int | None) -> None:
    async with a_web(a_blocked_checkout()) as web:
        for path, name in (("/api/v1/checkouts", "checkouts"), ("/api/v1/pools", "pools")):
            answer = await web.get(path, params=query)
            assert answer.status_code == status
            if rows is not None:
                told = answer.json()
                assert len(told[name]) == rows
                assert told["matching"] == (0 if query.get("service") == "bank" else 1)


@pytest.mark.parametrize("host", ["localhost:9736", "[::1]:9736", "127.0.0.1"])
async def test_this_machine_has_several_names(host: str) -> None:
    async with a_web(host=host) as web:
        assert (await web.get("/")).status_code == 200


@pytest.mark.parametrize("path", GUARDED)
async def test_with_a_token_only_it_opens(path: str) -> None:
    async with a_web(token=TOKEN) as web:
        refused = await web.get(path)
        wrong = await web.get(path, headers={"Authorization": "Bearer wrong"})
    async with a_web(token=TOKEN, client="10.0.0.9", host="exporter") as web:
        granted = await web.get(path, headers={"Authorization": f"bearer {TOKEN}"})

    assert (refused.status_code, wrong.status_code, granted.status_code) == (401, 401, 200)
    assert refused.headers["www-authenticate"].startswith("Basic realm=")  # a browser asks
    assert TOKEN not in refused.text


@pytest.mark.parametrize(
    ("shown", "status"),
    [
        (f"sre:{TOKEN}", 200),
        (f":{TOKEN}", 200),
        ("sre:wrong", 401),
        (f"{TOKEN}:", 401),
        ("sre", 401),
        ("", 401),
    ],
)
async def test_a_browser_shows_the_token_as_a_password(shown: str, status: int) -> None:
    basic = base64.b64encode(shown.encode()).decode()
    async with a_web(token=TOKEN) as web:
        answer = await web.get("/", headers={"Authorization": f"Basic {basic}"})
    assert answer.status_code == status


@pytest.mark.parametrize("garbage", [b"Basic !", b"Basic \xe9", b"Basic /w==", b"Basic", b"\xe9"])
async def test_a_header_that_is_no_password_is_refused(garbage: bytes) -> None:
    async with a_web(token=TOKEN) as web:
        answer = await web.get("/", headers={b"Authorization": garbage})
    assert answer.status_code == 401


async def test_readiness_is_that_of_the_receiver() -> None:
    async with a_web(is_ready=False) as web:
        assert (await web.get("/readyz")).status_code == 503
        assert (await web.get("/healthz")).status_code == 200


async def test_a_checkout_tells_what_is_known_of_it() -> None:
    async with a_web(a_blocked_checkout()) as web:
        answer = (await web.get("/api/v1/checkouts")).json()

    assert answer["taken_at"] == "now"
    assert answer["servers"] == []
    (checkout,) = answer["checkouts"]
    (stranger, ours) = checkout.pop("blocked_by")
    assert checkout == {
        "verdict": "blocked",
        "evidence": None,
        "service": "shop",
        "service_namespace": "acme",
        "service_instance_id": "shop-1",
        "process": "node-1:17",
        "pool": "orders",
        "db_namespace": "orders",
        "server_address": "10.0.0.1",
        "server_port": 5432,
        "checkout_id": 7,
        "route": "/pay",
        "code_file": "shop/orders.py",
        "code_line": 42,
        "code_function": "place_order",
        "backend_pid": 4711,
        "trace_id": None,
        "now": None,
        "pgbouncer": None,
        "age_s": 12.346,
        "server_state": "active",
        "server_query_age_s": 4.5,
        "wait_event": "Lock/tuple",
        "link": "address",
        "reason": None,
        "lasted_s": None,
        "confirmed": True,
    }
    assert stranger == {
        "backend_pid": 99,
        "idle_in": None,
        "last_checkout": None,
        "session": None,
    }
    assert (ours["backend_pid"], ours["route"], ours["code_line"]) == (98, "/report", 42)


async def test_a_checkout_without_a_session_says_why() -> None:
    async with a_web(an_unlinked_checkout()) as web:
        (checkout,) = (await web.get("/api/v1/checkouts")).json()["checkouts"]

    assert checkout["link"] == "unlinked:no_server"
    assert checkout["verdict"] == "leaked"
    assert checkout["evidence"] == "request_finished"
    assert checkout["server_state"] is None
    assert checkout["wait_event"] is None


async def test_a_pool_tells_its_diagnosis_and_null_where_it_knows_no_number() -> None:
    async with a_web() as web:
        (pool,) = (await web.get("/api/v1/pools")).json()["pools"]

    assert pool["diagnosis"] == "leaking"
    assert pool["reasons"] == ["1 of 15 connections leaked"]
    assert (pool["used"], pool["max"], pool["idle"], pool["pending"]) == (1, 15, None, None)


async def test_a_server_that_is_down_says_why_and_knows_no_numbers() -> None:
    down = ServerView("main", up=False, reason="refused: no", identity=a_server("main"))
    async with a_web(servers=(down,)) as web:
        (server,) = (await web.get("/api/v1/pools")).json()["servers"]
        page = (await web.get("/")).text

    assert (server["up"], server["reason"], server["headroom"]) == (False, "refused: no", None)
    assert server["connections"] is None
    assert "refused: no" in page


def a_checkout_behind(link: Link | NoLink) -> Judgement:
    checkout = a_checkout(9, backend_pid=1_022_840_197)
    return Judgement(checkout, 5.0, Verdict.WORKING, None, None, link, True)


@pytest.mark.parametrize(
    ("link", "pid"),
    [
        (Link(LinkLevel.PGBOUNCER, "main", a_session(4711), 100.0, "bouncer"), 4711),
        (NoLink(Unlinked.IDLE_IN_POOLER, None, "bouncer"), None),
    ],
)
async def test_behind_a_bouncer_the_sessions_pid_is_shown_and_never_the_invented_one(
    link: Link | NoLink, pid: int | None
) -> None:
    async with a_web(a_checkout_behind(link)) as web:
        (checkout,) = (await web.get("/api/v1/checkouts")).json()["checkouts"]
        page = (await web.get(POOL)).text

    assert (checkout["backend_pid"], checkout["pgbouncer"]) == (pid, "bouncer")
    assert "1022840197" not in page


async def test_a_bouncer_is_shown_with_its_clients_and_time_outs() -> None:
    view = BouncerView(
        "bouncer:6432",
        up=True,
        version="PgBouncer 1.18.0",
        clients={"active": 4, "idle": 7, "waiting": 2},
        timeouts_s={"client_idle_timeout": 0.0, "server_idle_timeout": 600.0},
        is_one_of_several=True,
    )
    async with a_web(bouncers=(view,)) as web:
        (bouncer,) = (await web.get("/api/v1/pools")).json()["pgbouncers"]
        page = (await web.get("/")).text

    assert bouncer["clients"] == {"active": 4, "idle": 7, "waiting": 2}
    assert bouncer["timeouts_s"]["server_idle_timeout"] == 600
    for text in ("4 active, 7 idle, 2 waiting", "server_idle_timeout 600.0 s", "name each console"):
        assert text in page
    assert "client_idle_timeout" not in page


async def test_a_bouncer_that_is_down_says_why_and_knows_no_numbers() -> None:
    view = BouncerView("bouncer:6432", up=False, reason="refused: no")
    async with a_web(bouncers=(view,)) as web:
        (bouncer,) = (await web.get("/api/v1/checkouts")).json()["pgbouncers"]
        page = (await web.get("/")).text

    assert (bouncer["up"], bouncer["clients"], bouncer["version"]) == (False, None, None)
    assert "refused: no" in page


async def test_the_pages_need_no_script_and_none_from_elsewhere() -> None:
    async with a_web(a_blocked_checkout(), an_unlinked_checkout()) as web:
        answers = [await web.get("/"), await web.get(POOL)]

    for answer in answers:
        assert '<noscript><meta http-equiv="refresh" content="2"></noscript>' in answer.text
        assert scripts_of(answer.text) == ["/page.js", "/copy.js"]
        assert "http://" not in answer.text
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'self'; script-src 'self'; ")
        assert "unsafe" not in policy
        assert answer.headers["cache-control"] == "no-store"
    for text in ("blocked", "/pay", "shop/orders.py:42", "4711", "Lock/tuple", "/report at"):
        assert text in answers[1].text


async def test_the_start_page_begins_with_what_is_wrong_and_ends_with_the_servers() -> None:
    views = (ServerView("main", up=True),), (BouncerView("bouncer", up=True),)
    async with a_web(an_unlinked_checkout(), servers=views[0], bouncers=views[1]) as web:
        page = (await web.get("/")).text

    sections = ("Pools", "Lock queues", "Silent processes", "Servers", "PgBouncers")
    places = [page.index(f">{title}</h2>") for title in sections]
    assert places == sorted(places)
    assert page.index("pools in trouble") < places[0]


async def test_the_pages_escape_what_applications_say() -> None:
    async with a_web(an_unlinked_checkout(route="<script>alert(1)</script>")) as web:
        page = (await web.get(POOL)).text

    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/pool/shop/orders", 200),
        ("/pool/shop/no-such-pool", 200),
        ("/pool/shop/a%2Fb", 200),
        ("/pool/shop/a/b", 404),
        ("/pool/shop/orders?limit=x", 400),
        ("/live?limit=x", 400),
        ("/live/pool/shop/a/b", 404),
    ],
)
async def test_an_address_names_a_service_and_a_pool(path: str, status: int) -> None:
    async with a_web() as web:
        assert (await web.get(path)).status_code == status


@pytest.mark.parametrize("path", ["/nothing", "/pool/shop/a%0Ab", "/pool/shop/a/b"])
async def test_what_is_not_there_is_one_line_of_text(path: str) -> None:
    async with a_web() as web:
        answer = await web.get(path)

    assert (answer.status_code, answer.text) == (404, "no such page\n")
    assert answer.headers["content-type"].startswith("text/plain")


async def test_a_name_with_a_slash_has_its_page() -> None:
    state = PoolAssessment(a_pool(name="a/b"), PoolNumbers(), PoolDiagnosis(Diagnosis.FULL, ()))
    async with a_web(pools=(state,)) as web:
        page = (await web.get("/pool/shop/a%2Fb")).text

    assert "pool a/b of shop" in page
    assert 'data-live="/live/pool/shop/a%2Fb"' in page


async def test_a_pool_that_nobody_pushes_is_one_clear_sentence() -> None:
    async with a_web() as web:
        page = (await web.get("/pool/shop/<no>")).text

    assert "No process pushes this pool" in page
    assert "<no>" not in page


async def test_an_empty_page_says_what_is_missing() -> None:
    situation = Situation((), (), (), (), 0.0)
    exposition = Exposition(lambda: Scrape(situation, (), (), (), (), {}, {}))
    sources = Sources(lambda: situation, exposition, lambda: True, lambda: "now")
    transport = httpx.ASGITransport(create_web(sources, None))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as web:
        page = (await web.get("/")).text

    assert "No server is configured" in page
    assert "No application has pushed yet" in page
    assert "No process fell silent" in page


async def test_page_and_api_say_value_range_and_cure_of_each_check() -> None:
    checks = (
        ConfigCheck(CheckId.C1, Result.WARN, "pool_size", 30, "5 to 20", "set <it> lower"),
        ConfigCheck(
            CheckId.C3, Result.UNKNOWN, "pool_timeout", None, "10 to 30 s", "is not reported"
        ),
        ConfigCheck(CheckId.C5, Result.OK, "pool_pre_ping", "on", "on", "note: a <slow> ping"),
        ConfigCheck(CheckId.C8, Result.OK, "pool_size", 7, "less than 100"),
    )
    async with a_web(checks=checks) as web:
        start, page = (await web.get("/")).text, (await web.get(POOL)).text
        [pool] = (await web.get("/api/v1/pools")).json()["pools"]

    for text in ("C1", "pool_size", "30", "5 to 20", "set &lt;it&gt; lower", "is not reported"):
        assert text in page
    assert "<small>configuration warns: C1</small>" in start
    assert "C5 pool_pre_ping: on (on); note: a &lt;slow&gt; ping" in page
    assert "C8 pool_size: 7 (less than 100)" in page
    assert page.count("<tr") == page.count("</tr>")
    assert page.count("<td") == page.count("</td>")
    assert pool["config_checks"][0] == {
        "check_id": "C1",
        "result": "warn",
        "setting": "pool_size",
        "value": 30,
        "safe_range": "5 to 20",
        "cure": "set <it> lower",
    }


async def test_the_page_shows_only_what_its_query_asks_for() -> None:
    async with a_web(a_blocked_checkout()) as web:
        mine = (await web.get("/?service=shop&pool=orders")).text
        others = (await web.get("/?service=another")).text

    assert "1 of 15 connections leaked" in mine
    assert 'only service <code>shop</code>, pool <code>orders</code> · <a href="/">' in mine
    assert "1 of 15 connections leaked" not in others


async def test_a_wrong_query_of_the_page_is_one_clear_error() -> None:
    async with a_web() as web:
        answer = await web.get("/?svc=shop")

    assert (answer.status_code, answer.text) == (
        400,
        (
            "'svc': unknown parameter; use service, namespace, pool, instance, verdict, q,"
            " limit, refresh\n"
        ),
    )


async def test_what_a_query_of_the_page_gives_is_escaped() -> None:
    async with a_web() as web:
        page = (await web.get("/", params={"pool": "<script>"})).text

    assert "<script>" not in page
    assert "pool <code>&lt;script&gt;</code>" in page
