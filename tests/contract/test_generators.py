"""What is generated is what the generators write, and no generator needs a test."""

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.documents.markdown import ROOT

GENERATORS = ROOT / "generators"
COPIED = ("alerts", "dashboards", "deploy", "docs", "exporter", "generators", "instrumentation")
"""The folders that `make generate` reads and writes."""

PROGRAMS = sorted(GENERATORS.rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    """Yield the first part of every module that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


def contents(root: Path) -> dict[str, bytes]:
    """Return the content of every file of the copied folders, by its path below `root`."""
    files = (path for folder in COPIED for path in (root / folder).rglob("*") if path.is_file())
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in files
        if path.parent.name != "__pycache__"
    }


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: str(path.relative_to(GENERATORS)))
def test_a_generator_imports_no_test_and_no_support_of_one(program: Path) -> None:
    of_tests = {path.stem for path in (ROOT / "tests").iterdir()} | {"pytest"}
    assert of_tests.isdisjoint(imported(program))


def test_make_generate_changes_no_file(tmp_path: Path) -> None:
    for name in COPIED:
        shutil.copytree(
            ROOT / name,
            tmp_path / name,
            ignore=shutil.ignore_patterns("__pycache__", "node_modules"),
        )
    shutil.copy(ROOT / "Makefile", tmp_path)
    before = contents(tmp_path)
    command = ["make", f"VENV={sys.prefix}", "-o", "setup", "generate"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    after = contents(tmp_path)
    changed = [path for path in after if before.get(path) != after[path]]
    assert changed == [], "run `make generate`"
