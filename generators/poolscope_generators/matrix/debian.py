"""Programs of a later suite of Debian, unpacked into a folder: nothing of it is installed.

apt fetches the packages from the archive that this machine uses, and checks their signatures. Each
program is started by the C library that was unpacked with it, because this machine's is older.
"""

import getpass
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

TRIPLET = "x86_64-linux-gnu"
LOADER = Path("usr/lib") / TRIPLET / "ld-linux-x86-64.so.2"
LIBRARIES = (Path("usr/lib") / TRIPLET,)

# exec keeps the process id. The program takes the path of this script for its own, so that a Python
# starts further processes, and finds its environment, by it.
STARTER = """\
#!/bin/sh
exec {loader} --argv0 "$0" --library-path {libraries} {program} "$@"
"""


class NotObtainableError(Exception):
    """A counterpart that this machine cannot get; the message is the result in the table."""


def unpack(suite: str, packages: Sequence[str], folder: Path) -> Path:
    """Unpack packages of the suite, with all that they depend on; return the folder.

    A folder that is there already is used as it is: remove it to fetch newer packages.
    """
    if folder.is_dir():
        return folder
    if shutil.which("apt-get") is None:
        raise NotObtainableError("needs apt: this machine is no Debian")
    archives = folder.with_name(f"{folder.name}.packages")
    (archives / "partial").mkdir(parents=True, exist_ok=True)
    options = [
        *_own_state(suite, folder.with_name(f"apt-{suite}")),
        "-o",
        f"Dir::Cache::archives={archives}",
    ]
    _run("apt-get", *options, "install", *packages)
    unpacked = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(unpacked, ignore_errors=True)
    unpacked.mkdir()
    for package in sorted(archives.glob("*.deb")):
        _run("dpkg-deb", "--extract", str(package), str(unpacked))
    shutil.rmtree(archives)
    return unpacked.rename(folder)


def start_by_own_libraries(folder: Path, program: str) -> Path:
    """Put a script in the place of a program, which starts it by its own C library; return it."""
    starter = folder / program
    real = starter.with_name(f"{starter.name}.program")
    if not real.exists():
        starter.rename(real)
    libraries = ":".join(str(folder / each) for each in LIBRARIES)
    starter.write_text(STARTER.format(loader=folder / LOADER, libraries=libraries, program=real))
    starter.chmod(0o755)
    return starter


def _own_state(suite: str, state: Path) -> list[str]:
    """Return the options for an apt that reads the suite alone, and nothing that is installed."""
    settings = {
        "Dir::Etc::sourcelist": state / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State::lists": state / "lists",
        "Dir::State::status": "/dev/null",
        "Dir::Cache": state / "cache",
        "Debug::NoLocking": "1",
        "Acquire::Languages": "none",
        "APT::Sandbox::User": getpass.getuser(),
    }
    options = ["-qq", "--yes", "--no-install-recommends", "--download-only"]
    options += [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    if not state.is_dir():
        _read_suite(suite, state, options)
    return options


def _read_suite(suite: str, state: Path, options: Sequence[str]) -> None:
    for name in ("lists/partial", "cache"):
        (state / name).mkdir(parents=True)
    (state / "sources.list").write_text(f"deb {_archive()} {suite} main\n")
    try:
        _run("apt-get", *options, "update")
    except NotObtainableError:
        shutil.rmtree(state)
        raise


def _archive() -> str:
    """Return the address of the archive that this machine's own packages come from."""
    told = _run(
        "apt-get", "indextargets", "--format", "$(CODENAME) $(REPO_URI)", "Created-By: Packages"
    )
    for line in told.splitlines():
        codename, _, address = line.partition(" ")
        if "-" not in codename:
            return address
    raise NotObtainableError("apt has no archive of Debian")


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise NotObtainableError(f"{command[0]} failed: {' '.join(last)}")
    return done.stdout
