"""A real Prometheus on loopback: one that scrapes, or one that serves what was loaded into it."""

import gzip
import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from poolscope_exporter.demo.ports import HOST
from poolscope_generators.incident.programs import wait_until_ready
from poolscope_generators.ports import held_port

READY_S = 60.0
KEEP_FOR_EVER = "--storage.tsdb.retention.time=100y"


class Prometheus:
    """One server, asked over its API."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._client = httpx.Client(base_url=url, trust_env=False, timeout=60.0)

    def close(self) -> None:
        """Close the connections to it."""
        self._client.close()

    def is_ready(self) -> bool:
        """Tell whether it answers queries."""
        try:
            return self._client.get("/-/ready").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def ask(self, path: str, **parameters: str | float) -> Any:
        """Return the data of an API call; AssertionError with what the server objects to."""
        return self._asked(path, parameters)

    def instant(self, expression: str, at: float) -> list[dict[str, Any]]:
        """Return the result of a query at an instant."""
        return list(self.ask("query", query=expression, time=at)["result"])

    def over_time(
        self, expression: str, start: float, end: float, step_s: float
    ) -> list[dict[str, Any]]:
        """Return the result of a range query."""
        found = self.ask("query_range", query=expression, start=start, end=end, step=step_s)
        return list(found["result"])

    def series(self, selector: str, start: float, end: float) -> list[Mapping[str, str]]:
        """Return the labels of the series that exist between the two."""
        answer: list[Mapping[str, str]] = self._asked(
            "series", {"match[]": selector, "start": start, "end": end}
        )
        return answer

    def _asked(self, path: str, parameters: Mapping[str, str | float]) -> Any:
        answer = self._client.post(f"/api/v1/{path}", data=dict(parameters)).json()
        assert answer["status"] == "success", f"{parameters}: {answer}"
        return answer["data"]


@contextmanager
def a_prometheus(
    configuration: Mapping[str, Any],
    folder: Path,
    *flags: str,
    program: str = "prometheus",
    port: int | None = None,
) -> Iterator[Prometheus]:
    """Run one with this configuration; its data is in `folder/data`, which may be there before."""
    path = folder / "prometheus.yml"
    path.write_text(json.dumps(configuration), encoding="utf-8")  # JSON is YAML
    address = f"{HOST}:{port or held_port()}"
    command = [
        program,
        f"--config.file={path}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
        "--log.level=warn",
        *flags,
    ]
    log = folder / "prometheus.log"
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    server = Prometheus(f"http://{address}")
    try:
        wait_until_ready(process, server.is_ready, log, READY_S)
        yield server
    finally:
        server.close()
        process.terminate()
        process.wait(30)


def load(recording: Path, folder: Path) -> None:
    """Make blocks of a Prometheus from OpenMetrics text, gzipped, under `folder/data`."""
    text = folder / "incident.om"
    with gzip.open(recording, "rb") as source, text.open("wb") as target:
        shutil.copyfileobj(source, target)
    command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(text)]
    done = subprocess.run(
        [*command, str(folder / "data")], capture_output=True, text=True, timeout=300, check=False
    )
    text.unlink()
    assert done.returncode == 0, done.stdout + done.stderr
