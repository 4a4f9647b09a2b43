"""Collect what a bug report needs from a running exporter, in one ZIP file without secrets."""

import argparse
import io
import json
import re
import ssl
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from poolscope_exporter.commands.audit import Question, add_query_arguments, fetch
from poolscope_exporter.web.setup.setup_rows import versions

DEFAULT_OUTPUT: Final = "poolscope-bundle.zip"

ROWS: Final = "1000"
"""The most rows of an answer, so that the file of a large fleet can be attached to a report."""

_LIMITED: Final = {"limit": ROWS}
_ANSWERS: Final[Mapping[str, Mapping[str, str]]] = {
    "/api/v1/settings": {},
    "/api/v1/pools": _LIMITED,
    "/api/v1/checkouts": _LIMITED,
    "/api/v1/blockers": _LIMITED,
    "/api/v1/profile": {},
    "/api/v1/incidents": _LIMITED,
    "/api/v1/releases": {},
    "/readyz": {},
}

_OWN_SERIES: Final = re.compile(r"(?:# (?:HELP|TYPE) )?(?:poolscope|process)_")
_DIAGNOSED: Final = re.compile(r"(?:# (?:HELP|TYPE) )?poolscope_(?:pool|held|holding|config)_")
"""Series of applications, which are in the answers already."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """The contents of the file by name, and the reasons for missing ones."""

    files: Mapping[str, bytes]
    missing: Mapping[str, str]


def read_bundle(question: Question) -> Bundle | str:
    """Query the exporter; return the contents, or the reason why there are none at all."""
    files: dict[str, bytes] = {}
    missing: dict[str, str] = {}
    for path, parameters in (*_ANSWERS.items(), ("/metrics", {})):
        answer = _answer(question, path, parameters)
        if isinstance(answer, str):
            missing[path] = answer
        elif path == "/metrics":
            files["metrics.txt"] = own_series(answer)
        else:
            files[_name(path)] = answer
    if not any(name.endswith(".json") for name in files):
        return next(iter(missing.values()))  # the open paths answer also without a token
    files["bundle.json"] = _manifest(missing)
    return Bundle(files, missing)


def write_bundle(bundle: Bundle, path: Path) -> None:
    """Write the file: all of it, or nothing."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in bundle.files.items():
            file.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    path.write_bytes(buffer.getvalue())


def bundle_lines(bundle: Bundle) -> Iterator[str]:
    """Yield the contents of the file, and what is missing."""
    for name, content in bundle.files.items():
        yield f"{len(content):9,} bytes  {name}"
    for path, reason in bundle.missing.items():
        yield f"missing: {path}: {reason}"
    yield (
        "The file has names, routes, lines and host names of your applications, and no password or"
        " token. Read it before you publish it."
    )


def own_series(metrics: bytes) -> bytes:
    """Return the lines of the exporter's metrics about itself."""
    lines = metrics.decode("utf-8", "replace").splitlines(keepends=True)
    own = (line for line in lines if _OWN_SERIES.match(line) and not _DIAGNOSED.match(line))
    return "".join(own).encode()


def add_bundle_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_query_arguments(parser)
    parser.add_argument(
        "--output",
        metavar="FILE",
        default=DEFAULT_OUTPUT,
        help=f"file to write (default: {DEFAULT_OUTPUT})",
    )


def _answer(question: Question, path: str, parameters: Mapping[str, str]) -> bytes | str:
    try:
        return fetch(question, path, parameters or None)
    except (httpx.HTTPError, ssl.SSLError, OSError) as exc:
        return f"{question.url} does not answer: {exc}"


def _manifest(missing: Mapping[str, str]) -> bytes:
    """Return the versions on the machine of this command, and the missing answers."""
    about = {"command_versions": dict(versions()), "missing": dict(missing)}
    return json.dumps(about, indent=2).encode() + b"\n"


def _name(path: str) -> str:
    if path == "/readyz":
        return "readyz.txt"
    return path.rpartition("/")[2] + ".json"
