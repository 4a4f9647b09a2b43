"""What a push brings is kept in the catalogue's shape, or refused with a reason."""

import pytest

from poolscope import catalogue
from poolscope.catalogue import Kind
from poolscope_exporter.core.admission.points import (
    MAX_ATTRIBUTES,
    Refusal,
    admit,
)
from poolscope_exporter.core.model.pushes import HistogramValue, Point
from support.exporter.builders import a_point, a_pool, identity_of

BUCKETS = HistogramValue((0.1, 1.0), (1, 2, 3), 4.5)


def admitted(point: Point) -> Point:
    kept = admit(point)
    assert isinstance(kept, Point)
    return kept


def test_only_the_attributes_of_the_catalogue_are_kept() -> None:
    point = a_point(catalogue.CLOSED, attributes={"net.peer.port": "1", catalogue.REASON: "other"})
    assert admitted(point).attributes == {**identity_of(a_pool()), catalogue.REASON: "other"}


def test_attribute_that_the_sender_left_out_is_there_and_empty() -> None:
    point = a_point(catalogue.CLOSED)._replace(attributes={})
    names = (*catalogue.POOL_IDENTITY, catalogue.REASON)
    assert admitted(point).attributes == dict.fromkeys(names, "")


def test_metric_of_the_process_has_no_pool() -> None:
    point = a_point(catalogue.HOOK_ERRORS)._replace(attributes=identity_of(a_pool()))
    assert admitted(point).attributes == {}


@pytest.mark.parametrize(
    "name", ["http.server.duration", "poolscope.invented", "", "db.client.operation.duration"]
)
def test_unknown_metric_is_refused(name: str) -> None:
    assert admit(a_point()._replace(metric=name)) is Refusal.UNKNOWN_METRIC


@pytest.mark.parametrize("attributes", [{}, {catalogue.CONNECTION_STATE: ""}])
def test_count_without_a_state_is_refused(attributes: dict[str, str]) -> None:
    point = a_point(catalogue.COUNT)._replace(attributes={catalogue.POOL_NAME: "a", **attributes})
    assert admit(point) is Refusal.MISSING_STATE


@pytest.mark.parametrize("metric", [catalogue.CHECKOUT_AGE, catalogue.PUSH])
def test_what_only_the_exporter_may_see_is_never_a_series(metric: catalogue.Metric) -> None:
    assert admit(a_point(metric)) is Refusal.UNKNOWN_METRIC


def test_newer_metric_of_the_convention_is_kept_with_its_own_attributes() -> None:
    own = {f"attribute.{n}": "x" for n in range(MAX_ATTRIBUTES + 1)}
    point = a_point(attributes=own)._replace(metric="db.client.connection.novelty")
    kept = admitted(point).attributes
    assert {name: kept[name] for name in catalogue.POOL_IDENTITY} == identity_of(a_pool())
    assert len(kept) == len(catalogue.POOL_IDENTITY) + MAX_ATTRIBUTES
    assert kept["attribute.0"] == "x"


@pytest.mark.parametrize(
    ("metric", "kind", "expected"),
    [
        (catalogue.COUNT, Kind.GAUGE, Kind.UP_DOWN_COUNTER),
        (catalogue.POOL_SIZE, Kind.UP_DOWN_COUNTER, Kind.GAUGE),
        (catalogue.CHECKOUTS, Kind.COUNTER, Kind.COUNTER),
        (catalogue.CHECKOUTS, Kind.GAUGE, Refusal.WRONG_KIND),
        (catalogue.COUNT, Kind.COUNTER, Refusal.WRONG_KIND),
        (catalogue.WAIT_TIME, Kind.GAUGE, Refusal.WRONG_KIND),
    ],
)
def test_kind_is_the_catalogues_or_the_point_is_refused(
    metric: catalogue.Metric, kind: Kind, expected: Kind | Refusal
) -> None:
    kept = admit(a_point(metric)._replace(kind=kind))
    assert (kept.kind if isinstance(kept, Point) else kept) is expected


@pytest.mark.parametrize(
    ("metric", "unit", "expected"),
    [
        (catalogue.COUNT, "{connections}", "{connection}"),
        (catalogue.COUNT, "1", "{connection}"),
        (catalogue.COUNT, "", "{connection}"),
        (catalogue.COUNT, "s", Refusal.WRONG_UNIT),
        (catalogue.POOL_TIMEOUT, "ms", Refusal.WRONG_UNIT),
        (catalogue.POOL_TIMEOUT, "s", "s"),
    ],
)
def test_unit_is_the_catalogues_or_the_point_is_refused(
    metric: catalogue.Metric, unit: str, expected: str | Refusal
) -> None:
    kept = admit(a_point(metric)._replace(unit=unit))
    assert (kept.unit if isinstance(kept, Point) else kept) == expected


@pytest.mark.parametrize(
    ("metric", "value", "is_kept"),
    [
        (catalogue.CHECKOUTS, 0.0, True),
        (catalogue.CHECKOUTS, float("nan"), False),
        (catalogue.CHECKOUTS, float("inf"), False),
        (catalogue.CHECKOUTS, BUCKETS, False),
        (catalogue.WAIT_TIME, BUCKETS, True),
        (catalogue.WAIT_TIME, 1.0, False),
        (catalogue.WAIT_TIME, HistogramValue((), (7,), 1.0), True),
        (catalogue.WAIT_TIME, HistogramValue((0.1,), (1,), 1.0), False),
        (catalogue.WAIT_TIME, HistogramValue((0.1,), (1, 2), float("nan")), False),
        (catalogue.WAIT_TIME, HistogramValue(tuple(map(float, range(199))), (0,) * 200, 0.0), True),
        (
            catalogue.WAIT_TIME,
            HistogramValue(tuple(map(float, range(200))), (0,) * 201, 0.0),
            False,
        ),
    ],
)
def test_value_that_is_none_is_refused(
    metric: catalogue.Metric, value: float | HistogramValue, is_kept: bool
) -> None:
    kept = admit(a_point(metric, value))
    assert isinstance(kept, Point) is is_kept
    assert is_kept or kept is Refusal.BAD_VALUE
