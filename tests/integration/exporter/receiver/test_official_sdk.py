"""The official SDK in a process of its own, set up by its environment alone, pushes to us."""

import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from support.exporter.exporter_process import ExporterProcess, clean_environment

APP = Path(__file__).parents[3] / "support" / "exporter" / "sdk_app.py"
WAITS = [0.003, 0.02, 0.3, 0.7, 1.5, 40.0] * 5


@pytest.mark.parametrize("temporality", ["cumulative", "delta", "lowmemory"])
@pytest.mark.parametrize(
    "histogram", ["explicit_bucket_histogram", "base2_exponential_bucket_histogram"]
)
def test_totals_on_metrics_equal_what_the_application_counted(
    temporality: str, histogram: str
) -> None:
    with ExporterProcess() as exporter:
        run_the_app(
            OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=f"{exporter.otlp}/v1/metrics",
            OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=temporality,
            OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION=histogram,
            OTEL_EXPORTER_OTLP_COMPRESSION="gzip",
        )
        samples = samples_of(exporter.get("/metrics").text)
        refused = samples_of(exporter.get("/metrics").text, "poolscope_receiver_refused_total")

    timeouts = "db_client_connection_timeouts_total"
    waits = "db_client_connection_wait_time_seconds"
    assert samples[timeouts] == 15
    assert samples[f"{waits}_count"] == len(WAITS)
    assert samples[f"{waits}_sum"] == pytest.approx(sum(WAITS))
    # A bound that the SDK's own explicit bounds have as well, which are made for milliseconds.
    assert samples[f"{waits}_bucket|10.0"] == sum(wait <= 10 for wait in WAITS)
    assert samples["db_client_connection_count"] == 4
    assert samples["db_client_connection_max"] == 10
    assert not any(refused.values())


def run_the_app(**environment: str) -> None:
    """Run it: it pushes three times, a third of everything each, and ends by itself."""
    done = subprocess.run(
        [sys.executable, str(APP), *map(str, WAITS)],
        env=clean_environment(**environment),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def samples_of(text: str, name: str = "") -> dict[str, float]:
    """Return the samples of the app by name and bucket, or all those of a name."""
    return {
        "|".join(
            filter(None, [sample.name, *map(sample.labels.get, ("reason", "le"))])
        ): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if (sample.name == name if name else sample.labels.get("service_name") == "sdk-app")
    }
