"""A sidecar with a server: it judges its own pod, and tells nothing of the server as a whole."""

import psycopg

from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from support.exporter.exporter_process import ExporterProcess
from support.exporter.held_pushes import a_held_push
from support.processes.child_processes import wait_until

OF_THE_WHOLE_SERVER = (
    "poolscope_server_connections{",
    "poolscope_server_connections_limit{",
    "poolscope_server_headroom{",
    "poolscope_server_active_on_cpu{",
    "poolscope_server_cpus{",
    "poolscope_orphan_sessions{",
)


def test_it_judges_its_own_pod_and_exposes_no_facts_of_the_server(
    postgres: EmbeddedPostgres,
) -> None:
    arguments = ("--poll-interval=0.2", "--dsn", postgres.dsn, "--server-cpus=4")
    with (
        ExporterProcess(*arguments, "--role=sidecar") as sidecar,
        ExporterProcess(*arguments) as standalone,
        psycopg.connect(postgres.dsn) as connection,
    ):
        connection.execute("SELECT 1")
        sequence = 0

        def is_judged() -> bool:
            nonlocal sequence
            sequence += 1
            both = (sidecar, standalone)
            for exporter in both:
                exporter.push(a_held_push(sequence, connection, postgres.port))
            verdicts = [each["verdict"] for exporter in both for each in exporter.checkouts()]
            return verdicts == ["idle_in_transaction"] * 2

        assert wait_until(is_judged)
        # The other exporter proves that each of them could have been told by now.
        assert wait_until(
            lambda: is_judged() and set(told(standalone)) == set(OF_THE_WHOLE_SERVER), 40
        ), told(standalone)
        assert told(sidecar) == []
        server = sidecar.server()
        page, log = sidecar.get("/").text, sidecar.log

    assert (server["up"], server["headroom"], server["connections"]) == (True, None, None)
    assert "judges the processes of its own pod" in page
    assert "is a sidecar: judges its own pod only" in log


def told(exporter: ExporterProcess) -> list[str]:
    metrics = exporter.get("/metrics").text
    return [name for name in OF_THE_WHOLE_SERVER if name in metrics]
