"""A Prometheus that holds made-up samples of many processes and services."""

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from poolscope_generators.incident.prometheus import KEEP_FOR_EVER, Prometheus, a_prometheus, load
from poolscope_generators.incident.recording import write_samples
from support.prometheus.promql_names import known_series

Series = Mapping[str, Any]
Labels = Mapping[str, str]

START: Final = 1_795_283_700.0
INTERVAL_S: Final = 15.0
SAMPLES: Final = 9
END: Final = START + (SAMPLES - 1) * INTERVAL_S

_VALUES: Final = {
    "db_client_connection_state": "used",
    "db_client_connection_pool_name": "main",
    "diagnosis": "leaking",
    "evidence": "request_finished",
    "le": "+Inf",
    "poolscope_kind": "refused",
    "poolscope_phase": "queue",
    "poolscope_reason": "timeout",
    "poolscope_serving_age": "later",
    "verdict": "leaked",
}
"""The values of labels that queries select by; any other is one word."""


@contextmanager
def a_prometheus_with(series: Iterable[Series]) -> Iterator[Prometheus]:
    """Serve the series."""
    with tempfile.TemporaryDirectory(prefix="poolscope-synthetic-") as name:
        folder = Path(name)
        write_samples(series, folder / "samples.om.gz")
        load(folder / "samples.om.gz", folder)
        with a_prometheus({}, folder, KEEP_FOR_EVER) as server:
            yield server


def a_series(name: str, values: Iterable[float], **labels: str) -> Series:
    """Return one series with a value for each scrape."""
    times = (START + index * INTERVAL_S for index in range(SAMPLES))
    samples = [(at, f"{value:g}") for at, value in zip(times, values, strict=True)]
    return {"metric": {"__name__": name, **labels}, "values": samples}


def every_series_of(number: int, service: str) -> Iterator[Series]:
    """Yield each known series of a process once; their peaks come at different times."""
    process = {"service_name": service, "service_instance_id": f"id-{number}"}
    place = {"host_name": f"host-{number}", "process": f"host-{number}:{1000 + number}"}
    scraped = {"job": "poolscope", "instance": "exporter:9736"}
    for name, labels in known_series().items():
        if "service_instance_id" in labels:
            found = {each: _VALUES.get(each, "word") for each in labels}
            mine = {each: value for each, value in (process | place).items() if each in labels}
            yield a_series(name, _values(name, number), **(found | scraped | mine))


def _values(name: str, number: int) -> list[float]:
    if name.endswith(("_info", "_diagnosis")):
        return [1] * SAMPLES
    if name.endswith(("_total", "_bucket", "_sum", "_count")) and name != _CONNECTIONS:
        return [(number % 7 + 1) * index for index in range(SAMPLES)]
    return [1 + (37 * number + 11 * index) % 101 for index in range(SAMPLES)]


_CONNECTIONS: Final = "db_client_connection_count"
