"""The listeners, as processes: where they listen, who may call, what names on a page can do."""

import re
import socket
from pathlib import Path

import psycopg
import pytest

from poolscope import catalogue
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from support.exporter.exporter_process import (
    LOOPBACK_CERT,
    LOOPBACK_KEY,
    ExporterProcess,
    run_to_the_end,
)
from support.exporter.held_pushes import a_held_push
from support.exporter.otlp_messages import SHOP, a_gauge, a_marker, a_request, gauges, number
from support.exporter.pages import scripts_of
from support.postgres.server import make_role
from support.processes.child_processes import wait_until

FIRST, SECOND = "s3cr3t-of-the-first", "s3cr3t-of-the-second"
HOSTILE = '<script>alert(\'x\')</script>"><img src=x onerror=alert(1)>\n# HELP x\ny{z="1"} 1'


def a_push(sequence: int, instance: str = "shop-1", service: str = "shop") -> bytes:
    names = {catalogue.SERVICE_NAME: service, catalogue.SERVICE_INSTANCE_ID: instance}
    resource = {**SHOP, **names}
    used = a_gauge("db.client.connection.max", 1)
    return a_request(used, push=(a_marker(sequence),), resource=resource).SerializeToString()


@pytest.mark.parametrize(
    ("token", "arguments", "cure"),
    [
        (None, (), "needs a token: set POOLSCOPE_TOKEN or --token-file"),
        (FIRST, (), "needs TLS: set --otlp-tls-cert and --otlp-tls-key, or --insecure-otlp"),
        (None, ("--insecure-otlp",), "needs a token"),
    ],
)
def test_it_does_not_receive_from_other_machines_unprotected(
    token: str | None, arguments: tuple[str, ...], cure: str
) -> None:
    variables = {"POOLSCOPE_TOKEN": token} if token else {}
    ended = run_to_the_end(
        "run", "--listen=127.0.0.1:0", "--otlp-listen=0.0.0.0:0", *arguments, **variables
    )

    assert ended.returncode == 2
    lines = ended.stderr.splitlines()
    assert len(lines) == 2
    assert cure in lines[1]
    assert FIRST not in ended.stderr


def test_both_listeners_speak_tls() -> None:
    files = (LOOPBACK_CERT, LOOPBACK_KEY)
    flags = ("--tls-cert", "--tls-key", "--otlp-tls-cert", "--otlp-tls-key")
    arguments = [f"{flag}={file}" for flag, file in zip(flags, files * 2, strict=True)]
    with ExporterProcess(*arguments, POOLSCOPE_TOKEN=FIRST) as exporter:
        assert exporter.web.startswith("https://")
        assert exporter.otlp.startswith("https://")
        assert exporter.push(a_push(1), token=FIRST).status_code == 200
        assert exporter.get("/metrics").status_code == 200
        assert exporter.get("/").status_code == 401


def test_certificates_are_read_at_the_start_alone(tmp_path: Path) -> None:
    cert, key = tmp_path / "cert", tmp_path / "key"
    cert.write_bytes(LOOPBACK_CERT.read_bytes())
    key.write_bytes(LOOPBACK_KEY.read_bytes())
    with ExporterProcess(f"--tls-cert={cert}", f"--tls-key={key}") as exporter:
        cert.write_text("not a certificate")
        key.unlink()
        assert exporter.get("/healthz", Connection="close").status_code == 200
        assert exporter.get("/healthz").status_code == 200


def test_no_address_of_a_request_is_connected_to(postgres: EmbeddedPostgres) -> None:
    arguments = ("--poll-interval=0.2", "--dsn", postgres.dsn)
    with socket.create_server(("127.0.0.1", 0)) as elsewhere, ExporterProcess(*arguments) as it:
        assert wait_until(it.is_up)
        port = elsewhere.getsockname()[1]
        for sequence in range(1, 6):
            it.push(a_push_that_holds_a_connection_to(port, sequence))
        for _ in range(10):
            links = {each["link"] for each in it.checkouts()}
            assert links == {"unlinked:unknown_server"}
        elsewhere.setblocking(False)
        with pytest.raises(BlockingIOError):
            elsewhere.accept()


def a_push_that_holds_a_connection_to(port: int, sequence: int) -> bytes:
    pool = {
        catalogue.POOL_NAME: "orders",
        catalogue.SERVER_ADDRESS: "127.0.0.1",
        catalogue.SERVER_PORT: port,
    }
    checkout = {
        **pool,
        catalogue.CHECKOUT_ID: sequence,
        catalogue.BACKEND_PID: 4711,
        catalogue.PEER_ADDRESS: "127.0.0.1",
        catalogue.PEER_PORT: port,
    }
    return a_request(
        push=(
            a_marker(sequence),
            gauges(catalogue.CHECKOUT_AGE.name, number(10.0, checkout)),
            gauges(catalogue.CHECKOUTS_HELD.name, number(1, pool)),
            gauges(catalogue.CHECKOUTS_LISTED.name, number(1, pool)),
        ),
    ).SerializeToString()


def test_an_instance_belongs_to_the_token_that_first_used_it(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"# teams\n{FIRST} checkout\n{SECOND} billing\n")
    with ExporterProcess(f"--token-file={file}") as exporter:
        assert exporter.push(a_push(1), token=FIRST).content == b""
        refused = exporter.push(a_push(2), token=SECOND)
        own = exporter.push(a_push(1, "billing-1", "billing"), token=SECOND)
        again = exporter.push(a_push(2), token=FIRST)
        unknown = exporter.push(a_push(3), token="neither")
        metrics, log = exporter.get("/metrics").text, exporter.log

    assert refused.status_code == 200
    assert b"this instance id pushed with another token" in refused.content
    assert (own.content, again.content) == (b"", b"")
    assert unknown.status_code == 401
    assert 'poolscope_receiver_refused_total{reason="foreign_token"} 1' in metrics
    assert FIRST not in metrics + log
    assert SECOND not in metrics + log


def test_a_token_file_that_changes_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"{FIRST} shop\n")
    with ExporterProcess(f"--token-file={file}") as exporter:
        assert exporter.push(a_push(1), token=FIRST).content == b""
        new = tmp_path / "new"
        new.write_text(f"{SECOND} shop\n")
        new.replace(file)

        assert wait_until(lambda: exporter.push(a_push(2), token=SECOND).status_code == 200)
        # The same owner by another token; the instance goes on.
        assert exporter.push(a_push(100), token=SECOND).content == b""
        assert exporter.push(a_push(101), token=FIRST).status_code == 401

        file.write_text("")

        def is_told() -> bool:
            assert exporter.get("/", Authorization=f"Bearer {SECOND}").status_code == 200
            return "the tokens stay as they were" in exporter.log

        assert wait_until(is_told)


def a_hostile_push() -> bytes:
    pool = {catalogue.POOL_NAME: HOSTILE, catalogue.DB_NAMESPACE: HOSTILE}
    checkout = {
        **pool,
        catalogue.CHECKOUT_ID: 1,
        catalogue.HTTP_ROUTE: HOSTILE,
        catalogue.CODE_FILE_PATH: HOSTILE,
        catalogue.CODE_LINE_NUMBER: 1,
        catalogue.CODE_FUNCTION_NAME: HOSTILE,
        catalogue.EVIDENCE: "request_finished",
    }
    names = (catalogue.SERVICE_NAMESPACE, catalogue.SERVICE_NAME, catalogue.SERVICE_INSTANCE_ID)
    return a_request(
        a_gauge("db.client.connection.max", 1, pool),
        push=(
            a_marker(1),
            gauges(catalogue.CHECKOUT_AGE.name, number(10.0, checkout)),
            gauges(catalogue.CHECKOUTS_HELD.name, number(1, pool)),
            gauges(catalogue.CHECKOUTS_LISTED.name, number(1, pool)),
        ),
        resource=dict.fromkeys(names, HOSTILE),
    ).SerializeToString()


def test_whatever_names_an_application_sends_they_are_text_everywhere() -> None:
    with ExporterProcess() as exporter:
        exporter.push(a_hostile_push())
        assert wait_until(lambda: "/pool/" in exporter.get("/").text)
        page = exporter.get("/")
        [path] = re.findall(r'href="(/pool/[^"]*)"', page.text)
        of_pool = exporter.get(path.replace("&amp;", "&"))
        api = exporter.get("/api/v1/checkouts")
        metrics = exporter.get("/metrics").text
        assert wait_until(lambda: exporter.events.count("\n") >= 1)
        events = exporter.events

    for text in (page.text, of_pool.text):
        assert scripts_of(text) == ["/page.js", "/copy.js"]
        assert "<img" not in text
    assert of_pool.text.count("&lt;script&gt;alert(") >= 4
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert page.headers["x-content-type-options"] == "nosniff"
    assert api.headers["content-type"] == "application/json"
    assert api.json()["checkouts"][0]["route"] == HOSTILE.replace("\n", "")
    # A line feed in a label would otherwise begin a line of its own.
    assert not re.search(r"^y\{", metrics, re.MULTILINE)
    assert all(line.startswith("{") for line in events.splitlines())


def test_sessions_of_other_databases_are_counted_and_named_nowhere(
    postgres: EmbeddedPostgres,
) -> None:
    app = make_role(postgres, "confidential")
    arguments = ("--poll-interval=0.2", "--dsn", postgres.dsn, "--show-role=postgres")
    with ExporterProcess(*arguments) as exporter, psycopg.connect(app) as connection:
        connection.execute("SELECT 1")
        sequence = 0

        def is_linked() -> bool:
            nonlocal sequence
            sequence += 1
            exporter.push(a_held_push(sequence, connection, postgres.port, "request_finished"))
            metrics = exporter.get("/metrics").text
            return 'poolscope_links{level="address",reason=""} 1' in metrics

        assert wait_until(is_linked)
        checkouts = exporter.get("/api/v1/checkouts").json()
        metrics = exporter.get("/metrics").text
        shown = exporter.get("/").text + exporter.get("/api/v1/pools").text + exporter.events

    assert checkouts["checkouts"] == []
    assert checkouts["withheld"]["checkouts"] == 1
    assert "of other databases or roles: 1 checkouts" in shown
    for name in ("/orders", "confidential"):
        assert name not in shown
    # The series of all pools are there, and so is the count of what is withheld.
    [held] = re.findall(r"^poolscope_held_checkouts\{.*\} (\S+)$", metrics, re.MULTILINE)
    assert held == "1.0"
    assert "confidential" not in metrics
