"""The workflows for GitHub: valid, pinned, with few rights, and calling targets that there are.

They were never run by GitHub: what is held here is what can be held without it.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from poolscope_exporter.demo.postgres_wheel import Major
from support.documents.rendering import ROOT, output

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
CI = ROOT / ".github" / "workflows" / "ci.yml"
MAY_WRITE = {
    ("release.yml", "provenance"): {"id-token", "attestations"},
    ("release.yml", "publish"): {"id-token"},
    ("release.yml", "announce"): {"contents"},
}
"""The only jobs that may change anything, and what."""

each_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)


def is_valid(path: Path) -> bool:
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema"]
    done = subprocess.run(
        [*check, "vendor.github-workflows", path], capture_output=True, text=True, check=False
    )
    assert "No module named" not in done.stderr
    return done.returncode == 0


def jobs(path: Path) -> dict[str, dict[str, Any]]:
    return dict(yaml.safe_load(path.read_text())["jobs"])


def steps(path: Path) -> Iterator[dict[str, Any]]:
    for job in jobs(path).values():
        yield from job["steps"]


@each_workflow
def test_a_workflow_obeys_githubs_schema(path: Path) -> None:
    assert is_valid(path)


def test_a_typing_error_would_be_found(tmp_path: Path) -> None:
    wrong = tmp_path / "ci.yml"
    wrong.write_text(WORKFLOWS[0].read_text().replace("runs-on:", "run-on:", 1))
    assert not is_valid(wrong)


@each_workflow
def test_actionlint_has_no_objection(path: Path) -> None:
    assert output("actionlint", str(path)) == ""


@each_workflow
def test_every_action_is_pinned_to_a_full_version(path: Path) -> None:
    used = [step["uses"] for step in steps(path) if "uses" in step]
    assert used
    assert [name for name in used if not re.search(r"@v\d+\.\d+\.\d+$", name)] == []


@each_workflow
def test_a_job_may_do_no_more_than_it_needs(path: Path) -> None:
    assert yaml.safe_load(path.read_text())["permissions"] in ({}, {"contents": "read"})
    for name, job in jobs(path).items():
        rights = job.get("permissions", {})
        writing = {right for right, level in rights.items() if level == "write"}
        assert writing == MAY_WRITE.get((path.name, name), set())


@each_workflow
def test_no_checkout_leaves_a_token_behind(path: Path) -> None:
    for step in steps(path):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"] == {"persist-credentials": False}


@each_workflow
def test_the_make_targets_that_are_called_exist(path: Path) -> None:
    targets = set(re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text()))
    run = "\n".join(step.get("run", "") for step in steps(path))
    lines = re.findall(r"(?m)^make (.*)$", re.sub(r"\w+=\$\{\{.*?\}\}", "", run))
    called = {word for line in lines for word in line.split()}
    assert called
    assert called <= targets


def test_the_quick_job_runs_before_every_other() -> None:
    needs = {name: job.get("needs") for name, job in jobs(CI).items()}
    assert needs.pop("quick") is None
    assert set(needs.values()) == {"quick"}


def test_every_test_runs_in_a_job() -> None:
    shards = jobs(CI)["tests"]["strategy"]["matrix"]["folder"]
    folders = [*shards, "tests/unit", "tests/contract"]  # make quick runs the last two
    folders += ["tests/system", "tests/alerts", "tests/deploy"]  # the jobs system and deploy
    folders += ["tests/matrix"]  # the job matrix
    tests = (path.relative_to(ROOT) for path in (ROOT / "tests").rglob("test_*.py"))
    nowhere = [str(path) for path in tests if not any(map(path.is_relative_to, folders))]
    assert nowhere == []


def test_every_python_sqlalchemy_and_postgresql_of_the_promise_has_a_job() -> None:
    matrices = {
        name: job["strategy"]["matrix"] for name, job in jobs(CI).items() if "strategy" in job
    }
    [quick] = (step["with"] for step in jobs(CI)["quick"]["steps"] if "setup-python" in str(step))
    assert [quick["python-version"], *matrices["python"]["python"]] == [
        "3.11", "3.12", "3.13", "3.14",
    ]  # fmt: skip
    assert matrices["sqlalchemy"]["python"] == ["3.11", "3.14"]
    others = {each["name"] for each in matrices["sqlalchemy"]["sqlalchemy"]}
    assert others | {locked_sqlalchemy()} == {"2.0", "2.1", "main"}
    of_the_wheel = {str(major) for major in get_args(Major)}
    assert of_the_wheel.isdisjoint(matrices["postgres"]["postgres"])
    assert of_the_wheel.union(matrices["postgres"]["postgres"]) == {"14", "15", "16", "17", "18"}


def locked_sqlalchemy() -> str:
    """Return major and minor version of the SQLAlchemy that `make setup` installs."""
    locked = (ROOT / "requirements" / "dev.txt").read_text()
    found = re.search(r"(?m)^sqlalchemy==(\d+\.\d+)", locked)
    assert found
    return found[1]
