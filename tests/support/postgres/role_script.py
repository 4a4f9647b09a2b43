"""Run deploy/postgres/role.sql with the psql of a server, and ask what it made."""

import os
import subprocess
from pathlib import Path

from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_exporter.demo.postgres_wheel import Programs, find_programs
from support.postgres.server import run_sql

SCRIPT = Path(__file__).parents[3] / "deploy" / "postgres" / "role.sql"

MADE = """
SELECT rolname, rolcanlogin, rolinherit, rolconnlimit, rolsuper, rolcreaterole, rolcreatedb,
    rolreplication, rolbypassrls, rolconfig,
    (
        SELECT array_agg(to_jsonb(had) - 'oid' - 'grantor' ORDER BY roleid)
        FROM pg_auth_members AS had WHERE had.member = pg_roles.oid
    )
FROM pg_roles WHERE rolname = 'poolscope'
"""
"""Everything that there is to say of the role, its memberships with their options included."""


def run_role_script(
    server: EmbeddedPostgres,
    dsn: str | None = None,
    programs: Programs | None = None,
    **variables: str,
) -> subprocess.CompletedProcess[str]:
    """Run the script, as the superuser or as the role of `dsn`; psql is the wheel's, or given."""
    found = programs or find_programs(18 if server.major == 18 else 16)
    assigned = [word for name, value in variables.items() for word in ("-v", f"{name}={value}")]
    return subprocess.run(
        [str(found.folder / "psql"), "-X", "-d", dsn or server.dsn, *assigned, "-f", str(SCRIPT)],
        env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def what_was_made(server: EmbeddedPostgres) -> tuple[object, ...]:
    (row,) = run_sql(server.dsn, MADE)
    return row
