"""Names become what Prometheus's own OTLP receiver and the Collector make of them."""

import re

import pytest

from poolscope import catalogue
from poolscope.catalogue import Kind
from poolscope_exporter.core.prometheus_names import label_name, metric_name


@pytest.mark.parametrize(
    ("name", "kind", "unit", "expected"),
    [
        (
            "db.client.connection.wait_time",
            Kind.HISTOGRAM,
            "s",
            "db_client_connection_wait_time_seconds",
        ),
        (
            "db.client.connection.count",
            Kind.UP_DOWN_COUNTER,
            "{connection}",
            "db_client_connection_count",
        ),
        (
            "db.client.connection.timeouts",
            Kind.COUNTER,
            "{timeout}",
            "db_client_connection_timeouts_total",
        ),
        ("poolscope.route.held_time", Kind.COUNTER, "s", "poolscope_route_held_time_seconds_total"),
        ("system.memory.usage", Kind.GAUGE, "By", "system_memory_usage_bytes"),
        ("gc.pause", Kind.HISTOGRAM, "ms", "gc_pause_milliseconds"),
        ("gc.pause_seconds", Kind.HISTOGRAM, "s", "gc_pause_seconds"),
        ("requests.total.done", Kind.COUNTER, "{request}", "requests_done_total"),
        ("requests.total", Kind.COUNTER, "", "requests_total"),
        ("cpu.utilization", Kind.GAUGE, "1", "cpu_utilization_ratio"),
        ("cpu.ratio", Kind.GAUGE, "1", "cpu_ratio"),
        ("requests", Kind.COUNTER, "1", "requests_total"),
        ("disk.io", Kind.GAUGE, "By/s", "disk_io_bytes_per_second"),
        ("disk.io", Kind.GAUGE, "{operation}/s", "disk_io_per_second"),
        ("disk.io", Kind.GAUGE, "By/{operation}", "disk_io_bytes"),
        ("temperature", Kind.GAUGE, "Cel", "temperature_celsius"),
        ("load", Kind.GAUGE, "odd}", "load"),
        ("load", Kind.GAUGE, "%", "load_percent"),
        ("speed", Kind.GAUGE, "furlong", "speed_furlong"),
        ("a..b--c", Kind.GAUGE, "", "a_b_c"),
        ("2nd.try", Kind.GAUGE, "", "_2nd_try"),
    ],
)
def test_metric_names_follow_the_standard_translation(
    name: str, kind: Kind, unit: str, expected: str
) -> None:
    assert metric_name(name, kind, unit) == expected


@pytest.mark.parametrize(
    ("attribute", "expected"),
    [
        ("db.client.connection.pool.name", "db_client_connection_pool_name"),
        ("http.route", "http_route"),
        ("poolscope.call_site", "poolscope_call_site"),
        ("service.instance.id", "service_instance_id"),
        ("2nd", "key_2nd"),
        ("_private", "key_private"),
        ("__reserved", "__reserved"),
    ],
)
def test_label_names_follow_the_standard_translation(attribute: str, expected: str) -> None:
    assert label_name(attribute) == expected


def test_every_wire_name_stays_a_name_of_its_own() -> None:
    names = [metric_name(m.name, m.kind, m.unit) for m in catalogue.METRICS]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in names)
    assert not [name for name in names if name.endswith("_ratio")]
