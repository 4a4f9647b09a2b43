"""An application that knows OpenTelemetry's SDK and nothing of poolscope: what its pool does."""

import sys

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

POOL = {"db.client.connection.pool.name": "orders"}
PUSHES = 3


def used(_: CallbackOptions) -> list[Observation]:
    return [Observation(4, {**POOL, "db.client.connection.state": "used"})]


def main(waits: list[float]) -> None:
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(), export_interval_millis=3_600_000)
    provider = MeterProvider([reader], resource=Resource({"service.name": "sdk-app"}))
    meter = provider.get_meter("somebody's pool")
    timeouts = meter.create_counter("db.client.connection.timeouts", "{timeout}")
    wait_time = meter.create_histogram("db.client.connection.wait_time", "s")
    most = meter.create_up_down_counter("db.client.connection.max", "{connection}")
    meter.create_observable_up_down_counter(
        "db.client.connection.count", [used], unit="{connection}"
    )
    most.add(10, POOL)
    for push in range(PUSHES):
        timeouts.add(5, POOL)
        for wait in waits[push::PUSHES]:
            wait_time.record(wait, POOL)
        provider.force_flush()
    provider.shutdown()


if __name__ == "__main__":
    main([float(wait) for wait in sys.argv[1:]])
