"""Open pages of a running exporter: they get changes, one slow page blocks no other, all end."""

import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from urllib.parse import urlsplit

from poolscope import catalogue
from poolscope_exporter.web.console.live_views import MAX_PAGES
from support.exporter.exporter_process import ANSWERS_WITHIN_S, ExporterProcess
from support.exporter.otlp_messages import Attributes, a_gauge, a_marker, a_request
from support.processes.child_processes import wait_until

POOL: Attributes = {catalogue.POOL_NAME: "orders", catalogue.DB_NAMESPACE: "orders"}


def a_push(sequence: int, pending: int) -> bytes:
    gauges = (
        a_gauge("db.client.connection.max", 15, POOL),
        a_gauge("db.client.connection.pending_requests", pending, POOL),
    )
    resource = {catalogue.SERVICE_NAME: "shop", catalogue.SERVICE_INSTANCE_ID: "shop-1"}
    return a_request(*gauges, push=(a_marker(sequence),), resource=resource).SerializeToString()


@contextmanager
def an_open_page(exporter: ExporterProcess, path: str = "") -> Iterator[socket.socket]:
    """Open the stream of a page's changes, as its script does."""
    address = urlsplit(exporter.web)
    assert address.hostname
    assert address.port
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.settimeout(ANSWERS_WITHIN_S)
        request = f"GET /live{path}?refresh=1 HTTP/1.1\r\nHost: {address.hostname}\r\n\r\n"
        connection.sendall(request.encode())
        yield connection


def read_until(connection: socket.socket, wanted: bytes) -> bytes:
    found = b""
    while wanted not in found:
        part = connection.recv(65_536)
        assert part, found[-500:]
        found += part
    return found


def test_an_open_page_gets_a_pool_and_each_change_of_it() -> None:
    with ExporterProcess() as exporter, an_open_page(exporter) as page:
        head = read_until(page, b"No application has pushed yet.")
        assert b"content-type: text/event-stream" in head
        assert b"content-encoding" not in head

        exporter.push(a_push(1, pending=3))
        read_until(page, b"3 waiting")
        with an_open_page(exporter, "/pool/shop/orders") as of_pool:
            read_until(of_pool, b"3 waiting")
            exporter.push(a_push(2, pending=41))
            read_until(of_pool, b"41 waiting")
        read_until(page, b"41 waiting")


def test_a_page_that_does_not_read_blocks_no_other() -> None:
    with ExporterProcess() as exporter, an_open_page(exporter), an_open_page(exporter) as page:
        for sequence in range(1, 4):
            exporter.push(a_push(sequence, pending=sequence * 11))
            read_until(page, f"{sequence * 11} waiting".encode())
        assert exporter.get("/healthz").status_code == 200


def test_an_exporter_that_stops_ends_its_open_pages_and_is_not_kept_by_them() -> None:
    with ExporterProcess() as exporter, an_open_page(exporter) as page:
        read_until(page, b"retry: ")
        exporter.process.send_signal(signal.SIGTERM)
        assert wait_until(lambda: exporter.process.poll() is not None)
        with suppress(ConnectionError):
            while page.recv(65_536):
                pass
        assert exporter.process.returncode == 0
        assert "graceful" not in exporter.log


def test_one_page_too_many_is_an_error_with_the_cure_until_another_closes() -> None:
    with ExporterProcess() as exporter, ExitStack() as stack:
        first = stack.enter_context(an_open_page(exporter))
        others = [stack.enter_context(an_open_page(exporter)) for _ in range(MAX_PAGES - 1)]
        for each in (first, *others):
            read_until(each, b"retry: ")
        answer = exporter.get("/live")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
        assert "close one, or reload by hand" in answer.text

        first.close()
        assert wait_until(lambda: is_admitted(exporter))


def is_admitted(exporter: ExporterProcess) -> bool:
    with an_open_page(exporter) as page:
        return b"200 OK" in read_until(page, b"\r\n\r\n")
