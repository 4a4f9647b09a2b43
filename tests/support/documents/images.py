"""Build images with buildah, without any daemon, and run them as a container runtime would.

No registry is asked for the base image: a Debian of the system's own package sources stands in for
`python:3.11-slim-bookworm`, with the same Python version. The rest is the Dockerfile as it is.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from support.processes.child_processes import kill_namespace, wait_until

ROOT = Path(__file__).parents[3]
DOCKERFILE = "deploy/image/Dockerfile"
BASE = "localhost/poolscope-test-base"
SUITE = "bookworm"
TOOLS = ("buildah", "mmdebstrap", "unshare", "chroot")
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
DROPPED_PIP_SETTINGS = ("find-links", "target", "prefix")
"""They name folders of this machine that are not in the image."""

# $0 is the image's files, $1 its user: the mounts that a runtime makes, then its program as PID 1.
RUN_READ_ONLY = """
set -e
mount --bind "$0" "$0"
mount -o remount,bind,ro "$0"
mount -t proc proc "$0/proc"
mount --rbind /dev "$0/dev"
root=$0 user=$1
shift
exec chroot --userspec="$user" "$root" "$@"
"""


def require_builder() -> None:
    """Skip where images cannot be built; in CI only where its own container forbids mounts."""
    missing = [tool for tool in TOOLS if shutil.which(tool, path=_path()) is None]
    if missing and "CI" not in os.environ:
        pytest.skip(f"not installed: {', '.join(missing)}")
    assert not missing, missing
    probe = ["unshare", "--mount", "--pid", "--fork", "mount", "-t", "tmpfs", "none", "/mnt"]
    if subprocess.run(probe, capture_output=True, check=False).returncode != 0:
        pytest.skip("this user may not mount: building and running images takes root")


def _path() -> str:
    return f"{os.environ['PATH']}:/usr/sbin:/sbin"


@dataclass(frozen=True, slots=True)
class Image:
    """What the image's configuration says, and the folder with its files."""

    user: str
    environment: Mapping[str, str]
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    health_check: tuple[str, ...]
    working_folder: str
    labels: Mapping[str, str]
    root: Path

    def megabytes_of(self, folder: str) -> float:
        """Return the size of what is in a folder of the image."""
        files = (path for path in (self.root / folder).rglob("*") if path.is_file())
        return sum(path.stat().st_size for path in files) / 1e6


class Builder:
    """buildah with a store of its own, in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._store = ["--root", f"{folder}/store", "--runroot", f"{folder}/run"]

    def __enter__(self) -> Self:
        # Overlays do not stack: in a container, where the other driver copies every layer whole.
        probe = subprocess.run(
            ["buildah", *self._store, "--storage-driver=overlay", "info"],
            capture_output=True,
            check=False,
        )
        if probe.returncode != 0:
            shutil.rmtree(self._folder / "store", ignore_errors=True)
        self._store.append(f"--storage-driver={'vfs' if probe.returncode else 'overlay'}")
        self._make_base()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._buildah("umount", "--all")
        self._buildah("rm", "--all")
        shutil.rmtree(self._folder, ignore_errors=True)

    def build(self, target: str, **arguments: str) -> Image:
        """Build a target of the Dockerfile and unpack it."""
        assigned = [f"--build-arg={name}={value}" for name, value in arguments.items()]
        self._buildah(
            "build", "--isolation=chroot", "--pull=never", "--network=host", "--format=docker",
            *self._network_settings(), f"--build-arg=PYTHON_IMAGE={BASE}", *assigned,
            "--layers", f"--target={target}", "--file", str(ROOT / DOCKERFILE),
            f"--tag=localhost/{target}", str(ROOT),
        )  # fmt: skip
        return self._image(f"localhost/{target}")

    def _image(self, name: str) -> Image:
        found = json.loads(self._buildah("inspect", "--type=image", name))["Docker"]
        config: dict[str, Any] = found["config"]
        container = self._buildah("from", "--pull-never", name).strip()
        root = Path(self._buildah("mount", container).strip())
        return Image(
            user=config["User"],
            environment=dict(each.split("=", 1) for each in config["Env"]),
            entrypoint=tuple(config["Entrypoint"]),
            command=tuple(config["Cmd"]),
            health_check=tuple(config["Healthcheck"]["Test"]),
            working_folder=config["WorkingDir"],
            labels=config["Labels"],
            root=root,
        )

    def _make_base(self) -> None:
        tarball = self._folder / "base.tar"
        given = os.environ.get("IMAGE_TEST_BASE")
        command = [
            "mmdebstrap", "--quiet", "--variant=minbase",
            "--include=python3,python3-venv,ca-certificates", SUITE, str(tarball),
            *map(str, _package_sources()),
        ]  # fmt: skip
        if not given:
            _run(command)
        container = self._buildah("from", "scratch").strip()
        self._buildah("add", "--quiet", container, given or str(tarball), "/")
        self._buildah("config", "--env", "PATH=/usr/local/bin:/usr/bin:/bin", container)
        self._buildah(
            "run", container, "--", "ln", "-s", "/usr/bin/python3", "/usr/local/bin/python"
        )
        self._buildah("commit", "--quiet", "--rm", container, BASE)
        tarball.unlink(missing_ok=True)

    def _network_settings(self) -> list[str]:
        """Return how the build reaches an index: as pip on this machine does."""
        listed = _run([sys.executable, "-m", "pip", "config", "list"]).splitlines()
        settings = {}
        for line in listed:
            name, _, value = line.partition("=")
            key = name.rpartition(".")[2]
            if key not in DROPPED_PIP_SETTINGS:
                settings[key] = value.strip("'\"")
        path = self._folder / "pip.conf"
        lines = [f"{name} = {value}" for name, value in settings.items()]
        path.write_text("\n".join(["[global]", *lines, ""]), encoding="utf-8")
        return [f"--volume={path}:/etc/pip.conf:ro", f"--volume={CERTIFICATES}:{CERTIFICATES}:ro"]

    def _buildah(self, *arguments: str) -> str:
        return _run(["buildah", *self._store, *arguments])


def _package_sources() -> list[Path]:
    """Return the files of apt's own sources that have the suite."""
    folder = Path("/etc/apt")
    found = [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*"))]
    usable = [path for path in found if path.suffix in {".list", ".sources"} and path.exists()]
    return [path for path in usable if f"{SUITE} " in f"{path.read_text()} ".replace("\n", " ")]


def _run(command: Sequence[str]) -> str:
    """Return what a program prints; fails with what it complains of."""
    done = subprocess.run(
        command,
        env={**os.environ, "PATH": _path(), "BUILDAH_ISOLATION": "chroot"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=540,
        check=False,
    )
    if done.returncode != 0:
        pytest.fail(
            f"{' '.join(command)}\n{done.stdout[-2000:]}{done.stderr[-4000:]}", pytrace=False
        )
    return done.stdout


class Container:
    """An image's own command as PID 1, as the image's user, on a file system it cannot write to.

    It shares the network of this machine, so `variables` must name addresses on loopback.
    """

    def __init__(self, image: Image, *arguments: str, **variables: str) -> None:
        self._image = image
        self._arguments = arguments or image.command
        self._variables = variables

    def __enter__(self) -> Self:
        self._log = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            self._inside([*self._image.entrypoint, *self._arguments]),
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        kill_namespace(self._process)
        self._log.close()

    @property
    def log(self) -> str:
        """Return what it has written to stdout and stderr."""
        self._log.seek(0)
        return self._log.read().decode(errors="replace")

    @property
    def pid(self) -> int:
        """Return the id, outside of the container, of its process 1."""
        threads = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        assert wait_until(lambda: bool(threads.read_text().split()))
        return int(threads.read_text().split()[0])

    def status(self, name: str) -> list[str]:
        """Return a line of /proc/PID/status of its process 1."""
        lines = Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8").splitlines()
        return next(line.split()[1:] for line in lines if line.startswith(f"{name}:"))

    def ends(self, number: signal.Signals) -> int:
        """Send a signal to its process 1; return the exit code."""
        os.kill(self.pid, number)
        return self._process.wait(60)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run another program in the same surroundings, to its end."""
        return subprocess.run(
            self._inside(command),
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def is_healthy(self) -> bool:
        """Run the image's own health check."""
        kind, *command = self._image.health_check
        assert kind == "CMD"  # and not CMD-SHELL
        return self.run(*command).returncode == 0

    def _environment(self) -> dict[str, str]:
        return {**self._image.environment, **self._variables}

    def _inside(self, command: Sequence[str]) -> list[str]:
        namespaces = ["--mount", "--pid", "--fork", "--kill-child"]
        script = RUN_READ_ONLY.replace("mount ", "/usr/bin/mount ")
        script = script.replace("exec chroot", f"exec {shutil.which('chroot', path=_path())}")
        root = str(self._image.root)
        inside = ["/usr/bin/env", f"--chdir={self._image.working_folder}", *command]
        unshare = shutil.which("unshare", path=_path())
        assert unshare
        return [unshare, *namespaces, "/bin/sh", "-c", script, root, self._image.user, *inside]
