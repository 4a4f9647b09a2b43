"""What contributors are sent to is there: the files of each recipe, the steps of each walk."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Final

import pytest
import yaml

from support.documents.markdown import ROOT

CONTRIBUTING: Final = (ROOT / "CONTRIBUTING.md").read_text()
READING_PATH: Final = (ROOT / "docs" / "contributing.md").read_text()
FORMS: Final = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))

_RECIPE = re.compile(r"^### (Add .*)\n((?:(?!^##).*\n)*)", re.MULTILINE)
_FILE = re.compile(r"`([\w./<>-]+/[\w<>-]+\.[a-z]+|[A-Z]+\.md)`")
_WALK = re.compile(r"^## (Walk \d: .*)\n((?:(?!^## ).*\n)*)", re.MULTILINE)
_STEP = re.compile(r"^(\d+)\. \[`(.+?)`\]\(\.\./(.+?)\)(?: `([\w.]+)`)?: (.+\.)$", re.MULTILINE)
_TARGET = re.compile(r"(?:[`$:]|&&) ?make ([a-z][a-z-]+)")


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a walk: `name` is a function, a class or `Class.method` of the file, or none."""

    walk: str
    number: int
    shown: str
    path: str
    name: str

    def __str__(self) -> str:
        return f"{self.walk[:6]} {self.number}: {self.shown} {self.name}"


def _steps() -> Iterator[Step]:
    for walk, text in _WALK.findall(READING_PATH):
        for number, shown, path, name, _ in _STEP.findall(text):
            yield Step(walk, int(number), shown, path, name)


RECIPES: Final = dict(_RECIPE.findall(CONTRIBUTING))
STEPS: Final = list(_steps())


@cache
def defined_in(path: str) -> frozenset[str]:
    """Return the functions, classes and methods that a file defines; inner functions are none."""
    tree = ast.parse((ROOT / path).read_text())
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    found = {node.name for node in tree.body if isinstance(node, (ast.ClassDef, *functions))}
    return frozenset(found).union(
        f"{each.name}.{node.name}" for each in classes for node in each.body
        if isinstance(node, functions)
    )  # fmt: skip


def test_there_is_a_recipe_for_each_common_change() -> None:
    assert list(RECIPES) == [
        "Add a setting of the exporter",
        "Add a metric that the app pushes",
        "Add a metric of the exporter",
        "Add an alert",
        "Add a configuration check",
        "Add a pool library",
    ]


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_file_of_a_recipe_exists(recipe: str) -> None:
    named = set(_FILE.findall(RECIPES[recipe]))
    missing = [path for path in named if not list(ROOT.glob(re.sub(r"<\w+>", "*", path)))]
    assert len(named) >= 4
    assert missing == []


@pytest.mark.parametrize("recipe", RECIPES)
def test_each_numbered_step_of_a_recipe_names_a_file(recipe: str) -> None:
    steps = re.findall(r"^\d+\. (.*)$", RECIPES[recipe], re.MULTILINE)
    assert [step for step in steps if not _FILE.match(step)] == []


@pytest.mark.parametrize("step", STEPS, ids=str)
def test_each_step_of_a_walk_is_there(step: Step) -> None:
    assert step.path.endswith(f"/{step.shown}")
    assert (ROOT / step.path).is_file()
    if step.path.endswith(".py"):
        assert step.name in defined_in(step.path)


def test_each_walk_counts_its_steps_without_a_gap() -> None:
    by_walk = {walk: [step.number for step in of] for walk, of in _grouped()}
    assert len(by_walk) == 3
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in by_walk.values())
    listed = sum(len(re.findall(r"^\d+\. ", text, re.MULTILINE)) for _, text in _walks())
    assert listed == len(STEPS), "a step is written otherwise than the others"


def _grouped() -> Iterator[tuple[str, list[Step]]]:
    for walk, of in groupby(STEPS, key=lambda step: step.walk):
        yield walk, list(of)


def _walks() -> list[tuple[str, str]]:
    return _WALK.findall(READING_PATH)


def test_every_make_target_that_a_contributor_reads_of_exists() -> None:
    sources = [
        "CONTRIBUTING.md",
        "docs/contributing.md",
        "docs/style.md",
        ".pre-commit-config.yaml",
    ]
    sources += [".github/PULL_REQUEST_TEMPLATE.md"]
    named = {name for path in sources for name in _TARGET.findall((ROOT / path).read_text())}
    known = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert named <= known


def test_the_hooks_of_pre_commit_are_of_this_repository() -> None:
    configured = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    assert [each["repo"] for each in configured["repos"]] == ["local"]
    stages = {stage for each in configured["repos"][0]["hooks"] for stage in each["stages"]}
    assert stages == set(configured["default_install_hook_types"])


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.name)
def test_an_issue_form_is_valid_against_githubs_schema(path: Path) -> None:
    schema = "config" if path.stem == "config" else "forms"
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema"]
    done = subprocess.run(
        [*check, f"vendor.github-issue-{schema}", path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
