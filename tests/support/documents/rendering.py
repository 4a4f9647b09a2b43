"""Render and check the files of deploy/ with the tools that `make check-deploy` puts into .venv."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
TOOLS = ROOT / ".venv" / "deploy-tools"
OPERATOR_GROUP = "monitoring.coreos.com/"
APPLIES = 262_144
"""Bytes of all annotations, where `kubectl apply` keeps what it applied."""

Resource = dict[str, Any]


def program(name: str) -> str:
    """Return the path of a program; without it the test is skipped, and fails in CI."""
    places = (str(TOOLS), str(Path(sys.executable).parent), os.environ.get("PATH", ""), "/usr/sbin")
    found = shutil.which(name, path=os.pathsep.join(places))
    if found is None:
        _missing(name)
    return str(found)


def run(*command: str, text: str = "") -> subprocess.CompletedProcess[str]:
    """Run a program to its end, whatever its exit code."""
    return subprocess.run(
        [program(command[0]), *command[1:]],
        cwd=ROOT,
        input=text,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def output(*command: str) -> str:
    """Return what a program prints; fails with its objections."""
    done = run(*command)
    if done.returncode != 0:
        pytest.fail(f"{' '.join(command)}\n{done.stdout}{done.stderr}", pytrace=False)
    return done.stdout


def resources_of(text: str) -> list[Resource]:
    """Return the resources of a YAML stream."""
    return [each for each in yaml.safe_load_all(text) if each]


def built(folder: Path) -> list[Resource]:
    """Return what kustomize makes of a folder."""
    return resources_of(output("kustomize", "build", str(folder)))


def of_operator(resource: Resource) -> bool:
    """Tell whether a resource is one of the Prometheus operator's."""
    return str(resource["apiVersion"]).startswith(OPERATOR_GROUP)


def kubernetes_objections(resources: Sequence[Resource], version: str, folder: Path) -> str:
    """Return what that version's own schemas say against resources of Kubernetes; "" is clean."""
    path = folder / "resources.json"
    path.write_text("\n---\n".join(json.dumps(each) for each in resources), encoding="utf-8")
    done = run("kubernetes-validate", "--strict", "--quiet", "-k", version, str(path))
    return done.stdout + done.stderr


def operator_objections(resources: Sequence[Resource]) -> str:
    """Return what the operator's models say against PodMonitors and PrometheusRules."""
    script = TOOLS / "operator-models" / "check.mjs"
    if not (script.parent / "node_modules").is_dir():
        _missing(str(script))
    done = run("node", str(script), text=json.dumps(resources))
    return done.stdout + done.stderr


def rule_objections(rule_files: Sequence[Path]) -> str:
    """Return what promtool's lint says against rule files."""
    done = run("promtool", "check", "rules", "--lint=all", "--lint-fatal", *map(str, rule_files))
    return "" if done.returncode == 0 else done.stdout + done.stderr


def _missing(name: str) -> None:
    reason = f"{name} is missing: make check-deploy makes it, or says which package has it"
    if "CI" in os.environ:
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
