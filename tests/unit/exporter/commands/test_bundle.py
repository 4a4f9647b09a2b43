"""The command `bundle` writes one file with what a bug report needs."""

import json
import zipfile
from pathlib import Path

import pytest

from poolscope_exporter.cli import main
from poolscope_exporter.commands.bundle import own_series
from support.exporter.canned_exporter import CannedExporter

METRICS = b"""# HELP db_client_connection_count Connections.
# TYPE db_client_connection_count gauge
db_client_connection_count{state="used"} 3.0
# HELP poolscope_build_info Always 1.
# TYPE poolscope_build_info gauge
poolscope_build_info{version="0.1.0"} 1.0
poolscope_pool_diagnosis{diagnosis="full"} 1.0
process_resident_memory_bytes 1.0
"""
OWN = """# HELP poolscope_build_info Always 1.
# TYPE poolscope_build_info gauge
poolscope_build_info{version="0.1.0"} 1.0
process_resident_memory_bytes 1.0
"""
ANSWERS = {
    "/api/v1/settings": b'{"settings": []}',
    "/api/v1/pools": b'{"pools": []}',
    "/metrics": METRICS,
    "/readyz": b"ready\n",
}


def test_the_file_has_every_answer_and_says_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bundle.zip"
    with CannedExporter(ANSWERS) as canned:
        assert main(["bundle", "--url", canned.address, "--output", str(file)]) == 0
    with zipfile.ZipFile(file) as bundle:
        found = {name: bundle.read(name).decode() for name in bundle.namelist()}

    assert found.keys() == {
        "settings.json",
        "pools.json",
        "metrics.txt",
        "readyz.txt",
        "bundle.json",
    }
    assert found["pools.json"] == '{"pools": []}'
    about = json.loads(found["bundle.json"])
    assert set(about["missing"]) == {
        "/api/v1/checkouts",
        "/api/v1/blockers",
        "/api/v1/profile",
        "/api/v1/incidents",
        "/api/v1/releases",
    }
    assert "python" in about["command_versions"]
    assert "Read it before you publish it" in capsys.readouterr().out
    assert "/api/v1/pools?limit=1000" in canned.asked


def test_only_the_metrics_of_the_exporter_itself_are_kept() -> None:
    assert own_series(METRICS).decode() == OWN


def test_an_exporter_that_does_not_answer_leaves_no_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bundle.zip"
    assert main(["bundle", "--url", "http://127.0.0.1:1", "--output", str(file)]) == 1
    assert not file.exists()
    assert "does not answer" in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_a_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with CannedExporter(ANSWERS) as canned:
        assert main(["bundle", "--url", canned.address, "--output", str(tmp_path)]) == 1
    assert "--output" in capsys.readouterr().err
