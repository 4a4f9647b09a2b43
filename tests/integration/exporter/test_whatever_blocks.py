"""A name server that is silent, an output that nobody reads: the exporter answers, and ends."""

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest

from poolscope import catalogue
from poolscope_generators.ports import held_port
from support.exporter.exporter_process import ExporterProcess, clean_environment, exporter_command
from support.exporter.otlp_messages import a_gauge, a_request
from support.processes.child_processes import wait_until

SILENT_NAMES = """
import socket, time

ask = socket.getaddrinfo

def getaddrinfo(host, port, family=0, type=0, proto=0, flags=0):
    if str(host).endswith(".silent.test") and not flags & socket.AI_NUMERICHOST:
        time.sleep(3600)
    return ask(host, port, family, type, proto, flags)

socket.getaddrinfo = getaddrinfo
"""

PUSH = a_request(a_gauge(catalogue.MAX.name, 10)).SerializeToString()
SERVERS = 12
"""More than the threads that asyncio's own executor has on a small machine."""


def test_a_silent_name_server_stops_neither_answers_nor_the_end(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(SILENT_NAMES)
    settings = tmp_path / "poolscope.toml"
    settings.write_text(
        "".join(
            f'[[server]]\ndsn = "host=db{n}.silent.test user=x"\nname = "db{n}"\n'
            f'pgbouncers = ["host=bouncer{n}.silent.test user=x dbname=pgbouncer"]\n'
            for n in range(SERVERS)
        )
    )
    with ExporterProcess("--config", str(settings), PYTHONPATH=str(tmp_path)) as exporter:
        assert wait_until(
            lambda: all(
                f'poolscope_server_up{{server="db{n}"}} 0' in exporter.get("/metrics").text
                for n in range(SERVERS)
            )
        )
        for _ in range(5):
            assert exporter.get("/metrics", Accept="text/plain").status_code == 200
            assert exporter.get("/healthz").status_code == 200
        exporter.process.send_signal(signal.SIGTERM)
        assert exporter.process.wait(60) == 0


def test_a_password_file_that_cannot_be_read_stops_neither_answers_nor_the_end(
    tmp_path: Path,
) -> None:
    """A pipe that nobody writes to blocks its reader, as a volume that does not answer does."""
    password = tmp_path / "password"
    password.write_text("s3cr3t")
    dsn = "host=127.0.0.1 port=1 user=x"
    with ExporterProcess("--dsn", dsn, "--password-file", str(password)) as exporter:
        password.unlink()
        os.mkfifo(password)
        assert wait_until(partial(_is_logged, exporter, "the password file was not read within"))
        assert exporter.get("/healthz").status_code == 200
        assert exporter.get("/metrics").status_code == 200
        exporter.process.send_signal(signal.SIGTERM)
        assert exporter.process.wait(60) == 0


def test_a_token_file_that_cannot_be_read_stops_neither_pushes_nor_the_end(tmp_path: Path) -> None:
    """Not even a hang-up, at which all settings are read again, waits for the file."""
    files = [tmp_path / name for name in ("token", "upstream-token")]
    for file in files:
        file.write_text("s3cr3t shop\n")
    flags = (
        f"--token-file={files[0]}",
        f"--forward-token-file={files[1]}",
        f"--forward-to=http://127.0.0.1:{held_port()}",
    )
    with ExporterProcess(*flags) as exporter:
        for file in files:
            file.unlink()
            os.mkfifo(file)
        for _ in range(3):
            exporter.process.send_signal(signal.SIGHUP)
            assert exporter.push(PUSH, token="s3cr3t").status_code == 200
            assert exporter.get("/", Authorization="Bearer s3cr3t").status_code == 200
            assert exporter.get("/healthz").status_code == 200
        for file in files:
            assert wait_until(partial(_is_logged, exporter, f"{file} was not read within"))
        assert exporter.push(PUSH, token="s3cr3t").status_code == 200
        exporter.process.send_signal(signal.SIGTERM)
        assert exporter.process.wait(60) == 0


@contextmanager
def an_exporter(
    stream: str, descriptor: int, arguments: Sequence[str] = ()
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Run an exporter of which one stream is this descriptor; give its process and address."""
    nowhere = subprocess.DEVNULL
    out, err = (descriptor, nowhere) if stream == "stdout" else (nowhere, descriptor)
    address = f"127.0.0.1:{held_port()}"
    command = exporter_command(
        "run", f"--listen={address}", "--otlp-listen=127.0.0.1:0", *arguments
    )
    process = subprocess.Popen(command, env=clean_environment(), stdout=out, stderr=err)
    try:
        yield process, f"http://{address}"
    finally:
        process.kill()
        process.wait()


def _is_logged(exporter: ExporterProcess, text: str) -> bool:
    return text in exporter.log


def is_healthy(address: str) -> bool:
    try:
        return httpx.get(f"{address}/healthz", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture
def full_pipe() -> Iterator[int]:
    """Give the end to write to of a pipe that is full, and that nobody reads."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        while os.write(writing, b"x" * 4096):
            pass
    except BlockingIOError:
        os.set_blocking(writing, True)
    yield writing
    for descriptor in (reading, writing):
        os.close(descriptor)


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_an_output_that_nobody_reads_stops_neither_start_nor_end(
    stream: str, full_pipe: int
) -> None:
    with an_exporter(stream, full_pipe, ["--log-level=debug"]) as (process, address):
        assert wait_until(lambda: is_healthy(address))
        metrics = httpx.get(f"{address}/metrics", trust_env=False).text
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert f'poolscope_output_lost_total{{stream="{stream}"}} 0.0' in metrics


def test_an_output_whose_reader_went_is_counted() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with an_exporter("stderr", writing) as (process, address):
        os.close(writing)

        def is_counted() -> bool:
            metrics = httpx.get(f"{address}/metrics", trust_env=False).text
            return 'poolscope_output_lost_total{stream="stderr"} 0.0' not in metrics

        assert wait_until(lambda: is_healthy(address))
        assert wait_until(is_counted)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def test_a_hangup_reads_the_thresholds_again_and_ends_nothing(tmp_path: Path) -> None:
    thresholds = tmp_path / "thresholds.toml"
    thresholds.write_text("[C1]\nmost = 30\n")
    with ExporterProcess("--thresholds", str(thresholds)) as exporter:
        for text, said in (
            ("[C1]\nmost = 40\n", "thresholds reloaded"),
            ("[C1]\nmost = -40\n", "SIGHUP: thresholds not reloaded, invalid settings: "),
        ):
            thresholds.write_text(text)
            exporter.process.send_signal(signal.SIGHUP)
            assert wait_until(partial(_is_logged, exporter, said)), exporter.log
        assert exporter.get("/healthz").status_code == 200
