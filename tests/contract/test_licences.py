"""What the image ships of others comes with its licence; copyleft licences demand it."""

import re
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import PurePath

import pytest

from support.documents.markdown import ROOT

REQUIREMENTS = ROOT / "requirements" / "exporter.txt"
NAMES = re.findall(r"^([A-Za-z0-9._-]+)==", REQUIREMENTS.read_text(), re.MULTILINE)
_FILE = re.compile(r"(?i)(licen[cs]e|copying|notice)")
COPYLEFT = re.compile(r"LGPL|Lesser General Public|MPL|Mozilla Public")


def installed() -> list[Distribution]:
    """Return what of the image's packages is installed here; some are of other systems only."""
    found = []
    for name in NAMES:
        try:
            found.append(distribution(name))
        except PackageNotFoundError:
            continue
    return found


def licence_files(package: Distribution) -> list[PurePath]:
    return [path for path in package.files or () if _FILE.search(path.name)]


def licence_of(package: Distribution) -> str:
    fields = ("License-Expression", "License", "Classifier")
    return " ".join(str(each) for name in fields for each in package.metadata.get_all(name) or ())


def test_copyleft_packages_are_found() -> None:
    found = {each.name for each in installed() if COPYLEFT.search(licence_of(each))}
    assert found >= {"certifi", "psycopg", "psycopg-binary"}


@pytest.mark.parametrize("package", installed(), ids=lambda each: each.name)
def test_package_installs_its_licence(package: Distribution) -> None:
    if COPYLEFT.search(licence_of(package)):
        assert licence_files(package), "copy its licence in deploy/image/Dockerfile"
    else:
        assert licence_of(package).strip() or licence_files(package)
