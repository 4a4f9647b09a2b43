"""`poolscope-exporter check`: what is there, what is missing, and what to grant."""

from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from support.exporter.exporter_process import run_to_the_end
from support.postgres.server import make_role


def test_a_role_that_sees_all_misses_nothing(every_postgres: EmbeddedPostgres) -> None:
    dsn = make_role(every_postgres, "auditor", member_of=("pg_read_all_stats",))

    ended = run_to_the_end("check", "--dsn", dsn)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    lines = dict(line.split(maxsplit=1) for line in ended.stdout.splitlines())
    assert f"PostgreSQL {every_postgres.major}." in lines["server"]
    assert lines["role"] == "auditor, privilege full"
    assert lines["connection"] == "direct, no pooler found"
    assert "max_connections" in lines["limits"]
    assert "more sessions, by the limit of the server" in lines["headroom"]
    assert "active" in lines["sessions"]


def test_a_role_without_privileges_is_told_what_to_grant(every_postgres: EmbeddedPostgres) -> None:
    ended = run_to_the_end("check", "--dsn", make_role(every_postgres, "Odd Role"))

    assert ended.returncode == 1
    assert 'missing     GRANT pg_read_all_stats TO "Odd Role";' in ended.stdout


def test_reserved_slots_are_worth_a_grant() -> None:
    with EmbeddedPostgres(settings={"reserved_connections": "2"}) as postgres:
        seeing = make_role(postgres, "seeing", member_of=("pg_read_all_stats",))
        ended = run_to_the_end("check", "--dsn", seeing)
        both = ("pg_read_all_stats", "pg_use_reserved_connections")
        complete = run_to_the_end("check", "--dsn", make_role(postgres, "complete", member_of=both))

    assert ended.returncode == 1
    assert 'missing     GRANT pg_use_reserved_connections TO "seeing";' in ended.stdout
    assert complete.returncode == 0


def test_a_server_that_does_not_answer_is_one_line_without_the_password() -> None:
    ended = run_to_the_end("check", POOLSCOPE_DSN="postgresql://u:s3cr3t@127.0.0.1:1/d")

    assert ended.returncode == 1
    assert "missing     an answer (refused)" in ended.stdout
    assert "s3cr3t" not in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
