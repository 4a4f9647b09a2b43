"""What is in deploy/kubernetes renders, is valid, fits together, and starts an exporter."""

import json
import re
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest

from poolscope_alerts.__main__ import load_sources
from poolscope_alerts.prometheus_rules import groups
from poolscope_exporter.settings.options import OPTIONS, VARIABLES_OF_THE_APP
from poolscope_exporter.version import __version__
from support.applications.pods import Pod, pods, started_with
from support.documents.rendering import (
    APPLIES,
    ROOT,
    Resource,
    built,
    kubernetes_objections,
    of_operator,
    operator_objections,
    output,
    rule_objections,
)
from support.exporter.exporter_process import LOOPBACK_CERT, LOOPBACK_KEY, ExporterProcess

FOLDER = ROOT / "deploy" / "kubernetes"
EXAMPLES = sorted(path.parent.name for path in FOLDER.glob("examples/*/kustomization.yaml"))
WITH_EXPORTER = [name for name in EXAMPLES if name not in {"direct", "shop"}]
SIDECARS = [name for name in EXAMPLES if name.startswith("sidecar")]
DASHBOARDS = ROOT / "dashboards"
DOCUMENT = ROOT / "docs" / "kubernetes.md"
OLDEST, NEWEST = "1.29", "1.37"
OLDEST_CLASSIC = "1.25"
UNREACHABLE = "postgresql://poolscope@127.0.0.1:1/postgres"
SECRETS = {
    "poolscope-database": {"dsn": UNREACHABLE, "password": "secret"},
    "poolscope-tokens": {"tokens": "first-token shop\n"},
    "poolscope-tls": {"tls.crt": LOOPBACK_CERT.read_text(), "tls.key": LOOPBACK_KEY.read_text()},
    "poolscope-client": {"token": "first-token", "ca.crt": LOOPBACK_CERT.read_text()},
}


@cache
def example(name: str) -> tuple[Resource, ...]:
    return tuple(built(FOLDER / "examples" / name))


def of_kind(name: str, kind: str) -> Resource:
    (found,) = [each for each in example(name) if each["kind"] == kind]
    return deepcopy(found)


def exporter_pod(name: str) -> Pod:
    (found,) = [pod for pod in pods(example(name)) if pod.has_exporter]
    return found


def versions(name: str) -> Sequence[str]:
    return (OLDEST_CLASSIC, OLDEST, NEWEST) if name == "sidecar-classic" else (OLDEST, NEWEST)


@pytest.mark.parametrize(
    ("name", "version"), [(name, version) for name in EXAMPLES for version in versions(name)]
)
def test_an_example_is_valid_in_that_version_of_kubernetes(
    name: str, version: str, tmp_path: Path
) -> None:
    resources = [each for each in example(name) if not of_operator(each)]
    assert resources
    assert kubernetes_objections(resources, version, tmp_path) == ""


def test_a_field_that_kubernetes_does_not_know_is_objected_to(tmp_path: Path) -> None:
    deployment = of_kind("sidecar", "Deployment")
    (sidecar,) = deployment["spec"]["template"]["spec"]["initContainers"]
    sidecar["restartPolicyy"] = sidecar.pop("restartPolicy")
    assert "restartPolicyy" in kubernetes_objections([deployment], NEWEST, tmp_path)


def test_what_is_the_operators_is_valid_by_its_models() -> None:
    resources = [each for name in EXAMPLES for each in example(name) if of_operator(each)]
    assert {each["kind"] for each in resources} == {"PodMonitor", "PrometheusRule"}
    assert operator_objections(resources) == ""


@pytest.mark.parametrize(
    "wrong", [{"interval": "15 seconds"}, {"intervall": "15s"}], ids=["value", "field"]
)
def test_a_field_or_value_that_the_operator_does_not_know_is_objected_to(
    wrong: dict[str, str],
) -> None:
    monitor = of_kind("standalone", "PodMonitor")
    monitor["spec"]["podMetricsEndpoints"][0].update(wrong)
    assert "interval" in operator_objections([monitor])


def test_the_rules_that_are_deployed_pass_promtools_lint(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    found = [each["spec"] for each in example("standalone") if each["kind"] == "PrometheusRule"]
    names = [group["name"] for spec in found for group in spec["groups"]]
    assert sorted(names) == sorted(group.name for group in groups(load_sources()))
    for spec in found:
        path.write_text(json.dumps(spec), encoding="utf-8")
        assert rule_objections([path]) == ""


def test_each_dashboard_becomes_a_config_map_that_grafanas_sidecar_finds(tmp_path: Path) -> None:
    sources = {path.name: path.read_text() for path in DASHBOARDS.glob("*.json")}
    maps = built(DASHBOARDS) if sources else []
    assert {name: text for each in maps for name, text in each["data"].items()} == sources
    assert kubernetes_objections(maps, NEWEST, tmp_path) == ""
    for each in maps:
        assert each["metadata"]["labels"] == {"grafana_dashboard": "1"}
        assert len(json.dumps(each)) < APPLIES


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_is_applied_fits_into_the_annotation_that_kubectl_keeps_it_in(name: str) -> None:
    assert all(len(json.dumps(each)) < APPLIES for each in example(name))


def test_there_is_one_exporter_and_never_two_at_once() -> None:
    spec = of_kind("standalone", "Deployment")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


@pytest.mark.parametrize("name", WITH_EXPORTER)
def test_an_exporter_satisfies_the_restricted_pod_security_standard(name: str) -> None:
    pod = exporter_pod(name)
    container = pod.exporter
    context = {**pod.spec.get("securityContext", {}), **container["securityContext"]}
    assert context["runAsNonRoot"] is True
    assert context["runAsUser"] == 10001
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert context["allowPrivilegeEscalation"] is False
    assert context["readOnlyRootFilesystem"] is True


@pytest.mark.parametrize("name", WITH_EXPORTER)
def test_memory_is_bounded_and_cpu_is_not(name: str) -> None:
    limits = exporter_pod(name).exporter["resources"]["limits"]
    assert set(limits) == {"memory"}


@pytest.mark.parametrize("name", WITH_EXPORTER)
def test_the_image_is_of_the_version_that_it_was_checked_with(name: str) -> None:
    assert exporter_pod(name).exporter["image"].endswith(f"poolscope-exporter:{__version__}")


def test_the_standalone_exporter_has_no_token_of_the_cluster() -> None:
    assert exporter_pod("standalone").spec["automountServiceAccountToken"] is False


@pytest.mark.parametrize("name", [*WITH_EXPORTER, "direct"])
def test_every_variable_of_ours_is_a_setting(name: str) -> None:
    known = VARIABLES_OF_THE_APP | {option.variable for option in OPTIONS}
    used = {each for pod in pods(example(name)) for one in pod.containers for each in ours(one)}
    assert used
    assert used <= known


def ours(container: Resource) -> Iterator[str]:
    names = (each["name"] for each in container["env"])
    return (name for name in names if name.startswith("POOLSCOPE_"))


@pytest.mark.parametrize("name", ["direct", *SIDECARS])
def test_the_app_says_which_pod_it_is_in_and_a_sidecar_does_not(name: str) -> None:
    ((app, *others),) = [
        sorted(pod.containers, key=lambda each: bool(each["name"] != "shop"))
        for pod in pods(example(name))
    ]
    names = [each["name"] for each in app["env"]]
    assert names[-3:] == ["K8S_POD_NAME", "K8S_NAMESPACE", "OTEL_RESOURCE_ATTRIBUTES"]
    assert "K8S_POD_NAME" not in json.dumps(others)


@pytest.mark.parametrize("name", ["sidecar", "sidecar-with-dsn"])
def test_a_native_sidecar_starts_before_the_app_and_outlives_it(name: str) -> None:
    (sidecar,) = exporter_pod(name).spec["initContainers"]
    assert sidecar["restartPolicy"] == "Always"


def test_the_classic_sidecar_is_an_ordinary_container() -> None:
    spec = exporter_pod("sidecar-classic").spec
    assert "initContainers" not in spec
    assert {each["name"] for each in spec["containers"]} == {"shop", "poolscope"}


@pytest.mark.parametrize("name", SIDECARS)
def test_a_sidecar_never_decides_whether_its_pod_is_ready(name: str) -> None:
    assert "readinessProbe" not in exporter_pod(name).exporter


@pytest.mark.parametrize("name", WITH_EXPORTER)
def test_it_starts_as_deployed_and_its_probes_do_not_wait_for_a_database(
    name: str, tmp_path: Path
) -> None:
    """The variables, Secrets and probes are the manifest's; the database is unreachable."""
    pod = exporter_pod(name)
    environment = started_with(pod, SECRETS, tmp_path)
    paths = [path for path, port in probes(pod) if port == 9736]
    assert set(paths) <= {"/readyz", "/healthz"}
    assert paths
    with ExporterProcess(**environment) as exporter:
        for path in paths:
            answer = httpx.get(exporter.web + path, trust_env=False)
            assert answer.status_code == 200, path
        assert "is not a setting" not in exporter.log


def probes(pod: Pod) -> Iterator[tuple[str, int]]:
    for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
        if probe := pod.exporter.get(kind):
            yield probe["httpGet"]["path"], pod.ports[probe["httpGet"]["port"]]


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_selects_pods_finds_them_and_the_ports_that_it_names(name: str) -> None:
    found = pods(example(name))
    for resource in example(name):
        if selector := labels_selected(resource):
            (pod,) = [pod for pod in found if selector.items() <= pod.labels.items()]
            assert set(ports_named(resource)) <= set(pod.ports)


def labels_selected(resource: Resource) -> dict[str, str]:
    spec = resource.get("spec", {})
    selectors: dict[str, Any] = {
        "Service": spec.get("selector", {}),
        "PodMonitor": spec.get("selector", {}).get("matchLabels"),
        "NetworkPolicy": spec.get("podSelector", {}).get("matchLabels"),
        "Deployment": (spec.get("selector") or {}).get("matchLabels"),
    }
    return selectors.get(resource["kind"]) or {}


def ports_named(resource: Resource) -> Iterator[str]:
    spec = resource["spec"]
    if resource["kind"] == "Service":
        yield from (port["targetPort"] for port in spec["ports"])
    if resource["kind"] == "PodMonitor":
        yield from (endpoint["port"] for endpoint in spec["podMetricsEndpoints"])
    if resource["kind"] == "NetworkPolicy":
        yield from (port["port"] for rule in spec["ingress"] for port in rule["ports"])


@pytest.mark.parametrize("name", ["direct", "sidecar", "sidecar-classic"])
def test_whoever_pushes_is_let_in_by_the_network_policy_and_finds_the_service(name: str) -> None:
    policy, service = of_kind("standalone", "NetworkPolicy"), of_kind("standalone", "Service")
    ((client,),) = [rule["from"] for rule in policy["spec"]["ingress"][:1]]
    (pod,) = pods(example(name))
    assert client["podSelector"]["matchLabels"].items() <= pod.labels.items()
    host = f"{service['metadata']['name']}.{service['metadata']['namespace']}.svc"
    assert f"https://{host}:9737" in json.dumps(pod.spec)


def test_the_documented_certificate_is_one_for_the_service(tmp_path: Path) -> None:
    (block,) = re.findall(r"\$ (openssl req .*?)\n +```", DOCUMENT.read_text(), re.DOTALL)
    command = shlex.split(block.replace("\\\n", " "))
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    crt, key = (str(tmp_path / name) for name in ("tls.crt", "tls.key"))
    host = "poolscope.poolscope.svc"
    assert "OK" in output("openssl", "verify", "-CAfile", crt, "-verify_hostname", host, crt)
    with ExporterProcess("--otlp-tls-cert", crt, "--otlp-tls-key", key) as exporter:
        assert exporter.otlp.startswith("https://")


def test_the_document_makes_every_secret_that_a_manifest_wants() -> None:
    made = set(re.findall(r"create secret (?:generic|tls) (\S+)", DOCUMENT.read_text()))
    wanted = {name for each in EXAMPLES for pod in pods(example(each)) for name in secrets_of(pod)}
    assert made == wanted == set(SECRETS)


def secrets_of(pod: Pod) -> Iterator[str]:
    text = json.dumps(pod.spec)
    yield from re.findall(r'"secretName": "([^"]+)"', text)
    yield from re.findall(r'"secretKeyRef": {"key": "[^"]+", "name": "([^"]+)"', text)
