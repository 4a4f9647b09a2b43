"""Peers that ask and do not read are owed little: the exporter stays small, and answers others."""

import re
import socket
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

from poolscope import catalogue
from support.exporter.exporter_process import ExporterProcess
from support.exporter.otlp_messages import POOL, SHOP, a_request, a_sum, number
from support.processes.child_processes import wait_until

MIB = 1024 * 1024
INSTANCES, SERIES = 60, 100
READERS = 60
LEAST_BODY = 2 * MIB
"""Twice as large as what a socket of this machine takes in before it is read."""

GROWTH_MIB = 60
"""Of 60 readers: a slice and a buffer for each. A body for each would be twice as much or more."""


def a_large_push(instance: int) -> bytes:
    reasons = (f"{'r' * 200}-{n}" for n in range(SERIES))
    points = [number(1, {**POOL, catalogue.REASON: reason}) for reason in reasons]
    metric = a_sum(catalogue.CLOSED.name, 0)
    del metric.sum.data_points[:]
    metric.sum.data_points.extend(points)
    resource = {**SHOP, catalogue.SERVICE_INSTANCE_ID: f"shop-{instance}"}
    return a_request(metric, resource=resource).SerializeToString()


def resident_mib(exporter: ExporterProcess) -> float:
    status = Path(f"/proc/{exporter.process.pid}/status").read_text()
    [kib] = re.findall(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)
    return int(kib) / 1024


def ask(exporter: ExporterProcess, path: str) -> socket.socket:
    """Ask for a path with a small window, and read nothing of the answer."""
    parts = urlsplit(exporter.web)
    peer = socket.socket()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    peer.connect((str(parts.hostname), int(parts.port or 0)))
    peer.sendall(f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
    return peer


def refused(exporter: ExporterProcess) -> float | None:
    answer = exporter.get("/metrics")
    found = re.findall(r"^poolscope_scrapes_refused_total (\S+)$", answer.text, re.MULTILINE)
    return float(found[0]) if found else None


def test_scrapers_that_do_not_read_are_few_and_owed_little() -> None:
    with ExporterProcess() as exporter, ExitStack() as peers:
        for instance in range(INSTANCES):
            assert exporter.push(a_large_push(instance)).status_code == 200
        assert len(exporter.get("/metrics").content) > LEAST_BODY
        before = resident_mib(exporter)
        held = [peers.enter_context(ask(exporter, "/metrics")) for _ in range(READERS)]
        answers = [peer.recv(12) for peer in held]  # each is answered, one way or the other
        assert exporter.get("/healthz").status_code == 200
        assert resident_mib(exporter) - before < GROWTH_MIB
        assert exporter.get("/metrics").status_code == 503
        assert {answer[-3:] for answer in answers} == {b"200", b"503"}
        peers.close()
        # Who hung up has made room.
        assert wait_until(lambda: (refused(exporter) or 0) >= READERS // 4)
