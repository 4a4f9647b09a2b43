"""The Compose stack: its schema, its hardening, and every configuration that it mounts."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.documents.rendering import ROOT, run

FOLDER = ROOT / "deploy" / "compose"
COMPOSE = FOLDER / "compose.yaml"
STACK: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
SERVICES: dict[str, Any] = STACK["services"]
RULES = ("poolscope.rules.yaml", "poolscope-absent.rules.yaml")

every_service = pytest.mark.parametrize("name", SERVICES)


def schema_check(path: Path) -> subprocess.CompletedProcess[str]:
    return run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", str(path))


def test_the_schema_of_compose_is_kept() -> None:
    found = schema_check(COMPOSE)

    assert found.returncode == 0, found.stdout


def test_a_misspelt_key_would_be_found(tmp_path: Path) -> None:
    broken = tmp_path / "compose.yaml"
    text = COMPOSE.read_text(encoding="utf-8")
    broken.write_text(text.replace("healthcheck:", "healthchek:"), encoding="utf-8")

    assert schema_check(broken).returncode != 0


@every_service
def test_every_container_is_hardened(name: str) -> None:
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert "privileged" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    for published in service.get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", published)


@every_service
def test_no_password_is_in_the_environment(name: str) -> None:
    for variable, value in SERVICES[name].get("environment", {}).items():
        assert not re.search(r"://[^/@]*:[^/@]*@", value), variable
        if re.search("PASSWORD|TOKEN", variable):
            assert value.startswith("/run/secrets/"), variable


@every_service
def test_every_image_is_pinned_or_built_here(name: str) -> None:
    image = SERVICES[name]["image"]

    assert re.search(r":(?!latest)\S+$", image)
    assert image.endswith(":local") == ("build" in SERVICES[name])


@every_service
def test_every_container_that_serves_has_a_health_check(name: str) -> None:
    check = SERVICES[name].get("healthcheck", {})

    if name in {"load", "faults"}:
        assert check == {"disable": True}
    elif name not in {"exporter", "shop", "shop-pooled"}:  # theirs is the image's
        assert check["test"][0] == "CMD"


@every_service
def test_what_it_waits_for_is_there_and_can_become_healthy(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        assert other in SERVICES
        if how["condition"] == "service_healthy":
            assert SERVICES[other].get("healthcheck") != {"disable": True}


@every_service
def test_all_that_is_mounted_is_there(name: str) -> None:
    if name == "grafana" and not (ROOT / "dashboards/provisioning").exists():
        pytest.skip("dashboards/provisioning is not there yet")
    for mount in SERVICES[name].get("volumes", []):
        source, _target, *options = mount.split(":")
        if source.startswith("."):
            assert (FOLDER / source).exists(), source
            assert options == ["ro"]
        else:
            assert source in STACK["volumes"]


def test_load_and_faults_come_only_when_asked_for() -> None:
    profiles = {name: service.get("profiles") for name, service in SERVICES.items()}

    assert {name: asked for name, asked in profiles.items() if asked} == {
        "load": ["load", "faults"],
        "faults": ["faults"],
    }


def test_every_secret_is_made(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    command = [sys.executable, str(FOLDER / "make_secrets.py"), f"--folder={folder}"]
    subprocess.run(command, check=True)
    made = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}
    subprocess.run(command, check=True)

    assert {Path(each["file"]).name for each in STACK["secrets"].values()} == set(made)
    assert {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()} == made
    assert folder.stat().st_mode & 0o777 == 0o700
    for service in SERVICES.values():
        assert set(service.get("secrets", [])) <= set(STACK["secrets"])


def test_prometheus_takes_its_configuration_and_the_rules(tmp_path: Path) -> None:
    shutil.copy(FOLDER / "prometheus.yaml", tmp_path)
    (tmp_path / "rules").mkdir()
    for name in RULES:
        shutil.copy(ROOT / "alerts" / name, tmp_path / "rules")
    found = run("promtool", "check", "config", str(tmp_path / "prometheus.yaml"))

    assert found.returncode == 0, found.stdout + found.stderr
    assert "2 rule files found" in found.stdout


def test_alertmanager_takes_the_configuration_that_is_mounted() -> None:
    (mounted,) = (each for each in SERVICES["alertmanager"]["volumes"] if "/alerts/" in each)
    found = run("amtool", "check-config", str(FOLDER / mounted.split(":")[0]))

    assert found.returncode == 0, found.stdout + found.stderr


def test_the_webhook_listens_where_alertmanager_sends() -> None:
    sends = (ROOT / "alerts" / "alertmanager.yaml").read_text(encoding="utf-8")
    program = (ROOT / "deploy/image/sample-app/webhook.py").read_text(encoding="utf-8")

    assert set(re.findall(r"http://([\d.:]+)/", sends)) == {"127.0.0.1:9095"}
    assert "127.0.0.1:9095" in program
    assert SERVICES["webhook"]["network_mode"] == "service:alertmanager"


def test_grafana_finds_the_data_source_that_the_dashboards_and_alerts_name() -> None:
    provisioned = yaml.safe_load((FOLDER / "grafana/datasource.yaml").read_text(encoding="utf-8"))
    (source,) = provisioned["datasources"]
    assert source["url"] == "http://prometheus:9090"
    general = ROOT / "dashboards/provisioning/datasources/poolscope.yaml"
    if not general.exists():
        pytest.skip("dashboards/provisioning is not there yet")
    (other,) = yaml.safe_load(general.read_text(encoding="utf-8"))["datasources"]
    differing = {"url", "isDefault"}
    assert {k: v for k, v in source.items() if k not in differing} == {
        k: v for k, v in other.items() if k not in differing
    }
