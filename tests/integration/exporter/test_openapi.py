"""The answers of a running exporter are those that its OpenAPI document promises."""

import psycopg

from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from support.exporter.api_schema import problems_of
from support.exporter.exporter_process import ExporterProcess
from support.exporter.held_pushes import a_held_push
from support.processes.child_processes import wait_until


def test_answers_about_a_held_connection_are_as_documented(postgres: EmbeddedPostgres) -> None:
    with (
        ExporterProcess("--poll-interval=0.2", "--dsn", postgres.dsn) as exporter,
        psycopg.connect(postgres.dsn) as connection,
    ):
        connection.execute("SELECT 1")
        sequence = 0

        def is_judged() -> bool:
            nonlocal sequence
            sequence += 1
            exporter.push(a_held_push(sequence, connection, postgres.port, recycle_s=1800.0))
            return [each["verdict"] for each in exporter.checkouts()] == ["idle_in_transaction"]

        assert wait_until(is_judged, 20)
        document = exporter.get("/openapi.json").json()
        answers = {
            path: exporter.get(path).json()
            for path in ("/api/v1/pools", "/api/v1/checkouts", "/api/v1/blockers")
        }

    for path, answer in answers.items():
        assert problems_of(answer, path, document) == []
    assert answers["/api/v1/pools"]["pools"][0]["recycle_s"] == 1800.0
