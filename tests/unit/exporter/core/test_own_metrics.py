"""The exporter's own series keep the rules that promlint checks."""

import re

import pytest

from poolscope_exporter.core.own_metrics import (
    HELD_CHECKOUTS,
    OWN_METRICS,
    POOL_LABELS,
    OwnMetric,
    OwnType,
)

UNITS_TO_AVOID = ("milliseconds", "minutes", "hours", "kilobytes", "percent")
SUFFIXES_OF_OTHER_TYPES = ("_count", "_sum", "_bucket")


@pytest.mark.parametrize("metric", OWN_METRICS, ids=lambda metric: metric.name)
def test_own_series_are_named_as_promlint_wants(metric: OwnMetric) -> None:
    assert re.fullmatch(r"poolscope_[a-z0-9_]+", metric.name)
    assert metric.name.endswith("_total") is (metric.type is OwnType.COUNTER)
    assert not metric.name.endswith(SUFFIXES_OF_OTHER_TYPES)
    assert not any(unit in metric.name for unit in UNITS_TO_AVOID)
    assert not {"gauge", "counter", "metric"} & set(metric.name.split("_"))


@pytest.mark.parametrize("metric", OWN_METRICS, ids=lambda metric: metric.name)
def test_own_series_have_a_sentence_and_labels_of_their_own(metric: OwnMetric) -> None:
    assert metric.help.endswith(".")
    assert len(set(metric.labels)) == len(metric.labels)
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", label) for label in metric.labels)


@pytest.mark.parametrize("metric", OWN_METRICS, ids=lambda metric: metric.name)
def test_no_label_is_unbounded_or_belongs_to_the_scraper(metric: OwnMetric) -> None:
    forbidden = {"job", "instance", "pod", "namespace", "pid", "client_port", "query", "trace_id"}
    assert not forbidden & set(metric.labels)


def test_every_own_series_is_named_once() -> None:
    names = [metric.name for metric in OWN_METRICS]
    assert len(set(names)) == len(names)


def test_pool_labels_are_those_of_the_applications_series() -> None:
    assert POOL_LABELS == (
        "service_namespace",
        "service_name",
        "service_instance_id",
        "db_client_connection_pool_name",
        "db_namespace",
        "server_address",
        "server_port",
    )
    assert HELD_CHECKOUTS.labels == (*POOL_LABELS, "verdict", "evidence", "http_route")
