"""The Compose stack's own files, played by processes of this machine: Compose itself is not here.

PostgreSQL, PgBouncer, the exporter and the programs of the sample app's image run with what
deploy/compose gives them; only host names, ports and the folder of the secrets are replaced.
"""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from poolscope_exporter.demo.accounts import Account
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_exporter.demo.postgres_wheel import find_programs
from poolscope_generators.incident.pgbouncer import PROGRAM
from poolscope_generators.ports import held_ports
from support.exporter.exporter_process import ExporterProcess, clean_environment
from support.pgbouncer import require_pgbouncer
from support.postgres.role_script import SCRIPT
from support.processes.child_processes import wait_until

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "compose"
PROGRAMS = ROOT / "deploy" / "image" / "sample-app"
SERVICES = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))["services"]
FAST = {"POOLSCOPE_PUSH_INTERVAL_S": "0.5", "FAULTS_PAUSE_S": "1", "FAULTS_LOCKED_S": "30"}
NOTIFICATION = {
    "alerts": [
        {
            "status": "firing",
            "labels": {"alertname": "PoolLeak", "severity": "critical"},
            "annotations": {"summary": "It leaks.", "runbook_url": "runbooks/PoolLeak.md"},
        }
    ]
}


@dataclass
class Stack:
    """Where the services are, by the names that they have in the stack."""

    secrets: Path
    ports: dict[str, int]

    def local(self, text: str) -> str:
        """Return a configuration's text with this machine's addresses and folders."""
        for service, port in self.ports.items():
            text = re.sub(rf"(@|//){service}:\d+", rf"\g<1>127.0.0.1:{port}", text)
        return text.replace("/run/secrets/", f"{self.secrets}/")

    def environment(self, service: str) -> dict[str, str]:
        given: Mapping[str, str] = SERVICES[service].get("environment", {})
        return {name: self.local(value) for name, value in given.items()}

    def secret(self, name: str) -> str:
        return (self.secrets / name).read_text(encoding="utf-8")


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    require_pgbouncer()
    secrets = tmp_path / "secrets"
    maker = str(FOLDER / "make_secrets.py")
    subprocess.run([sys.executable, maker, f"--folder={secrets}"], check=True)
    names = ("pgbouncer", "shop", "shop-pooled", "webhook")
    stack = Stack(secrets, dict(zip(names, held_ports(len(names)), strict=True)))
    with a_server(stack), a_bouncer(stack):
        yield stack


@contextlib.contextmanager
def a_server(stack: Stack) -> Iterator[None]:
    password = stack.secret("postgres_password")
    switches = [each for each in SERVICES["postgres"]["command"] if "=" in each]
    settings = dict(each.split("=", 1) for each in switches)
    with EmbeddedPostgres(auth="scram-sha-256", password=password, settings=settings) as server:
        stack.ports["postgres"] = server.port
        script = (FOLDER / "postgres/init.sql").read_text(encoding="utf-8")
        script = stack.local(script).replace("/deploy/role.sql", str(SCRIPT))
        ran = subprocess.run(
            [str(find_programs(18).folder / "psql"), "-X", "-d", server.dsn, "-f", "-"],
            input=script,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        yield


@contextlib.contextmanager
def a_bouncer(stack: Stack) -> Iterator[None]:
    users = stack.secrets / "pgbouncer_users"
    account = Account.for_postgres()
    with tempfile.TemporaryDirectory(prefix="poolscope-pgbouncer-") as name:
        folder = Path(name)
        ini = _bouncer_settings(stack).replace(str(users), str(folder / "users"))
        (folder / "ini").write_text(ini, encoding="utf-8")
        shutil.copy(users, folder / "users")
        account.give_ownership(folder)
        process = subprocess.Popen(
            [str(PROGRAM), "-q", str(folder / "ini")],
            stderr=subprocess.DEVNULL,
            cwd="/",
            **account.process_arguments(),
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(60)


def _bouncer_settings(stack: Stack) -> str:
    text = stack.local((FOLDER / "pgbouncer/pgbouncer.ini").read_text(encoding="utf-8"))
    server, own = (str(stack.ports[name]) for name in ("postgres", "pgbouncer"))
    return (
        text.replace("host=postgres port=5432", f"host=127.0.0.1 port={server}")
        .replace("listen_addr = 0.0.0.0", "listen_addr = 127.0.0.1")
        .replace("listen_port = 6432", f"listen_port = {own}")
    )


@contextlib.contextmanager
def a_program(name: str, *, of: str, stack: Stack, folder: Path, **more: str) -> Iterator[Path]:
    """Run a program of the sample app's image as the service does; yield its log."""
    log = folder / f"{of}.log"
    variables = {**stack.environment(of), **FAST, **more}
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, name],
            cwd=PROGRAMS,
            env={**clean_environment(), **variables, "PYTHONUNBUFFERED": "1"},
            stdout=out,
            stderr=out,
        )
    try:
        yield log
    finally:
        process.terminate()
        process.wait(60)


def verdicts(exporter: ExporterProcess, token: str) -> set[tuple[str, str, str]]:
    found = exporter.get("/api/v1/checkouts", Authorization=f"Bearer {token}").json()
    return {(each["service"], each["verdict"], each["link"]) for each in found["checkouts"]}


def is_up(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).is_success
    except httpx.TransportError:
        return False


def test_the_stack_links_both_shops_and_its_faults_are_seen(stack: Stack, tmp_path: Path) -> None:
    settings = tmp_path / "poolscope.toml"
    settings.write_text(stack.local(stack.secret("poolscope.toml")), encoding="utf-8")
    assert set(tomllib.loads(settings.read_text(encoding="utf-8"))) == {"pgbouncers"}
    given = {
        **stack.environment("exporter"),
        "POOLSCOPE_CONFIG": str(settings),
        "POOLSCOPE_POLL_INTERVAL_S": "0.5",
    }
    del given["POOLSCOPE_OTLP_LISTEN"]  # the flag of the test names a free port
    token = stack.secret("token")
    seen: set[Any] = set()

    def look(*wanted: tuple[str, str, str]) -> bool:
        seen.update(verdicts(exporter, token))
        return set(wanted) <= seen

    with contextlib.ExitStack() as running:
        exporter = running.enter_context(ExporterProcess(**given))
        for shop in ("shop", "shop-pooled"):
            log = running.enter_context(
                a_program(
                    "shop.py",
                    of=shop,
                    stack=stack,
                    folder=tmp_path,
                    SHOP_LISTEN=f"127.0.0.1:{stack.ports[shop]}",
                    POOLSCOPE_ENDPOINT=exporter.otlp,
                )
            )
            url = f"http://127.0.0.1:{stack.ports[shop]}/orders/1"
            assert wait_until(partial(is_up, url)), log.read_text()
        running.enter_context(a_program("load.py", of="load", stack=stack, folder=tmp_path))
        both = [
            ("shop", "leaked", "address"),
            ("shop-pooled", "leaked", "pgbouncer"),
            ("shop", "slow_query", "address"),
            ("shop-pooled", "slow_query", "pgbouncer"),
        ]
        assert wait_until(lambda: look(*both), 60), seen
        faults = a_program("faults.py", of="faults", stack=stack, folder=tmp_path)
        log = running.enter_context(faults)
        assert wait_until(lambda: look(("shop", "blocked", "address")), 60), (seen, log.read_text())


def test_the_webhook_prints_what_it_is_told(stack: Stack, tmp_path: Path) -> None:
    address = f"127.0.0.1:{stack.ports['webhook']}"
    with a_program(
        "webhook.py", of="webhook", stack=stack, folder=tmp_path, WEBHOOK_LISTEN=address
    ) as log:
        assert wait_until(lambda: is_up(f"http://{address}/"))
        httpx.post(f"http://{address}/pager", json=NOTIFICATION, trust_env=False)
        told = "pager  firing  critical  PoolLeak  It leaks.  runbooks/PoolLeak.md"
        assert wait_until(lambda: told in log.read_text()), log.read_text()
