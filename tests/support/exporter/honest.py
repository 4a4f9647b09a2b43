"""Twenty processes of a service that leaks, pushing until standard input closes.

`python honest.py OTLP TOKEN CA_FILE` prints one line of JSON at the end: the seconds of each push,
and what was not answered 200 or not kept whole.
"""

import json
import ssl
import sys
import threading
import time
from dataclasses import dataclass, field

import httpx
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)

from poolscope import catalogue
from support.exporter.otlp_messages import (
    POOL,
    Attributes,
    a_marker,
    a_request,
    a_sum,
    gauges,
    number,
)

PROCESSES = 20
LEAKS = 3
INTERVAL_S = 2.0


@dataclass(frozen=True)
class Exporter:
    """Where to push, with which token, and the authority that signed its certificate."""

    otlp: str
    token: str
    ca_file: str


@dataclass
class Report:
    """What the pushes of all processes met."""

    took_s: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def a_push(process: int, sequence: int) -> bytes:
    """Return a push that lists the leaked checkouts of one process."""
    pool: Attributes = {
        catalogue.POOL_NAME: "orders",
        catalogue.SERVER_ADDRESS: "127.0.0.1",
        catalogue.SERVER_PORT: 5432,
    }
    leaked = (
        number(
            sequence * INTERVAL_S + 10,
            {**pool, catalogue.CHECKOUT_ID: n, catalogue.EVIDENCE: "request_finished"},
        )
        for n in range(1, LEAKS + 1)
    )
    return a_request(
        a_sum(catalogue.CHECKOUTS.name, sequence, POOL),
        push=(
            a_marker(sequence, **{catalogue.PUSH_INTERVAL: INTERVAL_S}),
            gauges(catalogue.CHECKOUT_AGE.name, *leaked),
            gauges(catalogue.CHECKOUTS_HELD.name, number(LEAKS, pool)),
            gauges(catalogue.CHECKOUTS_LISTED.name, number(LEAKS, pool)),
        ),
        resource={
            catalogue.SERVICE_NAME: "honest",
            catalogue.SERVICE_INSTANCE_ID: f"honest-{process}",
        },
    ).SerializeToString()


def push_until(over: threading.Event, report: Report, process: int, exporter: Exporter) -> None:
    """Push as poolscope does: a connection for each push."""
    trusted = ssl.create_default_context(cafile=exporter.ca_file)
    headers = {
        "Content-Type": "application/x-protobuf",
        "Authorization": f"Bearer {exporter.token}",
    }
    url, sequence = f"{exporter.otlp}/v1/metrics", 0
    while not over.wait(INTERVAL_S):
        sequence += 1
        body, began_s = a_push(process, sequence), time.monotonic()
        try:
            with httpx.Client(verify=trusted, trust_env=False, timeout=30) as client:
                answer = client.post(url, content=body, headers=headers)
        except httpx.HTTPError as error:
            report.failed.append(repr(error))
            continue
        report.took_s.append(time.monotonic() - began_s)
        partial = ExportMetricsServiceResponse.FromString(answer.content).partial_success
        if answer.status_code != httpx.codes.OK or partial.rejected_data_points:
            report.failed.append(f"{answer.status_code} {partial.error_message}")


def main(exporter: Exporter) -> None:
    over, report = threading.Event(), Report()
    threads = [
        threading.Thread(target=push_until, args=(over, report, process, exporter))
        for process in range(PROCESSES)
    ]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    over.set()
    for thread in threads:
        thread.join()
    sys.stdout.write(json.dumps({"took_s": report.took_s, "failed": report.failed}))


if __name__ == "__main__":
    main(Exporter(*sys.argv[1:]))
