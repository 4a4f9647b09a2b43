"""The Collector's first tier shares out the processes, and never one of them."""

from itertools import product
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from poolscope import catalogue as wire
from support.exporter.otlp_messages import POOL, SHOP, a_gauge, a_request
from support.processes.child_processes import wait_until
from support.prometheus.collector import Collector, a_collector, needs_collector

PROCESSES = {f"shop-{number}" for number in range(20)}


def push(gateway: Collector, process: str, pool: str) -> None:
    message = a_gauge(wire.MAX.name, 10, {**POOL, wire.POOL_NAME: pool})
    resource = {**SHOP, wire.SERVICE_INSTANCE_ID: process}
    body = a_request(message, resource=resource).SerializeToString()
    kind = {"Content-Type": "application/x-protobuf"}
    url = f"http://{gateway.otlp}/v1/metrics"
    httpx.post(url, content=body, headers=kind, trust_env=False).raise_for_status()


def heard(backend: Collector) -> set[tuple[str, str]]:
    """Return the processes and pools of which a backend exposes anything."""
    text = httpx.get(f"http://{backend.metrics}/metrics", trust_env=False).text
    return {
        (sample.labels["service_instance_id"], sample.labels["db_client_connection_pool_name"])
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "db_client_connection_max"
    }


@needs_collector
def test_each_process_is_at_one_backend_whichever_gateway_heard_it(tmp_path: Path) -> None:
    with (
        a_collector("backend-scraped.yaml", tmp_path) as one,
        a_collector("backend-scraped.yaml", tmp_path) as other,
    ):
        both = {"POOLSCOPE_BACKENDS": f"[{one.grpc}, {other.grpc}]", "BACKENDS_INSECURE": "true"}
        with (
            a_collector("gateway.yaml", tmp_path, **both) as first,
            a_collector("gateway.yaml", tmp_path, **both) as second,
        ):
            for gateway, pool in ((first, "orders"), (second, "reports")):
                for process in PROCESSES:
                    push(gateway, process, pool)
            everything = set(product(PROCESSES, ("orders", "reports")))
            assert wait_until(lambda: heard(one) | heard(other) == everything)
            at_one, at_other = ({process for process, _ in heard(each)} for each in (one, other))
            assert at_one
            assert at_other
            assert at_one.isdisjoint(at_other)
