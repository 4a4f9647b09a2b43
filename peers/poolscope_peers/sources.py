"""The tests of a distribution: its sdist from PyPI, unpacked."""

import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from poolscope_peers.folders import LOCK, PYTHON, SDISTS, SOURCES
from poolscope_peers.locked import locked_entry, locked_version
from poolscope_peers.suites import Suite

# Without build isolation pip installs nothing to read the name of an sdist: setuptools and its
# like are locked. With it, Cython would translate asyncpg and SQLAlchemy, which takes minutes.
DOWNLOAD = [
    *("download", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-binary", ":all:"),
    *("--no-build-isolation", "--require-hashes"),
]


def unpack_sdist(suite: Suite) -> Path:
    """Return the folder with the suite's tests, made anew from the sdist."""
    folder = SOURCES / suite.distribution
    shutil.rmtree(folder, ignore_errors=True)
    with tarfile.open(_fetch_sdist(suite.distribution)) as sdist:
        members = [each for each in sdist if is_unpacked(each.name, suite.unpacked)]
        sdist.extractall(folder, members, filter="data")
    [top] = folder.iterdir()
    return top


def is_unpacked(member: str, parts: tuple[str, ...]) -> bool:
    """Return whether a member of an sdist is one of the parts, or below one."""
    path = PurePosixPath(*PurePosixPath(member).parts[1:])
    return any(path.is_relative_to(part) for part in parts)


def _fetch_sdist(distribution: str) -> Path:
    """Return the sdist of the locked version; pip checks its hash when it downloads it."""
    version = locked_version(LOCK.read_text(), distribution)
    folder = SDISTS / f"{distribution}-{version}"
    if not list(_archives(folder)):
        _download(distribution, folder)
    [archive] = _archives(folder)
    return archive


def _archives(folder: Path) -> Iterator[Path]:
    return folder.glob("*.tar.gz")


def _download(distribution: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    wanted = folder / "requirement.txt"
    wanted.write_text(locked_entry(LOCK.read_text(), distribution) + "\n")
    command = [str(PYTHON), "-m", "pip", *DOWNLOAD, "-r", str(wanted), "-d", str(folder)]
    subprocess.run(command, check=True)
