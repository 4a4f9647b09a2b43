"""What an exporter counted, by pool, as it is at `/metrics`."""

from collections import Counter

from prometheus_client.parser import text_string_to_metric_families

from poolscope.catalogue import Metric
from poolscope_alerts.promql import name
from support.exporter.exporter_process import ExporterProcess


def counted_by_pool(exporter: ExporterProcess, metric: Metric) -> Counter[str]:
    """Return the sums of a counter by the names of the pools; it must be known of one of them."""
    wanted, counts = name(metric), Counter[str]()
    for family in text_string_to_metric_families(exporter.get("/metrics").text):
        for sample in family.samples:
            if sample.name == wanted:
                counts[sample.labels["db_client_connection_pool_name"]] += int(sample.value)
    assert counts, f"{wanted} is missing"
    return counts
