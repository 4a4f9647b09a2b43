"""The exporter as a process: what it receives, what it survives, and how it ends."""

import re
import signal
import socket
from collections.abc import Iterator, Sequence

import psycopg
import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from prometheus_client.parser import text_string_to_metric_families

from poolscope import catalogue
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_generators.ports import held_port
from support.exporter.exporter_process import ExporterProcess, run_to_the_end
from support.exporter.held_pushes import a_held_push
from support.exporter.otlp_messages import a_request
from support.postgres.server import make_role
from support.processes.child_processes import wait_until

SECRET = "s3cr3t"


@pytest.fixture(scope="module")
def receiving() -> Iterator[ExporterProcess]:
    """Yield an exporter that has no server to watch."""
    with ExporterProcess() as exporter:
        yield exporter


def the_sample(exporter: ExporterProcess, name: str) -> float | None:
    """Return the only sample of that name, None where there is none."""
    found = re.findall(rf"^{name}(?:{{.*}})? (.*)$", exporter.get("/metrics").text, re.MULTILINE)
    assert len(found) < 2
    return float(found[0]) if found else None


def has_verdict(exporter: ExporterProcess, verdict: str) -> bool:
    return [each["verdict"] for each in exporter.checkouts()] == [verdict]


def samples_of(exporter: ExporterProcess, service: str) -> dict[str, float]:
    families = text_string_to_metric_families(exporter.get("/metrics").text)
    return {
        sample.name: sample.value
        for family in families
        for sample in family.samples
        if sample.labels.get("service_name") == service
        and sample.labels.get("le", "+Inf") == "+Inf"
    }


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip])
@pytest.mark.parametrize(
    "temporality", [AggregationTemporality.CUMULATIVE, AggregationTemporality.DELTA]
)
def test_the_official_sdk_is_understood(
    receiving: ExporterProcess, compression: Compression, temporality: AggregationTemporality
) -> None:
    service = f"sdk-{compression.value}-{temporality.name}"
    exporter = OTLPMetricExporter(
        f"{receiving.otlp}/v1/metrics",
        compression=compression,
        preferred_temporality={Counter: temporality, Histogram: temporality},
    )
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=float("inf"))
    resource = Resource({"service.name": service, "service.instance.id": "1"})
    provider = MeterProvider([reader], resource)
    meter = provider.get_meter("test")
    attributes = {catalogue.POOL_NAME: "orders"}
    timeouts = meter.create_counter("db.client.connection.timeouts", "{timeout}")
    wait = meter.create_histogram("db.client.connection.wait_time", "s")
    used = meter.create_up_down_counter("db.client.connection.count", "{connection}")
    used.add(3, {**attributes, catalogue.CONNECTION_STATE: "used"})
    for _ in range(2):
        timeouts.add(2, attributes)
        wait.record(0.25, attributes)
        assert provider.force_flush()
    provider.shutdown()

    def found() -> dict[str, float]:
        return {
            name: value
            for name, value in samples_of(receiving, service).items()
            if name.startswith("db_client")
        }

    expected = {
        "db_client_connection_count": 3,
        "db_client_connection_timeouts_total": 4,
        "db_client_connection_wait_time_seconds_bucket": 2,
        "db_client_connection_wait_time_seconds_count": 2,
        "db_client_connection_wait_time_seconds_sum": 0.5,
    }
    assert wait_until(lambda: found() == expected), found()


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"\x0a\xff", "application/x-protobuf", 400),
        (b"{", "application/json", 400),
        (b"", "text/html", 415),
        (b"\0" * (5 * 1024 * 1024), "application/x-protobuf", 413),
    ],
)
def test_bad_input_is_answered_and_ends_nothing(
    receiving: ExporterProcess, body: bytes, content_type: str, status: int
) -> None:
    assert receiving.push(body, content_type).status_code == status
    assert receiving.push(a_request().SerializeToString()).status_code == 200
    assert receiving.get("/healthz").text == "ok\n"
    assert "Traceback" not in receiving.log


def test_without_a_server_checkouts_are_shown_as_the_application_tells(
    receiving: ExporterProcess, postgres: EmbeddedPostgres
) -> None:
    with psycopg.connect(postgres.dsn) as connection:
        receiving.push(a_held_push(1, connection, postgres.port, "request_finished"))
        (checkout,) = receiving.checkouts()

    assert checkout["verdict"] == "leaked"
    assert checkout["link"] == "unlinked:no_server"
    assert receiving.get("/readyz").status_code == 200
    assert receiving.get("/").status_code == 200


def test_a_held_connection_is_linked_judged_and_told_as_an_event(
    every_postgres: EmbeddedPostgres,
) -> None:
    monitor = make_role(every_postgres, "watching", member_of=("pg_read_all_stats",))
    app = make_role(every_postgres, "holding")
    with (
        ExporterProcess("--poll-interval=0.2", POOLSCOPE_DSN=monitor) as exporter,
        psycopg.connect(app) as connection,
    ):
        connection.execute("SELECT 1")
        sequence = 0

        def is_judged() -> bool:
            nonlocal sequence
            sequence += 1
            exporter.push(a_held_push(sequence, connection, every_postgres.port))
            return has_verdict(exporter, "idle_in_transaction")

        assert wait_until(is_judged), exporter.checkouts()
        (checkout,) = exporter.checkouts()
        assert wait_until(lambda: '"verdict": "idle_in_transaction"' in exporter.events)
        metrics = exporter.get("/metrics").text
        idle_s = the_sample(exporter, "poolscope_held_idle_seconds_total") or 0.0
        inside_s = the_sample(exporter, "poolscope_held_in_transaction_seconds_total") or 0.0
        seen_s = the_sample(exporter, "poolscope_held_seen_seconds_total")
        assert checkout["backend_pid"] == connection.info.backend_pid

    assert checkout["link"] == "address"
    assert checkout["server_state"] == "idle in transaction"
    assert inside_s == seen_s  # its transaction is older than the checkout
    assert inside_s >= idle_s
    assert 'poolscope_links{level="address",reason=""} 1.0' in metrics
    assert 0.0 < idle_s < 30.0


def test_a_session_that_outlives_its_process_is_counted_as_an_orphan(
    postgres: EmbeddedPostgres,
) -> None:
    app = make_role(postgres, "orphaned")
    with (
        ExporterProcess("--poll-interval=0.2", "--dsn", postgres.dsn) as exporter,
        psycopg.connect(app) as connection,
    ):
        connection.execute("SELECT 1")
        sequence = 0

        def is_told() -> bool:
            nonlocal sequence
            sequence += 1
            exporter.push(a_held_push(sequence, connection, postgres.port))
            return the_sample(exporter, "poolscope_orphan_sessions") == 0.0

        assert wait_until(is_told)
        # No further push: after three seconds the process is gone, ten more are its sessions' own.
        assert wait_until(lambda: the_sample(exporter, "poolscope_orphan_sessions") == 1.0)
        connection.execute("SELECT 2")
        assert wait_until(lambda: the_sample(exporter, "poolscope_orphan_sessions") == 0.0)


def test_a_role_without_privileges_knows_why_it_cannot_link(postgres: EmbeddedPostgres) -> None:
    monitor = make_role(postgres, "blind")
    app = make_role(postgres, "unseen")
    with (
        psycopg.connect(app) as connection,
        ExporterProcess("--poll-interval=0.2", "--dsn", monitor) as exporter,
    ):
        sequence = 0

        def is_judged() -> bool:
            nonlocal sequence
            sequence += 1
            exporter.push(a_held_push(sequence, connection, postgres.port))
            # Before the first poll the verdict is "unknown" too, for another reason.
            judged = [(each["verdict"], each["link"]) for each in exporter.checkouts()]
            return judged == [("unknown", "unlinked:no_privilege")]

        assert wait_until(is_judged), exporter.checkouts()
        server = exporter.server()
        assert "GRANT pg_read_all_stats TO blind" in exporter.log

    assert server["privilege"] == "own"
    assert server["connections"]["hidden"] >= 1


def test_a_server_that_stops_is_told_and_found_again() -> None:
    with (
        EmbeddedPostgres(port=held_port()) as postgres,
        ExporterProcess("--poll-interval=0.2", "--dsn", postgres.dsn) as exporter,
    ):
        assert wait_until(exporter.is_up)

        postgres.stop()
        assert wait_until(lambda: not exporter.is_up())
        down = exporter.server()
        assert 'poolscope_server_up{server="' in exporter.get("/metrics").text

        postgres.start()
        assert wait_until(exporter.is_up)
        log = exporter.log

    assert down["reason"].startswith(("refused", "terminated"))
    assert down["connections"] is None
    assert log.count(" answers: PostgreSQL") == 2
    assert "Traceback" not in log


def test_a_wrong_password_is_told_without_it_and_the_rest_goes_on() -> None:
    with (
        EmbeddedPostgres(auth="scram-sha-256", password="right") as postgres,
        ExporterProcess("--dsn", postgres.dsn_for("postgres", SECRET)) as exporter,
    ):
        assert wait_until(lambda: "authentication" in (exporter.server()["reason"] or ""))
        assert exporter.push(a_request().SerializeToString()).status_code == 200
        shown = [exporter.get(path).text for path in ("/", "/metrics", "/api/v1/pools")]
        log = exporter.log + exporter.events

    assert SECRET not in "".join(shown) + log


def test_an_unreachable_host_leaves_the_receiver_up() -> None:
    dsn = f"postgresql://u:{SECRET}@127.0.0.1:1/d"
    with ExporterProcess("--dsn", dsn) as exporter:
        assert wait_until(lambda: "refused" in (exporter.server()["reason"] or ""))
        assert exporter.get("/readyz").status_code == 200
        assert exporter.push(a_request().SerializeToString()).status_code == 200
        assert SECRET not in exporter.log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_good_order(number: signal.Signals, postgres: EmbeddedPostgres) -> None:
    with ExporterProcess("--dsn", postgres.dsn) as exporter:
        assert wait_until(exporter.is_up)
        exporter.process.send_signal(number)

        assert exporter.process.wait(60) == 0
        assert "Traceback" not in exporter.log


@pytest.mark.parametrize("flag", ["--listen", "--otlp-listen"])
def test_a_port_in_use_is_one_clear_error(flag: str) -> None:
    other = "--otlp-listen" if flag == "--listen" else "--listen"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run_to_the_end("run", f"{flag}=127.0.0.1:{port}", f"{other}=127.0.0.1:0")

    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"poolscope-exporter: cannot listen on 127.0.0.1:{port}: ")
    assert f"choose another address with {flag} or POOLSCOPE_" in line


def test_wrong_settings_and_a_misspelt_variable_are_told() -> None:
    ended = run_to_the_end(
        "run", "--poll-intervall=1", POOLSCOPE_LISTEN="x", POOLSCOPE_DSN=f"mysql://{SECRET}"
    )

    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 4
    assert SECRET not in ended.stderr

    with ExporterProcess(POOLSCOPE_DNS="x") as exporter:
        assert "POOLSCOPE_DNS is not a setting of poolscope; did you mean POOLSCOPE_DSN?" in (
            exporter.log
        )


def test_a_token_guards_pushes_page_and_api() -> None:
    with ExporterProcess(POOLSCOPE_TOKEN=SECRET) as exporter:
        body = a_request().SerializeToString()
        refused: Sequence[int] = [
            exporter.push(body).status_code,
            exporter.get("/").status_code,
            exporter.get("/api/v1/checkouts").status_code,
        ]
        granted = exporter.get("/api/v1/checkouts", Authorization=f"Bearer {SECRET}")
        assert exporter.get("/metrics").status_code == 200
        assert SECRET not in exporter.log

    assert refused == [401, 401, 401]
    assert granted.status_code == 200
