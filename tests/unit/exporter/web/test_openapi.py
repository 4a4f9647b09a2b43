"""The OpenAPI document describes every path, and its schemas are what the API answers."""

import json
from dataclasses import replace

import httpx
import pytest

from poolscope_exporter.core.blocking.lock_forest import RootKind
from poolscope_exporter.core.blocking.lock_parties import LockParty
from poolscope_exporter.core.blocking.root_blockers import LockWaiter, RootBlocker
from poolscope_exporter.core.capacity.demand import NOWHERE
from poolscope_exporter.core.capacity.headroom import headroom
from poolscope_exporter.core.capacity.pgbouncer_headroom import (
    BouncerDatabase,
    BouncerLimits,
    bouncer_headroom,
)
from poolscope_exporter.core.checks.rules import PoolChecks
from poolscope_exporter.core.fleet.growth import Growth
from poolscope_exporter.core.fleet.occupancy_history import ProfileKey, ProfileRow
from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers, numbers_of
from poolscope_exporter.core.fleet.service_totals.release_totals import ReleaseKey, ReleaseNumbers
from poolscope_exporter.core.fleet.service_totals.route_totals import service_pool_of
from poolscope_exporter.core.fleet.waiter_groups import group_waiters
from poolscope_exporter.core.judging.diagnosis import Diagnosis, PoolDiagnosis
from poolscope_exporter.core.judging.situation import PoolAssessment, Situation, Withheld
from poolscope_exporter.core.judging.verdicts import Blocker, Judgement, Verdict
from poolscope_exporter.core.judging.views import BouncerView, ServerView
from poolscope_exporter.core.linking.link import Link, LinkLevel, NoLink, Unlinked
from poolscope_exporter.core.model.bouncer_traffic import (
    BouncerTraffic,
    DatabaseTotals,
    LentConnections,
)
from poolscope_exporter.core.model.idle_timeouts import IdleSource, IdleTimeout
from poolscope_exporter.core.model.lock_waits import PREPARED
from poolscope_exporter.core.model.servers import ServerLimits, ServerRole
from poolscope_exporter.core.model.sessions import SessionState
from poolscope_exporter.metrics.exposition import Exposition
from poolscope_exporter.metrics.scrape import Scrape
from poolscope_exporter.settings.shown_settings import ShownSetting
from poolscope_exporter.web.endpoints import create_web
from poolscope_exporter.web.incidents.incident_rows import ShownIncidents
from poolscope_exporter.web.openapi import OPERATIONS
from poolscope_exporter.web.sources import Sources
from support.exporter.api_schema import problems_of
from support.exporter.builders import (
    a_bouncer_sample,
    a_checkout,
    a_pool,
    a_server,
    a_session,
    a_waiting_caller,
    pool_points,
)
from support.exporter.incident_looks import a_full_incident, an_incident

API = (
    "/api/v1/checkouts",
    "/api/v1/pools",
    "/api/v1/blockers",
    "/api/v1/profile",
    "/api/v1/incidents",
    "/api/v1/releases",
    "/api/v1/settings",
)
PROFILE = [
    ProfileRow(service_pool_of(a_pool()), ProfileKey("/pay", "", "", "", "database"), 2.0),
]
INCIDENTS = (an_incident(), a_full_incident())
RELEASES = [
    ReleaseNumbers(ReleaseKey(service_pool_of(a_pool()), "1.2"), 3, 2, 60.0, 90, 0.25, 8, 2, 1),
    ReleaseNumbers(
        ReleaseKey(service_pool_of(a_pool()), "1.1"), 1, 0, 99.0, None, None, None, None, None
    ),
]
SETTINGS = (
    ShownSetting("main", "dsn", "10.0.0.1:5432", is_default=False),
    ShownSetting(None, "token_file", None, is_default=True),
)
NOTHING = Situation((), (), (), (), 0.0)


def judgements() -> tuple[Judgement, ...]:
    """Return a checkout of each kind: linked by each witness and unlinked for each reason."""
    session = a_session(97, state=SessionState.IDLE)
    blockers = (
        Blocker(99, None),
        Blocker(98, a_checkout(8), session=session),
        Blocker(97, None, a_pool(), is_foreign=True, last=a_checkout(6), session=session),
    )
    sessions = [
        a_session(state=state, wait_event_type="Lock", wait_event="tuple") for state in SessionState
    ]
    links = [
        Link(level, "main", session, 100.0, "bouncer")
        for level in LinkLevel
        for session in sessions
    ]
    unlinked = [NoLink(reason, None, lasted_s=1.5) for reason in Unlinked]
    of_each_verdict = [
        Judgement(a_checkout(1), 5.0, verdict, None, None, links[0], True, blockers)
        for verdict in Verdict
    ]
    return (
        *(Judgement(a_checkout(), 5.0, Verdict.WORKING, None, None, link, True) for link in links),
        *(
            Judgement(a_checkout(), 5.0, Verdict.UNKNOWN, link.reason, None, link, False)
            for link in unlinked
        ),
        *of_each_verdict,
    )


def pools() -> tuple[PoolAssessment, ...]:
    """Return a pool of which nothing is known, and one of each diagnosis with its checks."""
    waiters = group_waiters(1, [a_waiting_caller()])
    numbers = replace(
        numbers_of(pool_points(), (2, 1), Growth(), waiters),
        timeout_s=30.0,
        library="sqlalchemy",
        size=5,
    )
    idle = IdleTimeout(IdleSource.PGBOUNCER, 300.0, "bouncer")
    checks = PoolChecks().check_pool(numbers, (idle,), NOWHERE)
    return (
        PoolAssessment(a_pool(), PoolNumbers(), PoolDiagnosis(Diagnosis.UNKNOWN, ())),
        *(
            PoolAssessment(
                a_pool(), numbers, PoolDiagnosis(each, ("why",)), checks, idle, "main", "bouncer"
            )
            for each in Diagnosis
        ),
    )


def everything() -> Situation:
    limits = ServerLimits(100, 3, 0, role_limits={"shop": 10})
    bouncer_limits = BouncerLimits(100, {"orders": BouncerDatabase(20, is_paused=True)})
    sample = replace(a_bouncer_sample(), serving={("orders", "shop"): 9})
    servers = (
        ServerView("down", up=False, reason="refused: no"),
        ServerView(
            "main",
            up=True,
            identity=a_server("main"),
            limits=limits,
            connections={"idle": 2},
            headroom=headroom(limits, 30, {"shop": 9}, {}),
            last_success_age_s=0.5,
            place=ServerRole.PRIMARY,
        ),
    )
    bouncers = (
        BouncerView("down", up=False, reason="refused: no"),
        BouncerView(
            "bouncer",
            up=True,
            version="PgBouncer 1.24.1",
            clients={"active": 4},
            timeouts_s={"client_idle_timeout": 0.0},
            last_success_age_s=0.5,
            headroom=bouncer_headroom(bouncer_limits, sample),
            paused=frozenset({"orders"}),
            potential_clients=45,
            traffic=BouncerTraffic(
                (LentConnections("orders", "shop", 1, 2, 3.5, 1, 0), LentConnections("a", "b")),
                (DatabaseTotals("orders", 2.5, 7, 3, 3), DatabaseTotals("a")),
            ),
        ),
    )
    return Situation(
        judgements(),
        pools(),
        servers,
        (),
        100.0,
        bouncers,
        withheld=Withheld(1, 2),
        blockers=lock_queues(),
    )


def lock_queues() -> tuple[RootBlocker, ...]:
    """Return a queue of each kind, with sessions of which all or nothing is known."""
    queue = (
        LockWaiter(LockParty(20, a_session(20), a_pool(), a_checkout(2)), 10, 1),
        LockWaiter(LockParty(30), 20, 2, others=(10,)),
    )
    idle = LockParty(10, a_session(10), a_pool(), None, a_checkout(1))
    prepared = RootBlocker("main", RootKind.PREPARED, LockParty(PREPARED), queue)
    return (*(RootBlocker("main", kind, idle, queue, 3) for kind in RootKind), prepared)


def a_web(situation: Situation) -> httpx.AsyncClient:
    exposition = Exposition(lambda: Scrape(situation, (), (), (), (), {}, {}))
    sources = Sources(
        lambda: situation,
        exposition,
        lambda: True,
        lambda: "now",
        profile=lambda _: PROFILE,
        incidents=lambda: ShownIncidents(INCIDENTS, 1),
        releases=lambda: RELEASES,
        settings=SETTINGS,
    )
    transport = httpx.ASGITransport(create_web(sources, None))
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")


@pytest.mark.parametrize("path", API)
@pytest.mark.parametrize("situation", [NOTHING, everything()], ids=["nothing", "everything"])
async def test_answer_has_the_fields_of_its_schema_and_no_others(
    situation: Situation, path: str
) -> None:
    async with a_web(situation) as web:
        document = (await web.get("/openapi.json")).json()
        answer = (await web.get(path)).json()

    assert problems_of(answer, path, document) == []


@pytest.mark.parametrize("path", API)
async def test_example_is_an_answer_of_its_schema(path: str) -> None:
    async with a_web(NOTHING) as web:
        document = (await web.get("/openapi.json")).json()
    [content] = document["paths"][path]["get"]["responses"]["200"]["content"].values()

    assert problems_of(content["example"], path, document) == []


async def test_answer_without_a_documented_field_is_a_problem() -> None:
    async with a_web(everything()) as web:
        document = (await web.get("/openapi.json")).json()
        answer = (await web.get("/api/v1/pools")).json()
    del answer["pools"][0]["used"]
    answer["pools"][1]["novelty"] = 1
    answer["pools"][2]["diagnosis"] = "tired"

    assert len(problems_of(answer, "/api/v1/pools", document)) == 3


async def test_document_has_every_path_and_says_which_are_guarded() -> None:
    async with a_web(NOTHING) as web:
        paths = (await web.get("/openapi.json")).json()["paths"]

    assert paths.keys() == {operation.path for operation in OPERATIONS}
    guarded = {path for path, methods in paths.items() if "security" in methods["get"]}
    pages = {"/", "/pool/{service}/{pool}", "/live", "/live/pool/{service}/{pool}", "/incidents"}
    assert guarded == {*pages, "/docs", "/openapi.json", *API}
    for path in guarded:
        assert {"401", "403"} <= paths[path]["get"]["responses"].keys()


async def test_page_of_the_document_shows_paths_fields_and_examples_without_script() -> None:
    async with a_web(NOTHING) as web:
        response = await web.get("/docs")

    for text in (
        "GET /api/v1/checkouts</code>",
        "application/json: CheckoutsAnswer",
        "list of BlockingCheckoutRow or StrangerRow",
        "<code>server_query_age_s</code>",
        "number or null",
        "&#34;verdict&#34;: &#34;leaked&#34;",
        "<code>idle_in_transaction</code>",
    ):
        assert text in response.text
    assert "<script" not in response.text
    assert "http://" not in response.text
    assert "https://" not in response.text
    assert "default-src 'none'" in response.headers["content-security-policy"]


async def test_document_is_served_as_json_that_nobody_stores() -> None:
    async with a_web(NOTHING) as web:
        response = await web.get("/openapi.json")

    assert json.loads(response.content)["openapi"].startswith("3.1")
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
