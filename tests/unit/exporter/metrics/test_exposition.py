"""The text of /metrics: read by the official parsers, linted, and without a series twice."""

from dataclasses import replace

import pytest
from prometheus_client import Metric, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.registry import Collector

from poolscope import catalogue
from poolscope.catalogue import Evidence, Kind
from poolscope_exporter.core.capacity.headroom import headroom
from poolscope_exporter.core.capacity.pgbouncer_headroom import (
    BouncerDatabase,
    BouncerLimits,
    bouncer_headroom,
)
from poolscope_exporter.core.checks.model import CheckId, ConfigCheck, Result
from poolscope_exporter.core.fleet.fleet import InstanceState
from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers
from poolscope_exporter.core.fleet.service_totals.route_totals import (
    MAX_ROUTES_PER_POOL,
    ServiceTotal,
    service_pool_of,
)
from poolscope_exporter.core.judging.diagnosis import Diagnosis, PoolDiagnosis
from poolscope_exporter.core.judging.leak_evidence import Standing
from poolscope_exporter.core.judging.situation import PoolAssessment, Situation
from poolscope_exporter.core.judging.verdicts import Judgement, Verdict
from poolscope_exporter.core.judging.views import BouncerView, ServerView
from poolscope_exporter.core.linking.link import Link, LinkLevel, NoLink, Unlinked
from poolscope_exporter.core.model.bouncer_traffic import (
    BouncerTraffic,
    DatabaseTotals,
    LentConnections,
)
from poolscope_exporter.core.model.checkouts import Instance
from poolscope_exporter.core.model.idle_timeouts import IdleTimeout, declared
from poolscope_exporter.core.model.pushes import Attributes, HistogramValue, Point
from poolscope_exporter.core.model.servers import (
    ConfiguredServer,
    Privilege,
    ServerLimits,
    ServerRole,
)
from poolscope_exporter.core.model.session_groups import OwnerSessions
from poolscope_exporter.core.own_metrics import (
    HELD_IDLE_TIME,
    HELD_IN_TRANSACTION_TIME,
    HELD_SEEN_TIME,
)
from poolscope_exporter.metrics.exposition import MAX_SCRAPES, Exposition, write_delay_s
from poolscope_exporter.metrics.scrape import Scrape
from poolscope_exporter.polling.record import PollReport
from poolscope_exporter.polling.tiers import TierReport
from support.exporter.builders import (
    a_bouncer_sample,
    a_checkout,
    a_point,
    a_pool,
    a_server,
    a_session,
    an_instance,
    pool_points,
)
from support.exporter.processes import an_instance_state
from support.prometheus.promlint import problems

WORKER = {"host.name": "node-1", "k8s.pod.name": "shop-abc", "process.pid": "17"}
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
Sample = tuple[str, frozenset[tuple[str, str]]]


def a_situation(
    *judgements: Judgement,
    pools: tuple[PoolAssessment, ...] = (),
    servers: tuple[ServerView, ...] = (),
    instances: tuple[InstanceState, ...] = (),
    bouncers: tuple[BouncerView, ...] = (),
    configured_idle: tuple[IdleTimeout, ...] = (),
) -> Situation:
    return Situation(judgements, pools, servers, instances, 100.0, bouncers, configured_idle)


def a_scrape(
    *points: Point,
    situation: Situation | None = None,
    polls: tuple[PollReport, ...] = (),
    bouncer_polls: tuple[PollReport, ...] = (),
    instance: Instance | None = None,
    routes: tuple[ServiceTotal, ...] = (),
    held_time: tuple[ServiceTotal, ...] = (),
    resolutions: tuple[tuple[str, str, int], ...] = (),
) -> Scrape:
    return Scrape(
        situation=situation or a_situation(),
        series=[(instance or an_instance(), point) for point in points],
        routes=routes,
        held_time=held_time,
        polls=polls,
        requests={"ok": 3},
        refused={"unknown_metric": 1},
        bouncer_polls=bouncer_polls,
        resolutions=resolutions,
    )


def a_judgement(
    checkout_id: int,
    verdict: Verdict = Verdict.LEAKED,
    *,
    age_s: float = 10.0,
    route: str | None = "/orders",
    link: Link | NoLink | None = None,
) -> Judgement:
    linked = Link(LinkLevel.ADDRESS, "main", a_session(), 100.0)
    checkout = a_checkout(checkout_id, route=route, evidence=Evidence.REQUEST_FINISHED)
    return Judgement(
        checkout, age_s, verdict, None, checkout.evidence, link or linked, confirmed=True
    )


def a_view(*, up: bool = True) -> ServerView:
    limits = ServerLimits(100, 3, 0, role_limits={"shop": 10})
    return ServerView(
        server="main",
        up=up,
        identity=a_server("main", privilege=Privilege.MEMBER),
        limits=limits if up else None,
        connections={"idle": 2, "hidden": 0} if up else None,
        headroom=headroom(limits, 30, {"shop": 9}, {}) if up else None,
        orphans={("acme", "shop"): 2} if up else None,
        active_on_cpu=3 if up else None,
        configured=ConfiguredServer("main", cpus=16.0),
    )


def everything() -> Scrape:
    wait = a_point(catalogue.WAIT_TIME, HistogramValue((0.5, 2.0), (4, 1, 2), 9.5))
    limits = BouncerLimits(100, {"orders": BouncerDatabase(20, is_paused=True)})
    sample = replace(
        a_bouncer_sample(), total_clients=97, serving={("orders", "a"): 9, ("orders", "b"): 1}
    )
    situation = a_situation(
        a_judgement(1),
        pools=(
            PoolAssessment(
                a_pool(),
                PoolNumbers(),
                PoolDiagnosis(Diagnosis.LEAKING, ("why",)),
                checks=(ConfigCheck(CheckId.C4, Result.WARN, "pool_recycle", None, "low", "cure"),),
                server="main",
            ),
        ),
        servers=(a_view(),),
        instances=(an_instance_state(WORKER),),
        bouncers=(
            BouncerView(
                "bouncer",
                up=True,
                clients={"active": 1, "idle": 0, "waiting": 3},
                timeouts_s={"client_idle_timeout": 300.0},
                headroom=bouncer_headroom(limits, sample),
                paused=limits.paused,
                potential_clients=120,
                traffic=BouncerTraffic(
                    (LentConnections("orders", "shop", waiting=2, longest_s=1.0),),
                    (DatabaseTotals("orders", 2.0, 9, 3, 3),),
                ),
            ),
        ),
        configured_idle=declared(1800.0, 350.0),
    )
    report = PollReport("main", 1_700_000_000.0, 0.002, {"refused": 2})
    bouncers_report = PollReport("bouncer", 1_700_000_000.0, 0.001, {"timeout": 4})
    routes = (ServiceTotal(service_pool_of(a_pool()), "/", catalogue.ROUTE_CHECKOUTS.name, 3.0),)
    return a_scrape(
        *pool_points(),
        wait,
        a_point(),
        situation=situation,
        polls=(report,),
        bouncer_polls=(bouncers_report,),
        resolutions=(("bouncer.example:6432", "ok", 7),),
        routes=routes,
    )


async def own_samples(report: PollReport, view: ServerView) -> dict[str, float]:
    """Return the samples of our own cost and of the server's role that are not 0."""
    scrape = a_scrape(situation=a_situation(servers=(view,)), polls=(report,))
    samples = [sample for family in await families_of(scrape) for sample in family.samples]
    wanted = ("poolscope_exporter_conn", "poolscope_poll_tier_", "poolscope_server_role")
    named = [s for s in samples if s.name.startswith((*wanted, "poolscope_server_changes"))]
    return {" ".join((s.name, *s.labels.values())): s.value for s in named if s.value}


async def test_own_cost_and_the_servers_role_are_published() -> None:
    tiers = TierReport({"suspects": 0.5}, {"facts": 2})
    report = PollReport("main", None, None, {}, 1, tiers, {"replaced": 3})
    view = ServerView("main", up=False, reason="wrong_role: no", place=ServerRole.REPLICA)

    assert await own_samples(report, view) == {
        "poolscope_exporter_connections main": 1,
        "poolscope_poll_tier_seconds_total main suspects": 0.5,
        "poolscope_poll_tier_missed_total main facts": 2,
        "poolscope_server_changes_total replaced main": 3,
        "poolscope_server_role replica main": 1,
    }


async def test_a_server_whose_role_nobody_knows_has_none() -> None:
    view = ServerView("main", up=False, reason="refused: no")

    assert await own_samples(PollReport("main", None, None, {}), view) == {}


async def text_of(scrape: Scrape, accept: str = "") -> bytes:
    parts, _ = await Exposition(lambda: scrape).render(accept)
    return b"".join(parts)


async def families_of(scrape: Scrape, accept: str = "") -> list[Metric]:
    parse = parse_openmetrics if accept else parse_text
    return list(parse((await text_of(scrape, accept)).decode()))


async def samples_of(scrape: Scrape, name: str) -> dict[frozenset[tuple[str, str]], float]:
    """Return the samples of that name by their labels."""
    return {
        frozenset(sample.labels.items()): sample.value
        for family in await families_of(scrape)
        for sample in family.samples
        if sample.name == name
    }


async def the_sample(scrape: Scrape, name: str, **labels: str) -> float | None:
    found = await samples_of(scrape, name)
    matching = [value for key, value in found.items() if labels.items() <= dict(key).items()]
    assert len(matching) < 2, f"several samples of {name}: {found}"
    return matching[0] if matching else None


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
async def test_the_official_parsers_read_all_of_it(accept: str) -> None:
    families = await families_of(everything(), accept)

    names = {sample.name for family in families for sample in family.samples}
    assert {
        "db_client_connection_count",
        "db_client_connection_wait_time_seconds_bucket",
        "poolscope_checkouts_total",
        "poolscope_held_checkouts",
        "poolscope_build_info",
    } <= names


async def test_no_series_appears_twice() -> None:
    seen: set[Sample] = set()
    for family in await families_of(everything()):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in seen
            seen.add(key)


async def test_held_checkouts_of_endless_routes_are_a_bounded_number_of_series() -> None:
    held = [replace(a_judgement(n), checkout=a_checkout(n, route=f"/{n}")) for n in range(300)]

    found = await samples_of(a_scrape(situation=a_situation(*held)), "poolscope_held_checkouts")

    assert len(found) == MAX_ROUTES_PER_POOL + 1
    assert sum(found.values()) == 300


async def test_names_and_help_pass_the_rules_of_promlint() -> None:
    assert problems(await families_of(everything(), OPENMETRICS)) == []


async def test_no_label_holds_a_pid_or_a_port_of_a_client() -> None:
    body = await text_of(everything())

    assert b"4711" not in body
    assert b"50002" not in body
    assert b"place_order" not in body


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
async def test_the_series_of_the_process_are_those_of_the_official_client(accept: str) -> None:
    process = list(ProcessCollector(registry=None).collect())
    assert process
    scrape = replace(everything(), process=process)
    exposed = {family.name: family for family in await families_of(scrape, accept)}
    for family in process:
        found = exposed[family.name]
        assert (found.type, found.documentation) == (family.type, family.documentation)
        assert found.samples[0].value == family.samples[0].value


async def test_a_series_carries_its_process_and_its_pool() -> None:
    (labels,) = await samples_of(a_scrape(a_point(catalogue.MAX, 15)), "db_client_connection_max")

    assert dict(labels) == {
        "service_namespace": "acme",
        "service_name": "shop",
        "service_instance_id": "shop-1",
        "db_client_connection_pool_name": "orders",
        "db_namespace": "orders",
        "server_address": "10.0.0.1",
        "server_port": "5432",
    }


async def test_a_histogram_is_cumulative_and_its_bounds_are_exact() -> None:
    scrape = a_scrape(a_point(catalogue.WAIT_TIME, HistogramValue((0.5, 2.0), (4, 1, 2), 9.5)))
    name = "db_client_connection_wait_time_seconds"

    buckets = {
        dict(labels)["le"]: value
        for labels, value in (await samples_of(scrape, f"{name}_bucket")).items()
    }

    assert buckets == {"0.5": 4, "2.0": 5, "+Inf": 7}
    assert await the_sample(scrape, f"{name}_count") == 7
    assert await the_sample(scrape, f"{name}_sum") == 9.5


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
async def test_a_sum_that_the_sender_left_out_is_absent(accept: str) -> None:
    point = a_point(catalogue.WAIT_TIME, HistogramValue((0.5,), (4, 1), float("nan")))

    families = await families_of(a_scrape(point), accept)

    (family,) = (each for each in families if each.name.endswith("wait_time_seconds"))
    assert [sample.value for sample in family.samples] == [4, 5]


async def test_series_that_would_collide_are_summed() -> None:
    histogram = a_point(catalogue.WAIT_TIME, HistogramValue((0.5,), (4, 1), 1.0))
    scrape = a_scrape(a_point(value=2), a_point(value=3), histogram, histogram)

    assert await the_sample(scrape, "poolscope_checkouts_total") == 5
    name = "db_client_connection_wait_time_seconds_bucket"
    assert await the_sample(scrape, name, le="0.5") == 8


async def test_of_colliding_histograms_with_unequal_bounds_the_later_is_exposed_whole() -> None:
    earlier = a_point(catalogue.WAIT_TIME, HistogramValue((0.1,), (9, 9), 9.0))
    later = a_point(catalogue.WAIT_TIME, HistogramValue((0.5, 2.0), (4, 1, 2), 1.5))
    scrape = a_scrape(earlier, later)

    name = "db_client_connection_wait_time_seconds"
    assert await the_sample(scrape, f"{name}_count") == 7
    assert await the_sample(scrape, f"{name}_sum") == 1.5
    bounds = [dict(labels)["le"] for labels in await samples_of(scrape, f"{name}_bucket")]
    assert bounds == ["0.5", "2.0", "+Inf"]


async def test_a_name_that_two_senders_use_for_two_types_is_exposed_once() -> None:
    gauge = Point("db.client.connection.x", Kind.GAUGE, "", {}, 1.0)
    counter = Point("db.client.connection.x", Kind.COUNTER, "", {}, 2.0)
    scrape = a_scrape(gauge, counter)

    for accept in ("", OPENMETRICS):
        families = await families_of(scrape, accept)
        (family,) = (each for each in families if each.name == "db_client_connection_x")
        assert family.type == "gauge"
        assert [sample.value for sample in family.samples] == [1.0]


async def test_an_attribute_cannot_take_the_place_of_a_label_of_ours() -> None:
    attributes = {"service_name": "impostor", "le": "1", "a.b": "x", "a_b": "y"}
    point = Point("db.client.connection.x", Kind.GAUGE, "", attributes, 1.0)

    (labels,) = await samples_of(a_scrape(point), "db_client_connection_x")

    assert {"service_name": "shop", "a_b": "x"}.items() <= dict(labels).items()
    assert "le" not in dict(labels)


async def test_label_values_of_any_kind_survive() -> None:
    value = 'a "quoted" \\ back\nslash ü 🐘'
    point = Point("db.client.connection.x", Kind.GAUGE, "", {"note": value}, 1.0)
    scrape = a_scrape(point)

    for accept in ("", OPENMETRICS):
        values = [
            s.labels.get("note") for f in await families_of(scrape, accept) for s in f.samples
        ]
        assert value in values


async def test_held_checkouts_are_counted_by_verdict_evidence_and_route() -> None:
    situation = a_situation(
        a_judgement(1, age_s=7.0),
        a_judgement(2, age_s=9.0),
        a_judgement(3, Verdict.WORKING, route=None),
    )
    scrape = a_scrape(situation=situation)

    name = "poolscope_held_checkouts"
    assert await the_sample(scrape, name, verdict="leaked", http_route="/orders") == 2
    assert await the_sample(scrape, name, verdict="working", http_route="") == 1
    assert await the_sample(scrape, "poolscope_oldest_checkout_age_seconds") == 10.0


async def test_long_held_checkouts_are_counted_by_route_and_line() -> None:
    held = [a_judgement(number, Verdict.WORKING, age_s=300.0) for number in (1, 2)]
    situation = a_situation(*(replace(each, evidence=None) for each in held))
    line = {"http_route": "/orders", "poolscope_call_site": "shop/orders.py:42"}
    scrape = a_scrape(situation=situation)
    assert await the_sample(scrape, "poolscope_long_held_checkouts", **line) == 2


@pytest.mark.parametrize(
    ("standing", "values"), [(Standing.STANDS, []), (Standing.OPEN, [1]), (Standing.REFUTED, [1])]
)
async def test_evidence_that_does_not_count_has_the_labels_of_the_applications_counter(
    standing: Standing, values: list[int]
) -> None:
    judgement = replace(a_judgement(1, Verdict.WORKING), standing=standing)
    families = await families_of(a_scrape(situation=a_situation(judgement)))
    samples = [
        sample for each in families for sample in each.samples
        if sample.name == "poolscope_unproven_leaks"
    ]  # fmt: skip
    assert [sample.value for sample in samples] == values
    wanted = {
        "poolscope_evidence": "request_finished",
        "http_route": "/orders",
        "poolscope_call_site": "shop/orders.py:42",
    }
    assert all(wanted.items() <= sample.labels.items() for sample in samples)


async def test_route_series_name_the_service_and_no_instance() -> None:
    pool = service_pool_of(a_pool())
    routes = (
        ServiceTotal(pool, "/orders", catalogue.ROUTE_CHECKOUTS.name, 3.0),
        ServiceTotal(pool, "/orders", catalogue.ROUTE_HELD_TIME.name, 1.5),
    )
    held_time = (
        ServiceTotal(pool, "/orders", HELD_IDLE_TIME.name, 0.5),
        ServiceTotal(pool, "/orders", HELD_IN_TRANSACTION_TIME.name, 0.75),
        ServiceTotal(pool, "/orders", HELD_SEEN_TIME.name, 1.25),
    )
    scrape = a_scrape(routes=routes, held_time=held_time)

    found = await samples_of(scrape, "poolscope_route_checkouts_total")
    assert {tuple(sorted(dict(labels).items())): value for labels, value in found.items()} == {
        (
            ("db_client_connection_pool_name", "orders"),
            ("db_namespace", "orders"),
            ("http_route", "/orders"),
            ("server_address", "10.0.0.1"),
            ("server_port", "5432"),
            ("service_name", "shop"),
            ("service_namespace", "acme"),
        ): 3.0
    }
    assert await the_sample(scrape, "poolscope_route_held_time_seconds_total") == 1.5
    (labels,) = found
    for metric, seconds in (
        (HELD_IDLE_TIME, 0.5),
        (HELD_IN_TRANSACTION_TIME, 0.75),
        (HELD_SEEN_TIME, 1.25),
    ):
        assert await samples_of(scrape, metric.name) == {labels: seconds}


async def test_links_and_their_absence_are_counted_with_the_reason() -> None:
    situation = a_situation(a_judgement(1), a_judgement(2, link=NoLink(Unlinked.POOLER, "main")))

    found = await samples_of(a_scrape(situation=situation), "poolscope_links")

    assert found == {
        frozenset({("level", "address"), ("reason", "")}): 1,
        frozenset({("level", "unlinked"), ("reason", "pooler")}): 1,
    }


async def test_exactly_one_diagnosis_applies_to_a_pool() -> None:
    found = await samples_of(everything(), "poolscope_pool_diagnosis")

    assert {dict(labels)["diagnosis"]: value for labels, value in found.items()} == {
        each.value: float(each is Diagnosis.LEAKING) for each in Diagnosis
    }


@pytest.mark.parametrize(
    ("server", "bouncer", "shown"),
    [
        ("main", None, [("main", "")]),
        ("main", "bouncer", [("main", "bouncer")]),
        (None, "bouncer", [("", "bouncer")]),
        (None, None, []),
    ],
)
async def test_where_a_pool_leads_is_shown_where_it_is_known(
    server: str | None, bouncer: str | None, shown: list[tuple[str, str]]
) -> None:
    diagnosis = PoolDiagnosis(Diagnosis.HEALTHY, ())
    state = PoolAssessment(a_pool(), PoolNumbers(), diagnosis, server=server, bouncer=bouncer)
    scrape = a_scrape(situation=a_situation(pools=(state,)))
    found = map(dict, await samples_of(scrape, "poolscope_pool_destination"))
    assert [(labels["server"], labels["pgbouncer"]) for labels in found] == shown


async def test_a_server_shows_its_limits_and_its_room() -> None:
    scrape = everything()

    assert await the_sample(scrape, "poolscope_server_up") == 1
    assert await the_sample(scrape, "poolscope_server_headroom") == 1
    assert await the_sample(scrape, "poolscope_server_active_on_cpu") == 3
    assert await the_sample(scrape, "poolscope_server_cpus") == 16
    orphans = await samples_of(scrape, "poolscope_orphan_sessions")
    labels = {"server": "main", "service_namespace": "acme", "service_name": "shop"}
    assert orphans == {frozenset(labels.items()): 2}
    assert await the_sample(scrape, "poolscope_privilege_level", level="member") == 1
    assert await the_sample(scrape, "poolscope_privilege_level", level="full") == 0
    limit = "poolscope_server_connections_limit"
    assert await the_sample(scrape, limit, scope="server") == 97
    assert await the_sample(scrape, limit, scope="role") == 10


async def test_the_cpus_of_a_server_are_absent_when_they_are_not_set() -> None:
    view = ServerView("main", up=True)
    scrape = a_scrape(situation=a_situation(servers=(view,)))

    assert await the_sample(scrape, "poolscope_server_cpus") is None


async def test_what_is_not_known_of_a_server_is_absent_and_not_0() -> None:
    scrape = a_scrape(
        situation=a_situation(servers=(a_view(up=False),)),
        polls=(PollReport("main", None, None, {"refused": 2}),),
    )

    names = {s.name for family in await families_of(scrape) for s in family.samples}

    assert {name for name in names if name.startswith(("poolscope_server", "poolscope_p"))} == {
        "poolscope_server_up",
        "poolscope_server_cpus",
        "poolscope_poll_failures_total",
    }
    assert await the_sample(scrape, "poolscope_server_up") == 0
    assert await the_sample(scrape, "poolscope_poll_failures_total", reason="refused") == 2


async def test_a_bouncer_shows_its_clients_by_state_and_how_its_polls_go() -> None:
    scrape = everything()

    assert await the_sample(scrape, "poolscope_pgbouncer_up", pgbouncer="bouncer") == 1
    clients = await samples_of(scrape, "poolscope_pgbouncer_clients")
    assert {dict(key)["state"]: n for key, n in clients.items()} == {
        "active": 1,
        "idle": 0,
        "waiting": 3,
    }
    failures = "poolscope_pgbouncer_poll_failures_total"
    assert await the_sample(scrape, failures, reason="timeout") == 4
    last = "poolscope_pgbouncer_poll_last_success_timestamp_seconds"
    assert await the_sample(scrape, last) == 1_700_000_000
    assert await the_sample(scrape, "poolscope_pgbouncer_poll_duration_seconds") == 0.001


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        ("pgbouncer_headroom", {"pgbouncer": "bouncer", "scope": "clients"}, 3),
        ("pgbouncer_headroom", {"pgbouncer": "bouncer", "scope": "pool"}, 11),
        ("pgbouncer_connections_limit", {"pgbouncer": "bouncer", "scope": "clients"}, 100),
        ("pgbouncer_connections_limit", {"pgbouncer": "bouncer", "scope": "pool"}, 20),
        ("pgbouncer_potential_clients", {"pgbouncer": "bouncer"}, 120),
        ("pgbouncer_paused_databases", {"pgbouncer": "bouncer"}, 1),
        ("pgbouncer_resolutions_total", {"target": "bouncer.example:6432", "result": "ok"}, 7),
        ("proxy_idle_timeout_seconds", {"source": "pgbouncer", "pgbouncer": "bouncer"}, 300),
        ("proxy_idle_timeout_seconds", {"source": "configured", "pgbouncer": ""}, 1800),
        ("proxy_idle_timeout_seconds", {"source": "nat", "pgbouncer": ""}, 350),
        ("config_check", {"check_id": "C4", "result": "warn"}, 1),
        ("config_check", {"check_id": "C4", "result": "ok"}, None),
        ("config_check", {"check_id": "C4", "result": "unknown"}, None),
    ],
)
async def test_what_is_known_of_proxies_is_told(
    name: str, labels: dict[str, str], value: float | None
) -> None:
    assert await the_sample(everything(), f"poolscope_{name}", **labels) == value


async def test_a_time_out_of_none_is_absent_and_not_0() -> None:
    view = BouncerView("bouncer", True, timeouts_s={"client_idle_timeout": 0.0})
    scrape = a_scrape(situation=a_situation(bouncers=(view,)))
    assert not [f for f in await families_of(scrape) if f.name.startswith("poolscope_proxy")]


async def test_what_is_not_known_of_a_bouncer_is_absent_and_not_0() -> None:
    scrape = a_scrape(situation=a_situation(bouncers=(BouncerView("bouncer", up=False),)))

    names = {s.name for family in await families_of(scrape) for s in family.samples}

    assert {n for n in names if n.startswith("poolscope_pgb")} == {"poolscope_pgbouncer_up"}


async def test_sessions_are_counted_by_role_and_database_and_an_unknown_name_is_one() -> None:
    owners = OwnerSessions(
        ((("tenant", "orders"), 80), ((None, "orders"), 3), (("unknown", "orders"), 1)), others=7
    )
    known = ServerView("main", up=True, owners=owners)
    scrape = a_scrape(situation=a_situation(servers=(known, ServerView("dark", up=True))))

    name = "poolscope_server_sessions"
    samples = [each for f in await families_of(scrape) for each in f.samples if each.name == name]

    assert {
        (s.labels["server"], s.labels["role"], s.labels["database"], s.value) for s in samples
    } == {
        ("main", "tenant", "orders", 80),
        ("main", "unknown", "orders", 4),
        ("main", "other", "other", 7),
    }


async def test_a_process_names_its_pod_until_it_says_good_bye() -> None:
    alive = a_scrape(situation=a_situation(instances=(an_instance_state(WORKER),)))
    ended = a_scrape(situation=a_situation(instances=(an_instance_state(WORKER, ended=True),)))

    info = "poolscope_instance_info"
    named = {"host_name": "node-1", "k8s_pod_name": "shop-abc", "process_pid": "17"}
    assert await the_sample(alive, info, **named, process="shop-abc:17") == 1
    assert await the_sample(alive, "poolscope_instance_last_push_age_seconds") == 2.5
    assert await the_sample(ended, info) is None


async def test_a_second_scrape_within_a_second_is_served_from_memory() -> None:
    times = iter([100.0, 100.99, 101.0, 101.0])
    scrapes = iter([a_scrape(a_point(value=1)), a_scrape(a_point(value=2))])
    exposition = Exposition(lambda: next(scrapes), now=lambda: next(times))

    first, second, third = [(await exposition.render(""))[0] for _ in range(3)]

    assert first == second
    assert third != first


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8"),
        ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
        (OPENMETRICS, "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        ("application/openmetrics-text; version=x.y", "text/plain; version=0.0.4; charset=utf-8"),
    ],
)
async def test_the_form_is_the_one_that_the_scraper_accepts(accept: str, content_type: str) -> None:
    parts, found = await Exposition(a_scrape).render(accept)

    assert found.startswith(content_type)
    assert parts[-1].endswith(b"# EOF\n") == found.startswith("application/openmetrics-text")


@pytest.mark.parametrize("scheme", ["dots", "values"])
@pytest.mark.parametrize("form", ["text/plain", "application/openmetrics-text"])
async def test_names_stay_what_they_are_whatever_escaping_is_asked_for(
    form: str, scheme: str
) -> None:
    accept = f"{form}; version=1.0.0; escaping={scheme}"

    parts, content_type = await Exposition(a_scrape).render(accept)

    assert content_type.endswith("escaping=underscores")
    assert b"\npoolscope_build_info{" in b"".join(parts)


async def test_both_forms_are_made_of_one_scrape() -> None:
    scrapes = iter([a_scrape()])
    exposition = Exposition(lambda: next(scrapes), now=lambda: 100.0)

    for accept in ("", OPENMETRICS, "application/openmetrics-text; version=1.7.0"):
        await exposition.render(accept)


ODD = Attributes(
    {"zone": '100 %r "quoted" \\ back\nslash', "a.b": "x", "service.age": "7", "le": "1"}
)


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
async def test_the_text_is_byte_for_byte_what_the_official_encoder_writes(accept: str) -> None:
    values = (0.0, -1.0, 0.1, 1e-05, 999_999.5, 1e6, 123_456_789.0, 1.5e300, -2e9, 2.0**53)
    numbers = [
        Point(f"db.client.connection.n{at}", Kind.GAUGE, "s", ODD, value)
        for at, value in enumerate(values)
    ]
    buckets = HistogramValue((0.0005, 1.0, 2_000_000.0), (4, 1, 2_000_000, 7), 0.1)
    histogram = Point("db.client.connection.h", Kind.HISTOGRAM, "s", ODD, buckets)
    counter = Point("db.client.connection.c", Kind.COUNTER, "{thing}", {}, 3.0)
    scrape = everything()
    others = [(an_instance("shop-2"), point) for point in (*numbers, histogram, counter)]
    scrape = replace(scrape, series=[*scrape.series, *others])

    found = await families_of(scrape, accept)
    encode, _ = choose_encoder(accept)

    assert await text_of(scrape, accept) == encode(OnlyThese(found))


async def test_what_is_kept_between_expositions_never_changes_the_text() -> None:
    name = "db.client.connection.h"
    small, large = HistogramValue((0.5,), (4, 1), 0.1), HistogramValue((0.5,), (3_000_000, 1), 2e7)
    other, unsummed = (
        HistogramValue((0.25, 2.0), (1, 1, 1), 0.1),
        HistogramValue((0.5,), (4, 1), float("nan")),
    )
    histograms = [Point(name, Kind.HISTOGRAM, "s", ODD, each) for each in (small, large, other)]
    unsummed_point = Point(name, Kind.HISTOGRAM, "s", ODD, unsummed)
    scrapes = [a_scrape(point) for point in (*histograms, unsummed_point, histograms[0])]
    due = iter(scrapes)
    times = iter(range(100))
    exposition = Exposition(lambda: next(due), now=lambda: 2.0 * next(times))

    for scrape in scrapes:
        parts, _ = await exposition.render("")
        assert b"".join(parts) == await text_of(scrape)


async def test_nothing_is_kept_of_series_that_are_gone() -> None:
    many = [(an_instance(f"shop-{n}"), a_point(value=n)) for n in range(50)]
    scrapes = iter([replace(everything(), series=many), a_scrape(), a_scrape()])
    times = iter(range(100))
    exposition = Exposition(lambda: next(scrapes), now=lambda: 2.0 * next(times))

    for _ in range(3):
        await exposition.render("")

    writer = exposition._writer
    assert not writer._labels._kept
    kept = (*writer._text._heads._now, *writer._text._heads._before)
    assert not [head for head in kept if "shop-" in str(head)]


class OnlyThese(Collector):
    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> list[Metric]:
        return self._families


@pytest.mark.parametrize(
    ("period_s", "delay_s"), [(3.99, None), (4.0, 2.0), (15.0, 13.0), (120.0, 118.0), (120.1, None)]
)
def test_a_regular_scrape_is_written_before_it_comes(
    period_s: float, delay_s: float | None
) -> None:
    assert write_delay_s(period_s) == delay_s


@pytest.mark.parametrize(("later_s", "taken"), [(2.99, 1), (3.0, 2)])
async def test_what_was_written_ahead_is_served_to_the_scrape_it_was_written_for(
    later_s: float, taken: int
) -> None:
    times = iter([100.0, 100.0 + later_s, 100.0 + later_s])
    takes: list[Scrape] = []

    def take() -> Scrape:
        takes.append(a_scrape())
        return takes[-1]

    exposition = Exposition(take, now=lambda: next(times))
    await exposition.write_ahead()
    await exposition.render("")
    assert len(takes) == taken


def test_so_many_scrapes_may_be_under_way_and_no_more() -> None:
    exposition = Exposition(everything)
    slots = [exposition.begin_scrape() for _ in range(MAX_SCRAPES + 1)]
    assert slots[-1] is None
    assert None not in slots[:-1]
    assert exposition.refused == 1
    del slots[0]
    assert exposition.begin_scrape() is not None


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        ("waiting_clients", {"database": "orders", "user": "shop"}, 2),
        ("longest_wait_seconds", {"database": "orders", "user": "shop"}, 4.25),
        ("waiting_clients", {"database": "reports", "user": "bi"}, 0),
        ("longest_wait_seconds", {"database": "reports", "user": "bi"}, None),
        ("wait_seconds_total", {"database": "orders"}, 12.5),
        ("queries_total", {"database": "orders"}, 90),
        ("transactions_total", {"database": "orders"}, 30),
        ("server_assignments_total", {"database": "orders"}, None),
    ],
)
async def test_the_use_of_a_pgbouncer_is_by_database_and_user(
    name: str, labels: dict[str, str], value: float | None
) -> None:
    traffic = BouncerTraffic(
        (
            LentConnections("orders", "shop", waiting=2, longest_s=4.25),
            LentConnections("reports", "bi", waiting=0),
        ),
        (DatabaseTotals("orders", waited_s=12.5, queries=90, transactions=30),),
    )
    view = BouncerView("bouncer", up=True, traffic=traffic)
    scrape = a_scrape(situation=a_situation(bouncers=(view,)))

    found = await the_sample(scrape, f"poolscope_pgbouncer_{name}", pgbouncer="bouncer", **labels)

    assert found == value


@pytest.mark.parametrize("traffic", [None, BouncerTraffic()], ids=["unknown", "refused"])
async def test_the_unknown_use_of_a_pgbouncer_has_no_series(
    traffic: BouncerTraffic | None,
) -> None:
    view = BouncerView("bouncer", up=True, traffic=traffic)
    body = await text_of(a_scrape(situation=a_situation(bouncers=(view,))))

    assert b"poolscope_pgbouncer_waiting_clients{" not in body
    assert b"poolscope_pgbouncer_wait_seconds_total{" not in body
