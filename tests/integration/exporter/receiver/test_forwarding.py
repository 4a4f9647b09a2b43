"""Forwarding, as processes: what goes upstream, what never does, and what is lost is counted."""

import signal
from pathlib import Path

import psycopg

from poolscope import catalogue
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from support.exporter.exporter_process import LOOPBACK_CERT, LOOPBACK_KEY, ExporterProcess
from support.exporter.held_pushes import a_held_push
from support.exporter.otlp_messages import SHOP, a_gauge, a_marker, a_request
from support.exporter.receiver import Mood, a_receiver, points
from support.processes.child_processes import wait_until

SECRET = "s3cr3t"
USED = "db.client.connection.max"


def a_push(sequence: int, value: float = 1.0, publisher: str = "exporter") -> bytes:
    marker = a_marker(sequence, **{catalogue.PUSH_PUBLISHER: publisher})
    resource = {**SHOP, catalogue.SERVICE_INSTANCE_ID: publisher}
    request = a_request(a_gauge(USED, value), push=(marker,), resource=resource)
    return request.SerializeToString()


def count(exporter: ExporterProcess, sample: str) -> float | None:
    lines = exporter.get("/metrics").text.splitlines()
    found = [line.rpartition(" ")[2] for line in lines if line.startswith(sample)]
    return float(found[0]) if found else None


def test_an_otlp_backend_gets_the_metrics_without_held_checkouts_and_with_its_token(
    tmp_path: Path,
) -> None:
    token = tmp_path / "token"
    token.write_text(SECRET)
    with a_receiver() as backend:
        arguments = (f"--forward-to={backend.endpoint}", f"--forward-token-file={token}")
        with ExporterProcess(*arguments) as exporter:
            assert exporter.push(a_push(1, publisher="provider")).status_code == 200
            assert exporter.push(a_push(1)).status_code == 200
            arrived = backend.wait_for_push()
            log = exporter.log + exporter.get("/metrics").text

    assert [point["value"] for point in points(arrived, USED)] == [1.0]
    scopes = {s.scope.name for r in arrived.resource_metrics for s in r.scope_metrics}
    assert scopes == {catalogue.SCOPE}
    # What the application's own provider publishes came first, and went nowhere.
    assert len(backend.arrived) == 1
    assert backend.headers[0]["authorization"] == f"Bearer {SECRET}"
    assert SECRET not in log


def test_a_sidecar_without_a_server_forwards_to_the_exporter_that_judges(
    postgres: EmbeddedPostgres,
) -> None:
    with (
        ExporterProcess("--poll-interval=0.2", "--dsn", postgres.dsn) as central,
        ExporterProcess(
            "--role=sidecar", f"--forward-to={central.otlp}", "--forward-as=poolscope"
        ) as sidecar,
        psycopg.connect(postgres.dsn) as connection,
    ):
        connection.execute("SELECT 1")
        sequence = 0

        def is_judged() -> bool:
            nonlocal sequence
            sequence += 1
            sidecar.push(a_held_push(sequence, connection, postgres.port))
            return [each["verdict"] for each in central.checkouts()] == ["idle_in_transaction"]

        assert wait_until(is_judged), central.checkouts()
        (own,) = sidecar.checkouts()
        assert own["link"] == "unlinked:no_server"
        assert sidecar.get("/api/v1/pools").json()["role"] == "sidecar"
        assert central.get("/api/v1/pools").json()["role"] == "standalone"
        assert "role: sidecar" in sidecar.get("/").text
        assert count(sidecar, 'poolscope_exporter_role{role="sidecar"}') == 1


def test_a_backend_that_comes_back_gets_what_waited_and_the_receiver_never_did() -> None:
    with a_receiver() as backend:
        backend.mood = Mood.FAILS
        with ExporterProcess(f"--forward-to={backend.endpoint}") as exporter:
            for sequence in range(1, 6):
                assert exporter.push(a_push(sequence)).status_code == 200
            assert backend.asked.acquire(timeout=60)
            assert backend.asked.acquire(timeout=60)
            assert (count(exporter, "poolscope_forward_waiting_requests") or 0) > 0
            backend.mood = Mood.ACCEPTS
            assert wait_until(lambda: len(backend.arrived) > 0)
            assert wait_until(
                lambda: count(exporter, "poolscope_forward_waiting_requests") == 0, 20
            )
            log = exporter.log
            busy = count(exporter, 'poolscope_forward_requests_total{result="busy"}')
            lost = count(exporter, 'poolscope_forward_lost_total{reason="too_old"}')

    values = [point for request in backend.arrived for point in points(request, USED)]
    assert len(values) == 5
    assert (busy or 0) >= 2
    assert lost == 0
    assert "forwarding: busy it answered 503" in log


def test_a_backend_that_hangs_delays_no_push() -> None:
    with a_receiver() as backend:
        backend.mood = Mood.HANGS
        with ExporterProcess(f"--forward-to={backend.endpoint}") as exporter:
            assert exporter.push(a_push(1)).status_code == 200
            assert backend.asked.acquire(timeout=60)
            for sequence in range(2, 12):
                assert exporter.push(a_push(sequence)).status_code == 200
            assert count(exporter, "poolscope_forward_waiting_requests") == 11
            more = sum(backend.asked.acquire(blocking=False) for _ in range(10))
            assert more < 5, "each push waited for an attempt of its own"


def test_at_the_end_it_sends_what_is_left() -> None:
    with a_receiver() as backend:
        backend.mood = Mood.FAILS
        with ExporterProcess(f"--forward-to={backend.endpoint}") as exporter:
            exporter.push(a_push(1))
            assert backend.asked.acquire(timeout=60)
            exporter.push(a_push(2))
            backend.mood = Mood.ACCEPTS
            exporter.process.send_signal(signal.SIGTERM)
            assert exporter.process.wait(60) == 0
            log = exporter.log

    assert sum(len(points(request, USED)) for request in backend.arrived) == 2
    assert "shutdown: dropped" not in log


def test_at_the_end_a_backend_that_hangs_costs_two_seconds_and_is_told() -> None:
    with a_receiver() as backend:
        backend.mood = Mood.HANGS
        with ExporterProcess(f"--forward-to={backend.endpoint}") as exporter:
            exporter.push(a_push(1))
            assert backend.asked.acquire(timeout=60)
            exporter.process.send_signal(signal.SIGTERM)
            assert exporter.process.wait(60) == 0
            log = exporter.log

    assert "shutdown: dropped 1 pushes not forwarded within 2 s" in log
    assert "Traceback" not in log


def test_it_forwards_over_tls_to_whom_it_trusts_alone(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(f"{SECRET} sidecars\n")
    tls = (f"--otlp-tls-cert={LOOPBACK_CERT}", f"--otlp-tls-key={LOOPBACK_KEY}")
    with ExporterProcess(f"--token-file={token}", *tls) as central:
        to = (f"--forward-to={central.otlp}", f"--forward-token-file={token}")
        with ExporterProcess(*to, f"--forward-ca-file={LOOPBACK_CERT}") as trusting:
            trusting.push(a_push(1, 7.0))
            assert wait_until(lambda: count(central, "db_client_connection_max{") == 7)
            assert "HTTP Request" not in trusting.log
        with ExporterProcess(*to) as wary:
            wary.push(a_push(1))
            unreachable = 'poolscope_forward_requests_total{result="unreachable"}'
            assert wait_until(lambda: (count(wary, unreachable) or 0) > 0)
            assert "certificate" in wary.log.lower()
            assert SECRET not in wary.log
