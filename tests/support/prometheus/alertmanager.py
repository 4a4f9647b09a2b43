"""A real Alertmanager for tests, from the system's package, on a free port of this machine."""

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from poolscope_exporter.demo.ports import HOST
from poolscope_generators.ports import held_port
from support.processes.child_processes import wait_until

PROGRAM = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
AMTOOL = shutil.which("amtool")


def require_alertmanager() -> None:
    """Fail where the package is missing: these tests run where the system's packages are."""
    if PROGRAM is None or AMTOOL is None:
        pytest.fail("needs Alertmanager and amtool: apt-get install prometheus-alertmanager")


def amtool(*arguments: str) -> str:
    """Return what amtool says; fails where it objects."""
    assert AMTOOL is not None
    done = subprocess.run([AMTOOL, *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.fail(done.stdout + done.stderr, pytrace=False)
    return done.stdout.strip()


class Alertmanager:
    """One Alertmanager that is asked over its API."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._url = f"http://{address}"

    def is_ready(self) -> bool:
        """Tell whether it answers."""
        try:
            return httpx.get(f"{self._url}/-/ready").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def post(self, alerts: Sequence[Mapping[str, str]]) -> None:
        """Make alerts fire, given by their labels."""
        body = [{"labels": dict(labels)} for labels in alerts]
        httpx.post(f"{self._url}/api/v2/alerts", json=body).raise_for_status()

    def suppressed(self) -> list[dict[str, Any]]:
        """Return the labels of the alerts that another one inhibits."""
        return self._with_state("suppressed")

    def active(self) -> list[dict[str, Any]]:
        """Return the labels of the alerts that somebody is told of."""
        return self._with_state("active")

    def _with_state(self, state: str) -> list[dict[str, Any]]:
        found = json.loads(httpx.get(f"{self._url}/api/v2/alerts").text)
        return [alert["labels"] for alert in found if alert["status"]["state"] == state]


@contextmanager
def an_alertmanager(configuration: Path, folder: Path) -> Iterator[Alertmanager]:
    """Run one; an empty cluster address keeps it on the loopback interface."""
    address = f"{HOST}:{held_port()}"
    command = [
        str(PROGRAM),
        f"--config.file={configuration}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",
        "--log.level=error",
    ]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    manager = Alertmanager(address)
    try:
        assert wait_until(lambda: process.poll() is not None or manager.is_ready())
        assert process.poll() is None, f"{configuration}: Alertmanager ended at once"
        yield manager
    finally:
        process.terminate()
        process.wait(30)
