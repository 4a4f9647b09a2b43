"""A process that lists the session of another process displaces nobody, on a real server."""

import time

import psycopg

from poolscope import catalogue
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from support.exporter.exporter_process import ExporterProcess
from support.exporter.held_pushes import a_held_push
from support.exporter.otlp_messages import Attributes, a_marker, a_request, gauges, number
from support.processes.child_processes import wait_until


def a_claim(sequence: int, backend_pid: int, age_s: float, port: int) -> bytes:
    """Return the push of a process that lists a backend PID, and no address of its own."""
    pool: Attributes = {
        catalogue.POOL_NAME: "claims",
        catalogue.SERVER_ADDRESS: "127.0.0.1",
        catalogue.SERVER_PORT: port,
    }
    checkout: Attributes = {
        **pool,
        catalogue.CHECKOUT_ID: 1,
        catalogue.BACKEND_PID: backend_pid,
        catalogue.PEER_ADDRESS: "127.0.0.1",
        catalogue.PEER_PORT: port,
        catalogue.CONNECTION_AGE: age_s,
        catalogue.EVIDENCE: "request_finished",
    }
    return a_request(
        push=(
            a_marker(sequence, **{catalogue.PUSH_INTERVAL: 1.0}),
            gauges(catalogue.CHECKOUT_AGE.name, number(age_s, checkout)),
            gauges(catalogue.CHECKOUTS_HELD.name, number(1, pool)),
            gauges(catalogue.CHECKOUTS_LISTED.name, number(1, pool)),
        ),
        resource={catalogue.SERVICE_NAME: "other", catalogue.SERVICE_INSTANCE_ID: "other-1"},
    ).SerializeToString()


def test_claim_of_a_session_that_another_process_holds_is_contested(
    postgres: EmbeddedPostgres,
) -> None:
    arguments = ("--poll-interval=0.2", "--dsn", postgres.dsn)
    with ExporterProcess(*arguments) as exporter, psycopg.connect(postgres.dsn) as connection:
        opened_s = time.monotonic()
        connection.execute("SELECT 1")
        sequence, links = 0, {}
        expected = {
            "shop": ("address", "idle_in_transaction"),
            "other": ("unlinked:contested", "leaked"),  # by its own evidence alone
        }

        def is_judged() -> bool:
            nonlocal sequence
            sequence += 1
            age_s = time.monotonic() - opened_s
            pid = connection.info.backend_pid
            exporter.push(a_claim(sequence, pid, age_s, postgres.port))
            exporter.push(a_held_push(sequence, connection, postgres.port))
            links.update({each["service"]: each for each in exporter.checkouts()})
            found = {name: (each["link"], each["verdict"]) for name, each in links.items()}
            return found == expected

        assert wait_until(is_judged), links
    assert links["other"]["server_state"] is None
