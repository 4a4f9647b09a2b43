"""The chart renders with each set of values, refuses wrong ones, and starts an exporter."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from poolscope_exporter.settings.options import OPTIONS
from poolscope_exporter.version import __version__
from support.applications.pods import Pod, pods, started_with
from support.documents.rendering import (
    APPLIES,
    ROOT,
    Resource,
    kubernetes_objections,
    of_operator,
    operator_objections,
    output,
    resources_of,
    rule_objections,
    run,
)
from support.exporter.exporter_process import LOOPBACK_CERT, LOOPBACK_KEY, ExporterProcess
from support.processes.child_processes import wait_until

HELM = ROOT / "deploy" / "helm"
CHART = HELM / "poolscope"
VALUES = sorted(path.stem.removesuffix("-values") for path in CHART.glob("ci/*-values.yaml"))
OLDEST, NEWEST = "1.25", "1.37"
ON_KUBERNETES = ("--kube-version", NEWEST)
SECRETS = {
    "poolscope-database": {
        "dsn": "postgresql://poolscope@127.0.0.1:1/postgres", "password": "secret",
    },
    "poolscope-pgbouncer": {"dsn": "postgresql://poolscope@127.0.0.1:1/pgbouncer"},
    "poolscope-tokens": {"tokens": "first-token shop\n"},
    "poolscope-tls": {"tls.crt": LOOPBACK_CERT.read_text(), "tls.key": LOOPBACK_KEY.read_text()},
    "orders-db": {"password": "secret"},
    "billing-db": {"password": "secret"},
}  # fmt: skip
WATCHED = {
    "default": "127.0.0.1:1",
    "full": "orders",
    "own-secret": "127.0.0.1:1",
    "receive-only": "no server",
    "several-servers": "orders, billing",
}
CHECKSUM = "checksum/settings"


@cache
def rendered(values: str) -> tuple[Resource, ...]:
    path = CHART / "ci" / f"{values}-values.yaml"
    return tuple(resources_of(template("-f", str(path))))


def template(*arguments: str) -> str:
    return output("helm", "template", "trial", str(CHART), *ON_KUBERNETES, *arguments)


def refusal(*values: str) -> str:
    """Return why Helm does not render the chart with such values."""
    sets = [part for value in values for part in ("--set", value)]
    done = run("helm", "template", "trial", str(CHART), *ON_KUBERNETES, *sets)
    assert done.returncode != 0
    return done.stderr


def of_kind(values: str, kind: str) -> list[Resource]:
    return [each for each in rendered(values) if each["kind"] == kind]


WITH_EXPORTER = [values for values in VALUES if values != "sidecars-only"]


def exporter_pod(values: str) -> Pod:
    (found,) = pods(rendered(values))
    return found


def test_the_chart_is_of_the_version_of_the_exporter() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert chart["version"] == chart["appVersion"] == __version__


@pytest.mark.parametrize("values", VALUES)
def test_helms_own_lint_has_nothing_to_say(values: str) -> None:
    path = CHART / "ci" / f"{values}-values.yaml"
    output("helm", "lint", "--strict", *ON_KUBERNETES, str(CHART), "-f", str(path))


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("values", VALUES)
def test_what_is_rendered_is_valid(values: str, version: str, tmp_path: Path) -> None:
    plain = [each for each in rendered(values) if not of_operator(each)]
    assert kubernetes_objections(plain, version, tmp_path) == ""


def test_the_packed_chart_has_everything_that_the_folder_has(tmp_path: Path) -> None:
    output("helm", "package", str(CHART), "--destination", str(tmp_path))
    (packed,) = tmp_path.glob("poolscope-*.tgz")
    full = ("-f", str(CHART / "ci" / "full-values.yaml"))
    of_packed = output("helm", "template", "trial", str(packed), *ON_KUBERNETES, *full)
    assert of_packed == template(*full)


def test_the_chart_says_which_kubernetes_it_is_checked_against() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert chart["kubeVersion"] == f">={OLDEST}.0-0"


def test_a_typing_error_in_a_template_is_objected_to(tmp_path: Path) -> None:
    chart = tmp_path / "poolscope"
    shutil.copytree(CHART, chart)
    path = chart / "templates" / "deployment.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("enableServiceLinks", "enableServiceLink"), encoding="utf-8")
    resources = resources_of(output("helm", "template", "trial", str(chart), *ON_KUBERNETES))
    assert "enableServiceLink" in kubernetes_objections(resources, NEWEST, tmp_path)


def test_what_is_the_operators_is_valid_by_its_models() -> None:
    found = [each for values in VALUES for each in rendered(values) if of_operator(each)]
    assert {each["kind"] for each in found} == {"PodMonitor", "PrometheusRule"}
    assert operator_objections(found) == ""


def test_a_claim_is_where_the_exporter_keeps_its_incidents() -> None:
    pod = pod_with("--set", "state.existingClaim=history")
    claims = {
        each["name"]: each["persistentVolumeClaim"]["claimName"]
        for each in pod.spec["volumes"]
        if "persistentVolumeClaim" in each
    }
    [mount] = [each for each in pod.exporter["volumeMounts"] if each["name"] in claims]
    assert claims == {mount["name"]: "history"}
    assert mount["mountPath"] == variables_of(pod)["POOLSCOPE_STATE_DIR"]
    # The root file system is read-only, and the exporter is not root: it writes as its group.
    assert not mount.get("readOnly")
    assert pod.spec["securityContext"]["fsGroup"] == pod.exporter["securityContext"]["runAsGroup"]


@pytest.mark.parametrize("sets", [(), ("--set", "state.existingClaim=")], ids=["default", "empty"])
def test_without_a_claim_the_incidents_are_in_memory(sets: tuple[str, ...]) -> None:
    pod = pod_with(*sets)
    assert "POOLSCOPE_STATE_DIR" not in variables_of(pod)
    assert all("persistentVolumeClaim" not in each for each in pod.spec["volumes"])


@pytest.mark.parametrize("values", VALUES)
def test_the_chart_makes_no_claim_that_an_uninstallation_would_delete(values: str) -> None:
    assert of_kind(values, "PersistentVolumeClaim") == []


def test_incidents_are_saved_where_the_claim_is_mounted(tmp_path: Path) -> None:
    environment = started_with(exporter_pod("full"), {**SECRETS, **made("full")}, tmp_path)
    folder = Path(environment["POOLSCOPE_STATE_DIR"])
    with ExporterProcess(**environment) as exporter:
        assert wait_until((folder / "incidents.sqlite3").exists)
        assert "incidents are not saved" not in exporter.log
    assert folder.is_relative_to(tmp_path)


def pod_with(*arguments: str) -> Pod:
    (found,) = pods(resources_of(template(*arguments)))
    return found


def variables_of(pod: Pod) -> dict[str, str | None]:
    return {each["name"]: each.get("value") for each in pod.exporter["env"]}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("replicaCount=2", "replicaCount"),
        ("networkPolicy.enable=true", "enable"),
        ("image.tag=latest", "/image/tag"),
        ("podMonitor.interval=15 seconds", "/podMonitor/interval"),
        ("settings.POOLSCOPE_POLL_INTERVL_S=5", "POOLSCOPE_POLL_INTERVL_S"),
        ("settings.POOLSCOPE_EXPECTS.a=5", "/settings/POOLSCOPE_EXPECTS"),
        ("settings.POOLSCOPE_LISTEN=:1", "POOLSCOPE_LISTEN"),
        ("database.dsn=postgresql://user:secret@host/db", "/database/dsn"),
        ("state.existingClaim=My Claim", "/state/existingClaim"),
        ("state.size=1Gi", "size"),
        ("secretMounts[0].name=tokens,secretMounts[0].secretName=x", "/secretMounts/0/name"),
        ("database.dsn=postgresql://user@host/db", "needs database.password"),
        ("settingsFile=x,database.dsn=postgresql://user@host/db", "exclude one another"),
        (
            "prometheusRule.enabled=true,prometheusRule.disabledAlerts={PoolLeek}",
            "there is no alert PoolLeek",
        ),
    ],
)
def test_a_wrong_value_stops_the_installation_and_is_named(value: str, reason: str) -> None:
    assert reason in refusal(value)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("5", "5"),
        ('"5"', "5"),
        ("0.5", "0.5"),
        ("10000000", "10000000"),
        ("true", "true"),
        ("primary", "primary"),
        ("'say \"yes\"'", 'say "yes"'),
    ],
)
def test_setting_may_be_a_number_and_reaches_the_exporter_as_it_is_written(
    written: str, value: str, tmp_path: Path
) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(f"settings:\n  POOLSCOPE_EXPECTS: {written}\n", encoding="utf-8")

    (deployment,) = (
        each for each in resources_of(template("-f", str(file))) if each["kind"] == "Deployment"
    )

    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    variables = {each["name"]: each.get("value") for each in container["env"]}
    assert variables["POOLSCOPE_EXPECTS"] == value


def test_the_schema_knows_every_value_and_the_values_every_key_of_the_schema() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    assert set(schema["properties"]) - {"global"} == set(values)
    for key, part in schema["properties"].items():
        if isinstance(values.get(key), dict) and key != "settings" and part.get("properties"):
            assert set(part["properties"]) == set(values[key]), key


def test_no_value_can_set_what_a_template_sets() -> None:
    settable = {option.variable for option in OPTIONS if option.in_chart}
    made = {
        variable["name"]
        for values in WITH_EXPORTER
        for variable in exporter_pod(values).exporter["env"]
        if variable["name"] not in given_settings(values)
    }
    assert made & settable == set()


def given_settings(values: str) -> set[str]:
    """Return the variables that a set of values sets by itself."""
    text = (CHART / "ci" / f"{values}-values.yaml").read_text(encoding="utf-8")
    content = yaml.safe_load(text) or {}
    return {*content.get("settings", {}), *(each["name"] for each in content.get("extraEnv", []))}


@pytest.mark.parametrize("values", WITH_EXPORTER)
def test_an_exporter_is_hardened_and_alone(values: str) -> None:
    pod = exporter_pod(values)
    (deployment,) = of_kind(values, "Deployment")
    assert deployment["spec"]["replicas"] == 1
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}
    assert pod.spec["automountServiceAccountToken"] is False
    assert pod.exporter["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "runAsGroup": 10001,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert set(pod.exporter["resources"]["limits"]) == {"memory"}


@pytest.mark.parametrize("values", WITH_EXPORTER)
def test_it_starts_as_deployed_and_its_probes_do_not_wait_for_a_database(
    values: str, tmp_path: Path
) -> None:
    environment = started_with(exporter_pod(values), {**SECRETS, **made(values)}, tmp_path)
    with ExporterProcess(**environment) as exporter:
        for path_of_probe in probes(exporter_pod(values)):
            assert httpx.get(exporter.web + path_of_probe, trust_env=False).status_code == 200
        assert "is not a setting" not in exporter.log
        assert f"watches {WATCHED[values]}" in exporter.log


def made(values: str) -> dict[str, dict[str, str]]:
    """Return what the chart's own Secrets and ConfigMaps hold."""
    found = [*of_kind(values, "Secret"), *of_kind(values, "ConfigMap")]
    return {each["metadata"]["name"]: each.get("stringData") or each["data"] for each in found}


def probes(pod: Pod) -> Iterator[str]:
    for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
        yield pod.exporter[kind]["httpGet"]["path"]


@pytest.mark.parametrize("values", WITH_EXPORTER)
def test_service_monitor_and_policy_find_the_pod_and_its_ports(values: str) -> None:
    pod = exporter_pod(values)
    (service,) = of_kind(values, "Service")
    selectors = [service["spec"]["selector"]]
    ports = [port["targetPort"] for port in service["spec"]["ports"]]
    for policy in of_kind(values, "NetworkPolicy"):
        selectors.append(policy["spec"]["podSelector"]["matchLabels"])
        ports += [port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]]
    for monitor in of_kind(values, "PodMonitor")[:1]:
        selectors.append(monitor["spec"]["selector"]["matchLabels"])
        ports += [each["port"] for each in monitor["spec"]["podMetricsEndpoints"]]
    assert all(selector.items() <= pod.labels.items() for selector in selectors)
    assert set(ports) <= set(pod.ports)


def test_the_rules_are_those_of_alerts_without_what_was_disabled(tmp_path: Path) -> None:
    rendered_groups = [
        group for each in of_kind("full", "PrometheusRule") for group in each["spec"]["groups"]
    ]
    shipped = [
        group
        for name in ("poolscope.rules.yaml", "poolscope-absent.rules.yaml")
        for group in yaml.safe_load((ROOT / "alerts" / name).read_text(encoding="utf-8"))["groups"]
    ]
    assert rendered_groups == [without(group, "PoolStaleSocketsCaught") for group in shipped]
    path = tmp_path / "rules.yaml"
    path.write_text(json.dumps({"groups": rendered_groups}), encoding="utf-8")
    assert rule_objections([path]) == ""


@pytest.mark.parametrize("values", VALUES)
def test_what_is_applied_fits_into_the_annotation_that_kubectl_keeps_it_in(values: str) -> None:
    too_large = [
        each["metadata"]["name"] for each in rendered(values) if len(json.dumps(each)) >= APPLIES
    ]
    assert too_large == []


def without(group: dict[str, Any], alert: str) -> dict[str, Any]:
    return {**group, "rules": [rule for rule in group["rules"] if rule.get("alert") != alert]}


def test_each_dashboard_is_a_config_map_that_grafanas_sidecar_finds() -> None:
    found = [each for each in of_kind("full", "ConfigMap") if "grafana" in json.dumps(each)]
    sources = {path.name: path.read_text() for path in (ROOT / "dashboards").glob("*.json")}
    told = {name: text for each in found for name, text in each["data"].items()}
    assert {name: json.loads(text) for name, text in told.items()} == {
        name: json.loads(text) for name, text in sources.items()
    }
    for each in found:
        assert each["metadata"]["labels"]["grafana_dashboard"] == "1"
        # kubectl apply keeps the whole in an annotation, which may have 256 KiB.
        assert len(json.dumps(each)) < 262_144


def test_a_changed_settings_file_restarts_the_exporter() -> None:
    one, other = (
        resources_of(template("--set", f"settingsFile=log_level = '{level}'"))
        for level in ("info", "debug")
    )
    assert checksum(one) != checksum(other)


def checksum(resources: list[Resource]) -> str:
    (deployment,) = [each for each in resources if each["kind"] == "Deployment"]
    return str(deployment["spec"]["template"]["metadata"]["annotations"][CHECKSUM])


@pytest.mark.parametrize("classic", [False, True], ids=["native", "classic"])
@pytest.mark.parametrize("judges", [False, True], ids=["forwards", "judges"])
def test_the_chart_of_an_app_takes_the_sidecar_from_ours(
    classic: bool, judges: bool, tmp_path: Path
) -> None:
    shutil.copytree(HELM, tmp_path / "helm")
    chart = tmp_path / "helm" / "examples" / "shop"
    output("helm", "dependency", "build", str(chart))
    sets = [f"sidecar.classic={str(classic).lower()}"]
    sets += ["sidecar.databaseSecret=poolscope-database"] if judges else []
    arguments = [part for each in sets for part in ("--set", each)]
    resources = resources_of(
        output("helm", "template", "shop", str(chart), *ON_KUBERNETES, *arguments)
    )
    assert kubernetes_objections(resources, NEWEST, tmp_path) == ""
    (pod,) = pods(resources)
    assert ("initContainers" in pod.spec) is not classic
    assert "readinessProbe" not in pod.exporter
    secrets = {**SECRETS, "poolscope-client": {"token": "t", "ca.crt": LOOPBACK_CERT.read_text()}}
    with ExporterProcess(**started_with(pod, secrets, tmp_path / "pod")) as exporter:
        assert httpx.get(f"{exporter.web}/readyz", trust_env=False).status_code == 200
        assert "is a sidecar" in exporter.log


def test_the_copies_in_the_chart_are_what_their_sources_are() -> None:
    script = ROOT / "deploy" / "chart_files.py"
    command = [sys.executable, str(script), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
