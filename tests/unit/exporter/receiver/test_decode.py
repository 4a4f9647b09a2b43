"""Decoding of OTLP requests into pushes."""

import math

import pytest
from google.protobuf import json_format
from opentelemetry.proto.metrics.v1.metrics_pb2 import DataPointFlags, Metric

from poolscope import catalogue
from poolscope.catalogue import Evidence, Kind, OwnerKind, Phase, Publisher, UnitKind
from poolscope_exporter.core.model.checkouts import Checkout, Instance, Pool
from poolscope_exporter.core.model.endpoints import Endpoint
from poolscope_exporter.core.model.pushes import (
    HistogramValue,
    LoopStall,
    Point,
    PoolGeneration,
    PoolsMade,
    Push,
    WaitingCaller,
    WaitingCallers,
)
from poolscope_exporter.receiver import decode as otlp
from poolscope_exporter.receiver.attributes import MAX_TEXT_LENGTH
from poolscope_exporter.receiver.decode import (
    MalformedPushError,
    decode,
    parse_json,
    parse_protobuf,
)
from support.exporter.builders import an_inherited_connection
from support.exporter.otlp_messages import (
    CUMULATIVE,
    DELTA,
    POOL,
    UNSPECIFIED,
    Attributes,
    a_gauge,
    a_histogram,
    a_marker,
    a_request,
    a_sum,
    a_summary,
    an_exponential_histogram,
    gauges,
    number,
)

ORDERS = Pool(Instance("acme", "shop", "shop-1"), "orders", "orders", "10.0.0.1", 5432)

CHECKOUT: Attributes = {
    **POOL,
    catalogue.CHECKOUT_ID: 12,
    catalogue.BACKEND_PID: 4711,
    catalogue.LOCAL_ADDRESS: "10.0.0.7",
    catalogue.LOCAL_PORT: 50002,
    catalogue.PEER_ADDRESS: "10.0.0.1",
    catalogue.PEER_PORT: 5432,
    catalogue.CONNECTION_AGE: 61.5,
    catalogue.HTTP_ROUTE: "/orders/{id}",
    catalogue.CODE_FILE_PATH: "shop/orders.py",
    catalogue.CODE_LINE_NUMBER: 42,
    catalogue.CODE_FUNCTION_NAME: "export",
    catalogue.OWNER_KIND: "request",
    catalogue.UNIT_KIND: "request",
    catalogue.UNIT_NAME: "/orders/{id}",
    catalogue.EVIDENCE: "request_finished",
    catalogue.TRACE_ID: "ab" * 16,
}

WAITER: Attributes = {
    **POOL,
    catalogue.WAITER_ID: 13,
    catalogue.PHASE: "connect",
    catalogue.HTTP_ROUTE: "/report",
    catalogue.CODE_FILE_PATH: "shop/report.py",
    catalogue.CODE_LINE_NUMBER: 20,
    catalogue.CODE_FUNCTION_NAME: "report",
    catalogue.OWNER_KIND: "request",
}


def the_push(*metrics: Metric, push: tuple[Metric, ...] = ()) -> Push:
    (push_found,) = decode(a_request(*metrics, push=push)).pushes
    return push_found


def the_point(metric: Metric) -> Point:
    (point,) = the_push(metric).points
    return point


def a_list(*checkouts: Attributes, held: int | None = None, listed: int | None = None) -> Push:
    count = len(checkouts)
    return the_push(
        push=(
            a_marker(),
            gauges(catalogue.CHECKOUT_AGE.name, *(number(8.5, each) for each in checkouts)),
            gauges(catalogue.CHECKOUTS_HELD.name, number(count if held is None else held)),
            gauges(catalogue.CHECKOUTS_LISTED.name, number(count if listed is None else listed)),
        )
    )


def a_queue(*waiters: Attributes, waiting: int | None = None, listed: int | None = None) -> Push:
    count = len(waiters)
    return the_push(
        push=(
            a_marker(),
            gauges(catalogue.WAITER_AGE.name, *(number(4.5, each) for each in waiters)),
            gauges(catalogue.WAITERS_WAITING.name, number(count if waiting is None else waiting)),
            gauges(catalogue.WAITERS_LISTED.name, number(count if listed is None else listed)),
        )
    )


@pytest.mark.parametrize(
    ("metric", "kind", "is_delta"),
    [
        (a_gauge("poolscope.m", 3.0), Kind.GAUGE, False),
        (a_sum("poolscope.m", 3), Kind.COUNTER, False),
        (a_sum("poolscope.m", 3, temporality=DELTA), Kind.COUNTER, True),
        (a_sum("poolscope.m", 3, is_monotonic=False), Kind.UP_DOWN_COUNTER, False),
    ],
)
def test_each_kind_of_number_is_told_apart(metric: Metric, kind: Kind, is_delta: bool) -> None:
    point = the_point(metric)

    assert (point.kind, point.is_delta, point.value) == (kind, is_delta, 3.0)
    assert point.attributes == {
        catalogue.POOL_NAME: "orders",
        catalogue.DB_NAMESPACE: "orders",
        catalogue.SERVER_ADDRESS: "10.0.0.1",
        catalogue.SERVER_PORT: "5432",
    }


@pytest.mark.parametrize("value", [3, 3.0])
def test_a_number_may_be_an_integer_or_a_double(value: float) -> None:
    assert the_point(a_sum("poolscope.m", value)).value == 3.0


@pytest.mark.parametrize(("temporality", "is_delta"), [(CUMULATIVE, False), (DELTA, True)])
def test_a_histogram_keeps_its_own_buckets(temporality: int, is_delta: bool) -> None:
    point = the_point(a_histogram("poolscope.m", [0.5, 2.0], [4, 1, 2], temporality=temporality))  # type: ignore[arg-type]

    assert point.value == HistogramValue((0.5, 2.0), (4, 1, 2), 1.5)
    assert (point.kind, point.unit, point.is_delta) == (Kind.HISTOGRAM, "s", is_delta)


def test_a_histogram_without_sum_has_an_unknown_sum() -> None:
    value = the_point(a_histogram("poolscope.m", [0.5], [4, 1], total=None)).value

    assert isinstance(value, HistogramValue)
    assert math.isnan(value.sum)


@pytest.mark.parametrize(
    ("metric", "reason"),
    [
        (a_histogram("poolscope.m", [0.5, 2.0], [4, 1]), "malformed_point"),
        (a_histogram("poolscope.m", [2.0, 0.5], [4, 1, 1]), "malformed_point"),
        (a_histogram("poolscope.m", [0.5, 0.5], [4, 1, 1]), "malformed_point"),
        (a_histogram("poolscope.m", [0.5], [4, 1], count=7), "malformed_point"),
        (a_histogram("poolscope.m", [math.inf], [4, 1]), "malformed_point"),
        (a_histogram("poolscope.m", range(200), [0] * 201), "malformed_point"),
        (a_gauge("poolscope.m", math.nan), "malformed_point"),
        (a_gauge("poolscope.m", math.inf), "malformed_point"),
        (a_sum("poolscope.m", -1), "malformed_point"),
        (a_summary("poolscope.m"), "summary"),
        (a_sum("poolscope.m", 3, is_monotonic=False, temporality=DELTA), "delta_of_gauge"),
        (a_sum("poolscope.m", 3, temporality=UNSPECIFIED), "unknown_temporality"),
        (a_gauge("poolscope.m" * 25, 1), "name_too_long"),
        (a_gauge("poolscope.m", 1, unit="s" * 64), "name_too_long"),
        (an_exponential_histogram("poolscope.m", {0: 1}, count=2), "malformed_point"),
        (an_exponential_histogram("poolscope.m", {0: 1}, scale=21), "malformed_point"),
        (an_exponential_histogram("poolscope.m", {0: 1}, scale=-11), "malformed_point"),
        (an_exponential_histogram("poolscope.m", {}, negative=(1,)), "malformed_point"),
        (an_exponential_histogram("poolscope.m", {1024: 1}), "malformed_point"),
        (an_exponential_histogram("poolscope.m", {}, zero_threshold=math.nan), "malformed_point"),
    ],
)
def test_a_point_that_makes_no_sense_is_refused_and_the_others_are_kept(
    metric: Metric, reason: str
) -> None:
    decoded = decode(a_request(metric, a_gauge("poolscope.good", 1)))

    assert decoded.refused == {reason: 1}
    assert [point.metric for point in decoded.pushes[0].points] == ["poolscope.good"]


def test_a_point_without_recorded_value_is_neither_kept_nor_refused() -> None:
    metric = a_gauge("poolscope.m", 0)
    metric.gauge.data_points[0].flags = DataPointFlags.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK

    decoded = decode(a_request(metric))

    assert decoded.pushes[0].points == ()
    assert decoded.refused == {}


def test_a_long_attribute_is_cut() -> None:
    point = the_point(a_gauge("poolscope.m", 1, {"http.route": "x" * 1000}))

    assert point.attributes == {"http.route": "x" * MAX_TEXT_LENGTH}


def test_every_resource_is_a_push_of_its_own() -> None:
    request = a_request(a_gauge("poolscope.m", 1))
    request.MergeFrom(a_request(a_gauge("poolscope.m", 2), resource={"service.name": "other"}))

    names = [push.instance.name for push in decode(request).pushes]

    assert names == ["shop", "other"]


@pytest.mark.parametrize(
    ("resource", "instance"),
    [
        ({}, Instance("", "unknown_service", "")),
        ({"service.name": "a"}, Instance("", "a", "")),
        (
            {"service.name": "a", "host.name": "h", "process.pid": 9},
            Instance("", "a", "h/9"),
        ),
        (
            {"service.name": "a", "service.instance.id": "i", "host.name": "h"},
            Instance("", "a", "i"),
        ),
        (
            {"service.name": "a", "k8s.pod.name": "p", "host.name": "p", "k8s.container.name": "c"},
            Instance("", "a", "p/c"),
        ),
        (
            {"service.name": "a", "container.id": "f00", "process.pid": 1},
            Instance("", "a", "f00/1"),
        ),
        (
            {"service.name": "a", "k8s.namespace.name": "n", "k8s.pod.name": "p"},
            Instance("", "a", "n/p"),
        ),
    ],
)
def test_an_instance_is_named_by_what_the_resource_says(
    resource: Attributes, instance: Instance
) -> None:
    (push,) = decode(a_request(resource=resource)).pushes

    assert push.instance == instance


def test_other_senders_have_neither_sequence_nor_list() -> None:
    push = the_push(a_gauge("poolscope.m", 1))

    assert (push.sequence, push.interval_s, push.held) == (None, None, ())


def test_the_marker_describes_the_push() -> None:
    push = the_push(
        a_gauge("poolscope.m", 1),
        push=(a_marker(9, **{catalogue.PUSH_END: True, catalogue.PUSH_PUBLISHER: "provider"}),),
    )

    assert (push.sequence, push.interval_s, push.is_end) == (9, 5.0, True)
    assert push.publisher is Publisher.PROVIDER
    assert [point.metric for point in push.points] == ["poolscope.m"]


def test_a_held_checkout_arrives_in_full() -> None:
    (held,) = a_list(CHECKOUT).held

    assert held.pool == ORDERS
    assert held.listed == (
        Checkout(
            pool=ORDERS,
            id=12,
            age_s=8.5,
            backend_pid=4711,
            local=Endpoint("10.0.0.7", 50002),
            peer=Endpoint("10.0.0.1", 5432),
            connection_age_s=61.5,
            route="/orders/{id}",
            code_file="shop/orders.py",
            code_line=42,
            code_function="export",
            owner_kind=OwnerKind.REQUEST,
            unit_kind=UnitKind.REQUEST,
            unit_name="/orders/{id}",
            evidence=Evidence.REQUEST_FINISHED,
            trace_id="ab" * 16,
        ),
    )


def test_a_kind_of_work_that_is_not_known_keeps_its_name() -> None:
    (held,) = a_list({**CHECKOUT, catalogue.UNIT_KIND: "voyage"}).held
    assert [(one.unit_kind, one.unit_name) for one in held.listed] == [(None, "/orders/{id}")]


def test_a_bare_checkout_has_unknown_fields_instead_of_invented_ones() -> None:
    (held,) = a_list({**POOL, catalogue.CHECKOUT_ID: 1}).held

    assert held.listed == (Checkout(pool=ORDERS, id=1, age_s=8.5),)


def test_evidence_that_a_newer_sender_knows_is_not_an_error() -> None:
    (held,) = a_list({**CHECKOUT, catalogue.EVIDENCE: "astrology"}).held

    assert held.listed[0].evidence is None


def test_an_empty_list_says_that_nothing_is_held() -> None:
    (held,) = a_list().held

    assert (held.held, held.listed) == (0, ())


def test_more_may_be_held_than_is_listed() -> None:
    (held,) = a_list(CHECKOUT, held=600, listed=1).held

    assert (held.held, len(held.listed)) == (600, 1)


def test_a_list_that_lost_a_checkout_on_its_way_is_left_out() -> None:
    assert a_list(CHECKOUT, listed=2).held == ()


def test_a_checkout_without_id_is_refused_and_spoils_its_list() -> None:
    nameless = {key: value for key, value in CHECKOUT.items() if key != catalogue.CHECKOUT_ID}
    metrics = (
        a_marker(),
        gauges(catalogue.CHECKOUT_AGE.name, number(8.5, nameless)),
        gauges(catalogue.CHECKOUTS_HELD.name, number(1)),
        gauges(catalogue.CHECKOUTS_LISTED.name, number(1)),
    )

    decoded = decode(a_request(push=metrics))

    assert decoded.refused == {"malformed_checkout": 1}
    assert decoded.pushes[0].held == ()


def test_a_listed_checkout_or_caller_with_an_age_below_0_is_refused() -> None:
    push = (
        a_marker(),
        gauges(catalogue.CHECKOUT_AGE.name, number(-0.1, CHECKOUT)),
        gauges(catalogue.WAITER_AGE.name, number(-0.1, WAITER)),
    )

    assert decode(a_request(push=push)).refused == {"malformed_checkout": 1, "malformed_waiter": 1}


def test_backend_pids_are_read_by_pool() -> None:
    point = number(2, {**POOL, catalogue.BACKEND_PIDS: [4711, 4712]})

    push = the_push(push=(a_marker(), gauges(catalogue.POOL_SESSIONS.name, point)))

    assert push.backend_pids == {ORDERS: frozenset({4711, 4712})}


def test_json_says_the_same_as_protobuf() -> None:
    request = a_request(a_histogram("poolscope.m", [0.5], [4, 1]), push=(a_marker(),))

    assert decode(parse_json(json_format.MessageToJson(request).encode())) == decode(
        parse_protobuf(request.SerializeToString())
    )


def test_json_fields_of_a_newer_protocol_are_ignored() -> None:
    assert decode(parse_json(b'{"resourceMetrics": [], "novelty": 1}')).pushes == ()


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff\xfe", b'{"resourceMetrics": 3}'])
def test_json_that_is_none_is_one_clear_error(body: bytes) -> None:
    with pytest.raises(MalformedPushError, match="not an OTLP ExportMetricsServiceRequest in JSON"):
        parse_json(body)


def test_json_that_is_nested_beyond_reason_is_one_clear_error() -> None:
    with pytest.raises(MalformedPushError):
        parse_json(b'{"resourceMetrics":' + b"[" * 100_000)


def test_protobuf_that_is_none_is_one_clear_error() -> None:
    with pytest.raises(MalformedPushError, match="in protobuf"):
        parse_protobuf(b"\x0a\xff\xff")


def test_points_of_one_request_are_bounded_over_all_its_resources(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(otlp, "MAX_POINTS", 3)
    request = a_request(a_gauge("poolscope.m", 1), a_gauge("poolscope.n", 1))
    request.MergeFrom(a_request(a_gauge("poolscope.m", 1), a_gauge("poolscope.n", 1)))

    decoded = decode(request)

    assert [len(push.points) for push in decoded.pushes] == [2, 1]
    assert decoded.refused == {"too_many_points": 1}


def test_resources_beyond_the_limit_are_refused_with_all_their_points(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(otlp, "MAX_RESOURCES", 1)
    request = a_request(a_gauge("poolscope.m", 1))
    request.MergeFrom(a_request(a_gauge("poolscope.m", 1), a_gauge("poolscope.n", 1)))

    decoded = decode(request)

    assert len(decoded.pushes) == 1
    assert decoded.refused == {"too_many_resources": 2}


@pytest.mark.parametrize(("push", "time_ns"), [((), 9), ((a_marker(),), 0)])
def test_only_points_of_pushes_without_number_carry_their_time(
    push: tuple[Metric, ...], time_ns: int
) -> None:
    metric = a_gauge("poolscope.m", 1)
    metric.gauge.data_points[0].time_unix_nano = 9

    assert [point.time_ns for point in the_push(metric, push=push).points] == [time_ns]


def test_a_waiting_caller_arrives_in_full_and_a_bare_one_has_unknown_fields() -> None:
    bare = {**POOL, catalogue.PHASE: "ping"}
    (found,) = a_queue(WAITER, bare, waiting=9).waiters

    assert found == WaitingCallers(
        ORDERS,
        9,
        (
            WaitingCaller(
                phase=Phase.CONNECT,
                age_s=4.5,
                route="/report",
                code_file="shop/report.py",
                code_line=20,
                code_function="report",
                owner_kind=OwnerKind.REQUEST,
            ),
            WaitingCaller(Phase.PING, 4.5),
        ),
    )


def test_an_empty_list_says_that_nobody_waits_and_no_list_says_nothing() -> None:
    assert a_queue().waiters == (WaitingCallers(ORDERS, 0, ()),)
    assert a_list().waiters == ()


@pytest.mark.parametrize("phase", ["astrology", None])
def test_a_waiting_caller_without_a_known_phase_is_refused_and_the_list_is_left_out(
    phase: str | None,
) -> None:
    waiter = {name: value for name, value in WAITER.items() if name != catalogue.PHASE}
    waiter |= {catalogue.PHASE: phase} if phase else {}
    request = a_request(
        push=(
            a_marker(),
            gauges(catalogue.WAITER_AGE.name, number(4.5, waiter)),
            gauges(catalogue.WAITERS_WAITING.name, number(1)),
            gauges(catalogue.WAITERS_LISTED.name, number(1)),
        )
    )
    decoded = decode(request)

    assert [push.waiters for push in decoded.pushes] == [()]
    assert decoded.refused == {"malformed_waiter": 1}


def test_the_line_that_made_the_pools_arrives_with_their_number() -> None:
    made = {**POOL, catalogue.CALL_SITE: "shop/db.py:14"}
    push = the_push(push=(a_marker(), gauges(catalogue.POOLS_MADE.name, number(12, made))))
    assert push.pools_made == {ORDERS: PoolsMade("shop/db.py:14", 12)}


def test_the_line_of_a_pool_arrives_with_its_generation_and_its_end() -> None:
    name = catalogue.POOL_GENERATION.name
    gone = {**POOL, catalogue.CALL_SITE: "shop/db.py:14", catalogue.POOL_IS_GONE: True}
    push = the_push(push=(a_marker(), gauges(name, number(594, gone))))
    assert push.generations == {ORDERS: PoolGeneration(594, True, "shop/db.py:14")}
    push = the_push(push=(a_marker(), gauges(name, number(1, POOL))))
    assert push.generations == {ORDERS: PoolGeneration(1)}


def test_the_connections_of_another_process_arrive_with_socket_and_line() -> None:
    where = {
        **POOL,
        catalogue.BACKEND_PID: 4711,
        catalogue.LOCAL_ADDRESS: "10.0.0.7",
        catalogue.LOCAL_PORT: 50_002,
        catalogue.HTTP_ROUTE: "/orders",
        catalogue.CODE_FILE_PATH: "shop/orders.py",
        catalogue.CODE_LINE_NUMBER: 42,
    }
    name = catalogue.INHERITED_CONNECTION.name
    push = the_push(push=(a_marker(), gauges(name, number(1.5, where), number(-1, POOL))))
    assert push.inherited == {ORDERS: (an_inherited_connection(unused_s=1.5),)}


@pytest.mark.parametrize(
    ("attributes", "count"), [({}, 12), ({catalogue.CALL_SITE: "shop/db.py:14"}, 0)]
)
def test_pools_without_a_line_or_a_number_are_not_counted(
    attributes: Attributes, count: int
) -> None:
    told = gauges(catalogue.POOLS_MADE.name, number(count, {**POOL, **attributes}))
    assert the_push(push=(a_marker(), told)).pools_made == {}


def test_a_stall_of_an_event_loop_is_read_with_its_line() -> None:
    attributes: Attributes = {
        catalogue.STALL_IS_OVER: True,
        catalogue.BLOCKED_TIME: 3.5,
        catalogue.THREAD_NAME: "MainThread",
        catalogue.CODE_FILE_PATH: "shop/reports.py",
        catalogue.CODE_LINE_NUMBER: 88,
        catalogue.CODE_FUNCTION_NAME: "render",
    }
    stalls = gauges(catalogue.EVENT_LOOP_STALL.name, number(3.0, attributes), number(-1.0, {}))
    assert the_push(push=(a_marker(), stalls)).stalls == (
        LoopStall(3.0, True, 3.5, "MainThread", "shop/reports.py", 88, "render"),
    )
