"""Measure what a Prometheus needs for the series of a fleet: memory per series, CPU per sample.

PYTHONPATH=tests python -m benchmarks.prometheus_series
"""

import argparse
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle
from pathlib import Path
from typing import Any

from support.processes.child_processes import wait_until
from support.prometheus.server import Prometheus, a_prometheus, scraping

SERIES_PER_PROCESS = 170
BOUNDS = 17
SCRAPE_INTERVAL_S = 10
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def exposition(processes: int, scrape: int) -> bytes:
    """Return the text of a fleet, labelled as ours is; a third of the values are new each time."""
    lines = (line for number in range(processes) for line in _of_process(number, scrape))
    return "\n".join((*lines, "")).encode()


def _of_process(number: int, scrape: int) -> Iterator[str]:
    labels = (
        f'service_namespace="acme",service_name="shop-{number % 20}",'
        f'service_instance_id="shop-7d9f8b6c5-{number:05d}",db_client_connection_pool_name="orders",'
        'db_namespace="orders",server_address="10.0.0.1",server_port="5432"'
    )
    for series in range(SERIES_PER_PROCESS):
        family, bound = divmod(series, BOUNDS)
        value = scrape if series % 3 == 0 else 7
        yield f'poolscope_measured_{family}_seconds_bucket{{{labels},le="{bound}.5"}} {value}'


@contextmanager
def a_fleet(processes: int) -> Iterator[str]:
    """Yield host:port of what exposes the fleet."""
    bodies = cycle([exposition(processes, 1), exposition(processes, 2)])

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = next(bodies)
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def resident_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def scraped(prometheus: Prometheus) -> float:
    found = prometheus.query("sum(scrape_samples_scraped)")
    return found[0][1] if found else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=1000)
    parser.add_argument("--scrapes", type=int, default=8)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, a_fleet(options.processes) as target:
        configuration = scraping({"fleet": target})
        configuration["global"]["scrape_interval"] = f"{SCRAPE_INTERVAL_S}s"
        configuration["global"]["scrape_timeout"] = f"{SCRAPE_INTERVAL_S}s"
        with a_prometheus(configuration, Path(name)) as prometheus:
            empty_mib = resident_mib(prometheus.pid)
            assert wait_until(lambda: scraped(prometheus) > 0, 60)
            began_s = cpu_s(prometheus.pid)
            done = f"count_over_time(up[1h]) > {options.scrapes}"
            assert wait_until(lambda: bool(prometheus.query(done)), 600)
            series, took_s = scraped(prometheus), cpu_s(prometheus.pid) - began_s
            full_mib = resident_mib(prometheus.pid)
    each_kib = (full_mib - empty_mib) * 1024 / series
    each_us = took_s * 1e6 / series / options.scrapes
    sys.stdout.write(
        f"{series:,.0f} series: {full_mib:.0f} MiB resident ({empty_mib:.0f} MiB without any), "
        f"{each_kib:.2f} KiB per series; {each_us:.2f} µs of CPU per sample\n"
    )


if __name__ == "__main__":
    main()
