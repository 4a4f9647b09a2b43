"""The health check of the image, against an exporter as a process."""

import socket

import pytest

from poolscope_exporter.commands.health import main, url_of
from support.exporter.exporter_process import LOOPBACK_CERT, LOOPBACK_KEY, ExporterProcess


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        ({}, "http://127.0.0.1:9736/healthz"),
        ({"POOLSCOPE_LISTEN": "0.0.0.0:8080"}, "http://127.0.0.1:8080/healthz"),
        ({"POOLSCOPE_LISTEN": "[::]:8080"}, "http://127.0.0.1:8080/healthz"),
        ({"POOLSCOPE_LISTEN": "10.0.0.7:9736"}, "http://10.0.0.7:9736/healthz"),
        ({"POOLSCOPE_TLS_CERT": "/tls/crt"}, "https://127.0.0.1:9736/healthz"),
    ],
)
def test_it_asks_where_the_exporter_listens(environment: dict[str, str], url: str) -> None:
    assert url_of(environment) == url


def test_an_exporter_whose_database_is_away_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with ExporterProcess("--dsn", "postgresql://u@127.0.0.1:1/d") as exporter:
        monkeypatch.setenv("POOLSCOPE_LISTEN", exporter.web.removeprefix("http://"))
        assert main([]) == 0


def test_a_certificate_of_any_name_will_do() -> None:
    with ExporterProcess(f"--tls-cert={LOOPBACK_CERT}", f"--tls-key={LOOPBACK_KEY}") as exporter:
        assert exporter.web.startswith("https://")
        assert main([f"{exporter.web}/healthz"]) == 0


def test_where_nobody_answers_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert main([f"http://127.0.0.1:{port}/healthz"]) == 1
    assert "Connection refused" in capsys.readouterr().err


def test_an_answer_that_is_no_success_is_not_well(capsys: pytest.CaptureFixture[str]) -> None:
    with ExporterProcess() as exporter:
        assert main([f"{exporter.web}/nothing-here"]) == 1
    assert "404" in capsys.readouterr().err
