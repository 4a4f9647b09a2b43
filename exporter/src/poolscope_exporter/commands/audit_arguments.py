"""Read the arguments of `poolscope-exporter audit`; name all that is wrong at once."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from poolscope_exporter.commands.audit import DEFAULT_URL, Question
from poolscope_exporter.core.checks.model import CheckId
from poolscope_exporter.core.model.endpoints import is_loopback
from poolscope_exporter.listeners.tokens import read_tokens
from poolscope_exporter.settings import values
from poolscope_exporter.settings.options import BY_FIELD

FLAGS = ("--url", "--ca-file", "--ignore")
"""The flags with a value that no other command has."""

_CHECKS = {each.value: each for each in CheckId}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    token = BY_FIELD["token_file"]
    parser.add_argument(
        "--url", metavar="URL", default=DEFAULT_URL, help=f"of the exporter ({DEFAULT_URL})"
    )
    parser.add_argument(
        token.flag or "",
        metavar=token.metavar,
        help=f"file whose first token opens the API [{token.variable}]",
    )
    parser.add_argument(
        "--ca-file", metavar="FILE", help="certificates of the authorities to trust (the system's)"
    )
    parser.add_argument(
        "--ignore",
        metavar="CHECK",
        action="append",
        default=[],
        help="leave a check out, such as C3; repeatable",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def question_of(
    namespace: argparse.Namespace, environ: Mapping[str, str], problems: list[str]
) -> Question:
    """Return what to ask; what is wrong is added to the problems, without any secret."""
    url, ca_file = DEFAULT_URL, None
    try:
        url = values.url(namespace.url)
    except ValueError as exc:
        problems.append(f"--url: {exc}")
    try:
        ca_file = values.readable_file(namespace.ca_file) if namespace.ca_file else None
    except ValueError as exc:
        problems.append(f"--ca-file={namespace.ca_file}: {exc}")
    token = _token(namespace.token_file, environ, problems)
    parts = urlsplit(url)
    if token and parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        problems.append(f"--url={url}: would send the token in the clear; use https")
    return Question(url, token, ca_file, _ignored(namespace.ignore, problems))


def _token(given: str | None, environ: Mapping[str, str], problems: list[str]) -> str | None:
    file, text = BY_FIELD["token_file"], BY_FIELD["token"]
    path, token = given or environ.get(file.variable), environ.get(text.variable)
    try:
        if path:
            return read_tokens(Path(path))[0].text
        return values.token(token) if token else None
    except ValueError as exc:
        source = f"{file.flag if given else file.variable}={path}" if path else text.variable
        problems.append(f"{source}: {exc}")
        return None


def _ignored(given: list[str], problems: list[str]) -> frozenset[CheckId]:
    names = [name.strip() for text in given for name in text.split(",")]
    strangers = [name for name in names if name not in _CHECKS]
    if strangers:
        problems.append(f"--ignore={','.join(strangers)}: must be of {', '.join(CheckId)}")
    return frozenset(_CHECKS[name] for name in names if name in _CHECKS)
