"""What the workspace promises about itself."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from poolscope_generators.versions import COPIES, read, version

ROOT = Path(__file__).parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))


@pytest.mark.parametrize(("path", "place"), COPIES, ids=lambda value: getattr(value, "name", ""))
def test_the_version_is_everywhere_the_same(path: Path, place: re.Pattern[str]) -> None:
    assert read(path, place) == version(), "run `make version`"


@pytest.mark.parametrize("distribution", ["instrumentation", "exporter"])
def test_each_distribution_carries_the_licence(distribution: str) -> None:
    assert (ROOT / distribution / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_locked_version_has_hashes_and_no_registry_is_named(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    assert not re.search(r"^-", text, re.MULTILINE)
    pinned = re.findall(r"^\S+==\S+.*?(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL)
    assert pinned
    assert all("--hash=sha256:" in entry for entry in pinned)


def test_uvicorn_is_bounded_to_the_versions_that_the_listeners_are_tested_with() -> None:
    project = tomllib.loads((ROOT / "exporter" / "pyproject.toml").read_text())["project"]
    requirements = {each.name: each for each in map(Requirement, project["dependencies"])}
    allowed = requirements["uvicorn"].specifier
    lock = (ROOT / "requirements" / "exporter.txt").read_text()
    [locked] = map(Version, re.findall(r"^uvicorn==(\S+)", lock, re.MULTILINE))

    assert locked in allowed
    # What nobody has run the listeners on may have another H11Protocol.
    assert Version(f"{locked.major}.{locked.minor + 1}") not in allowed
