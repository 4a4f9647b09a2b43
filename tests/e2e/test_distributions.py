"""The wheels and sdists of both distributions: what is in them, and that they install and work."""

import json
import os
import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest
from packaging.metadata import Metadata

from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_generators.versions import version
from support.exporter.exporter_process import clean_environment
from support.postgres.server import run_sql

ROOT = Path(__file__).parents[2]
FOLDERS = {"poolscope": "instrumentation", "poolscope_exporter": "exporter"}
EACH = pytest.mark.parametrize("name", FOLDERS)
PIN = re.compile(r"^[^\s#]+==[^\s\\]+(?: ;[^\\\n]*)?", re.MULTILINE)
"""A locked version without its hashes."""
FINDS = "verdict", "evidence", "route"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build both, each wheel from its own sdist as a release does; return the folder."""
    folder = tmp_path_factory.mktemp("dist")
    for source in FOLDERS.values():
        build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder)]
        run(*build, str(ROOT / source))
    return folder


@pytest.fixture(scope="module")
def environment(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install both wheels, with what the demo needs but the embedded server; return its `bin`."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=False)
    [exporter] = built.glob("poolscope_exporter-*.whl")
    install(folder, str(wheel(built, "poolscope")), f"{exporter}[demo-dsn]")
    return folder / "bin"


def install(folder: Path, *requirements: str) -> None:
    """Install into an environment, in the locked versions."""
    locks = (ROOT / "requirements" / "dev.txt").read_text()
    pins = folder / "pins.txt"
    pins.write_text(
        "\n".join(re.findall(r"^[^\s#]+==[^\s\\]+(?: ;[^\\\n]*)?", locks, re.MULTILINE))
    )
    uv = str(Path(sys.executable).with_name("uv"))
    python = str(folder / "bin" / "python")
    run(
        uv,
        "pip",
        "install",
        "--quiet",
        "--python",
        python,
        "--constraint",
        str(pins),
        *requirements,
    )


def run(*command: str) -> str:
    """Run outside of the sources and without them on the path; return what it printed."""
    variables = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        command, capture_output=True, text=True, env=variables, cwd="/", check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def wheel(built: Path, name: str) -> Path:
    [path] = built.glob(f"{name}-{version()}-py3-none-any.whl")
    return path


def sdist(built: Path, name: str) -> Path:
    [path] = built.glob(f"{name}-{version()}.tar.gz")
    return path


def files_in(archive: Path) -> set[str]:
    with tarfile.open(archive) as contents:
        return {name.partition("/")[2] for name in contents.getnames()}


def metadata(archive: Path) -> bytes:
    with zipfile.ZipFile(archive) as contents:
        [name] = [each for each in contents.namelist() if each.endswith(".dist-info/METADATA")]
        return contents.read(name)


@EACH
def test_a_wheel_has_every_file_of_its_package_and_nothing_else(built: Path, name: str) -> None:
    package = ROOT / FOLDERS[name] / "src"
    sources = {
        str(path.relative_to(package))
        for path in (package / name).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(wheel(built, name)) as contents:
        packed = {each for each in contents.namelist() if ".dist-info/" not in each}
    assert packed == sources
    assert f"{name}/py.typed" in packed


@EACH
def test_an_sdist_has_licence_readme_and_sources_and_no_traces_of_work(
    built: Path, name: str
) -> None:
    packed = files_in(sdist(built, name))
    assert {"LICENSE", "README.md", "pyproject.toml", f"src/{name}/py.typed"} <= packed
    assert not [each for each in packed if "__pycache__" in each or ".venv" in each]


@EACH
def test_the_metadata_are_valid_and_say_who_and_what(built: Path, name: str) -> None:
    raw = metadata(wheel(built, name))
    checked = Metadata.from_email(raw, validate=True)
    assert str(checked.version) == version()
    assert checked.license_expression == "Apache-2.0"
    assert checked.license_files == ["LICENSE"]
    headers: Message = message_from_bytes(raw)
    assert headers["Description-Content-Type"] == "text/markdown"
    assert len(str(headers.get_payload())) > 200


def test_the_exporter_takes_the_instrumentation_of_its_own_version(built: Path) -> None:
    required = message_from_bytes(metadata(wheel(built, "poolscope_exporter"))).get_all(
        "Requires-Dist", []
    )
    assert f"poolscope=={version()}" in required


def test_the_exporter_installs_beside_the_instrumentation(environment: Path) -> None:
    told = run(str(environment / "poolscope-exporter"), "--version")
    assert told == f"poolscope-exporter {version()}\n"
    script = "import poolscope, poolscope_exporter; print(poolscope.__version__)"
    assert run(str(environment / "python"), "-c", script).strip() == version()


def test_every_entry_point_can_be_loaded(environment: Path) -> None:
    script = """
from importlib.metadata import distribution
for name in ("poolscope", "poolscope-exporter"):
    for point in distribution(name).entry_points:
        if point.group != "pytest11":  # which needs pytest
            point.load()
        print(point.group, point.name)
"""
    assert run(str(environment / "python"), "-c", script).splitlines() == [
        "opentelemetry_instrumentor poolscope",
        "pytest11 poolscope",
        "console_scripts poolscope-exporter",
    ]


def demo(environment: Path, *options: str) -> subprocess.CompletedProcess[str]:
    variables = clean_environment()
    variables.pop("PYTHONPATH", None)
    return subprocess.run(
        [str(environment / "poolscope-exporter"), "demo", "--json", *options],
        capture_output=True, text=True, env=variables, cwd="/", timeout=90, check=False,
    )  # fmt: skip


def test_the_demo_names_the_cure_where_the_embedded_server_is_not_installed(
    environment: Path,
) -> None:
    ended = demo(environment, "--for", "5")
    assert ended.returncode == 1
    assert "pip install 'poolscope-exporter[demo]', or use an existing server with --dsn" in (
        ended.stderr
    )
    assert "Traceback" not in ended.stderr


def test_the_demo_runs_on_a_given_server_without_the_embedded_one_and_leaves_nothing(
    environment: Path, postgres: EmbeddedPostgres
) -> None:
    ended = demo(environment, "--for", "20", "--dsn", postgres.dsn)
    assert ended.returncode == 0, ended.stderr
    found = [json.loads(line) for line in ended.stdout.splitlines()]
    assert ("leaked", "request_finished", "/orders/{order_id}/export") in {
        tuple(each[key] for key in FINDS) for each in found
    }
    schemas = "SELECT nspname FROM pg_namespace WHERE nspname = 'poolscope_demo'"
    assert run_sql(postgres.dsn, schemas) == []
