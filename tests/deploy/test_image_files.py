"""The Dockerfiles: clean for hadolint, and what they promise about users, shells and locks."""

import re
from fnmatch import fnmatch
from pathlib import Path

import pytest

from support.documents.rendering import ROOT, run

DOCKERFILES = ("deploy/image/Dockerfile", "deploy/compose/pgbouncer/Dockerfile")
IMAGE = (ROOT / DOCKERFILES[0]).read_text(encoding="utf-8")
LOCKED = ("build", "exporter", "sample-app")


@pytest.mark.parametrize("dockerfile", DOCKERFILES)
def test_hadolint_finds_nothing(dockerfile: str) -> None:
    found = run("hadolint", dockerfile)

    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.parametrize(
    ("right", "wrong", "rule"),
    [
        ('ENTRYPOINT ["poolscope-exporter"]', "ENTRYPOINT poolscope-exporter", "DL3025"),
        ("ARG PYTHON_IMAGE=python:3.11-slim-bookworm", "ARG PYTHON_IMAGE=x\nFROM python", "DL3006"),
        ("USER 10001:10001", "USER root", "DL3002"),
    ],
)
def test_hadolint_sees_what_would_be_wrong(
    right: str, wrong: str, rule: str, tmp_path: Path
) -> None:
    assert right in IMAGE
    broken = tmp_path / "Dockerfile"
    broken.write_text(IMAGE.replace(right, wrong), encoding="utf-8")
    found = run("hadolint", str(broken))

    assert found.returncode != 0
    assert rule in found.stdout


@pytest.mark.parametrize("dockerfile", DOCKERFILES)
def test_every_image_runs_as_a_numeric_user_that_is_not_root(dockerfile: str) -> None:
    text = (ROOT / dockerfile).read_text(encoding="utf-8")
    shipped = [stage for stage in re.split(r"^FROM ", text, flags=re.MULTILINE) if "ENTRY" in stage]

    assert shipped
    for stage in shipped:
        assert re.findall(r"^USER (.*)$", stage, re.MULTILINE) == ["10001:10001"]


def test_nothing_is_installed_that_is_not_locked() -> None:
    installed = re.findall(r"install (--.*?)(?: \\|$)", IMAGE, re.MULTILINE)

    assert len(installed) == len(LOCKED) + 1
    assert all("--require-hashes" in each or "--no-index" in each for each in installed)


def test_what_is_locked_is_what_the_tests_run_on() -> None:
    tested = versions("dev")
    for name in LOCKED:
        assert versions(name).items() <= tested.items(), name


def versions(lock: str) -> dict[str, str]:
    text = (ROOT / "requirements" / f"{lock}.txt").read_text(encoding="utf-8")
    return dict(re.findall(r"^(\S+)==(\S+)", text, re.MULTILINE))


def test_all_that_is_copied_is_sent_to_the_builder() -> None:
    sent = [
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    ]
    for line in re.findall(r"^COPY (?!--from)(.*)$", IMAGE, re.MULTILINE):
        for source in line.split()[:-1]:
            assert any(fnmatch(each, f"{source}*") for each in sent), source
            assert (ROOT / source).exists()
