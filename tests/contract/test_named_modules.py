"""Every module that deployments and documents run with `python -m` exists."""

import re
from importlib.util import find_spec

import pytest

from support.documents.markdown import ROOT

NAMED = re.compile(r"-m[\"',\s]+((?:poolscope_exporter|poolscope)(?:\.\w+)*)")
FILES = [
    path
    for folder in ("deploy", "docs")
    for path in sorted((ROOT / folder).rglob("*"))
    if path.is_file() and path.suffix in {"", ".yaml", ".md", ".sh"}
] + [ROOT / "README.md", ROOT / "CHANGELOG.md"]
RUN = {(path, module) for path in FILES for module in NAMED.findall(path.read_text())}


@pytest.mark.parametrize(("path", "module"), sorted(RUN), ids=str)
def test_a_module_that_is_run_exists(path: object, module: str) -> None:
    assert find_spec(module) is not None


def test_the_health_check_of_the_image_is_among_them() -> None:
    assert (ROOT / "deploy/image/Dockerfile", "poolscope_exporter.commands.health") in RUN
