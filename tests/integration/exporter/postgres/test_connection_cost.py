"""What each form of deployment costs the server in sessions: the table in docs/kubernetes.md."""

from contextlib import ExitStack

import psycopg

from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from support.exporter.exporter_process import ExporterProcess
from support.processes.child_processes import wait_until

OURS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'poolscope-exporter'"


def test_an_exporter_has_one_session_a_sidecar_too_and_one_that_forwards_none() -> None:
    with ExitStack() as stack:
        server = stack.enter_context(EmbeddedPostgres())
        observer = stack.enter_context(psycopg.connect(server.dsn, autocommit=True))

        def run(*arguments: str) -> ExporterProcess:
            exporter = stack.enter_context(ExporterProcess("--poll-interval=0.2", *arguments))
            assert wait_until(lambda: "poolscope_build_info" in exporter.get("/metrics").text)
            return exporter

        def most_sessions() -> int:
            """Return the most at a time, over some polls."""
            counts: list[int] = []

            def has_seen_enough() -> bool:
                row = observer.execute(OURS).fetchone()
                assert row is not None
                counts.append(row[0])
                return len(counts) >= 20

            assert wait_until(has_seen_enough)
            return max(counts)

        central = run("--dsn", server.dsn)
        assert wait_until(lambda: central.server()["up"])
        assert most_sessions() == 1
        sidecars = [run("--dsn", server.dsn, "--role=sidecar") for _ in range(2)]
        assert wait_until(lambda: all(each.server()["up"] for each in sidecars))
        assert most_sessions() == 3
        run("--role=sidecar", "--forward-to", central.otlp, "--forward-as=poolscope")
        assert most_sessions() == 3
