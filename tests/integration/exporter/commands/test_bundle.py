"""The bundle of a running exporter has every answer, and none of the exporter's secrets."""

import json
import zipfile
from pathlib import Path

from support.exporter.exporter_process import ExporterProcess, run_to_the_end
from support.exporter.otlp_messages import a_request

TOKEN, PASSWORD, COMMAND = "t0k3n-of-the-exporter", "s3cr3t-of-the-role", "s3cr3t-of-the-command"


def test_no_secret_of_a_running_exporter_is_in_its_bundle(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"{TOKEN} shop\n")
    file = tmp_path / "bundle.zip"
    config = tmp_path / "poolscope.toml"
    config.write_text(
        f'forward_to = "https://127.0.0.1:1/{COMMAND}"\n'
        "[[server]]\n"
        f'dsn = "postgresql://poolscope:{PASSWORD}@127.0.0.1:1/shop"\n'
        f'pgbouncers = ["postgresql://admin:{PASSWORD}@127.0.0.1:2/pgbouncer"]\n'
        "[[server]]\n"
        f'dsn = "postgresql://poolscope@127.0.0.1:3/shop"\n'
        f'password_command = ["echo", "{COMMAND}"]\n'
    )
    with ExporterProcess("--config", str(config), "--token-file", str(tokens)) as exporter:
        pushed = exporter.push(a_request().SerializeToString(), token=TOKEN)
        assert pushed.status_code == 200
        refused = run_to_the_end("bundle", "--url", exporter.web, "--output", str(file))
        assert refused.returncode == 1
        assert not file.exists()
        done = run_to_the_end(
            "bundle", "--url", exporter.web, "--output", str(file), POOLSCOPE_TOKEN=TOKEN
        )
        assert done.returncode == 0, done.stderr

    with zipfile.ZipFile(file) as bundle:
        contents = {name: bundle.read(name).decode() for name in bundle.namelist()}
    assert json.loads(contents["bundle.json"])["missing"] == {}
    assert "127.0.0.1:3" in contents["settings.json"]
    assert "poolscope_build_info" in contents["metrics.txt"]
    everything = "".join(contents.values())
    for secret in (TOKEN, PASSWORD, COMMAND):
        assert secret not in everything
