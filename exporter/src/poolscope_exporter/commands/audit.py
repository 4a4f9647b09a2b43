"""Read the checks of all pools from a running exporter, so that a deployment can depend on them."""

import argparse
import json
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from pydantic import TypeAdapter, ValidationError

from poolscope_exporter.core.checks.model import CheckId, Result
from poolscope_exporter.core.model.endpoints import is_loopback
from poolscope_exporter.listeners.tokens import TokenUse, read_tokens
from poolscope_exporter.settings import values
from poolscope_exporter.settings.options import BY_FIELD
from poolscope_exporter.terminal.printable import printable
from poolscope_exporter.web.rows import group_by_configuration, group_by_server

FLAGS = ("--url", "--ca-file", "--ignore")
"""The flags with a value that only this command has."""

_CHECKS = {each.value: each for each in CheckId}

DEFAULT_URL = "http://127.0.0.1:9736"
TIMEOUT_S = 10.0
PATH = "/api/v1/pools"


@dataclass(frozen=True, slots=True)
class Question:
    """The exporter to query, the token to send, and the checks to ignore."""

    url: str = DEFAULT_URL
    token: str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    ignored: frozenset[CheckId] = frozenset()


@dataclass(frozen=True, slots=True)
class Finding:
    """One check, as the exporter reports it."""

    check_id: str
    result: Result
    setting: str
    value: float | str | None
    safe_range: str
    cure: str | None


@dataclass(frozen=True, slots=True)
class AuditedPool:
    """One pool, in all the processes that configure it in the same way.

    An exporter of an older version does not name the `process`.
    """

    service_namespace: str
    service: str
    pool: str
    db_namespace: str
    server_address: str
    server_port: int | None
    service_instance_id: str
    config_checks: tuple[Finding, ...]
    process: str = ""
    processes: int = 1


@dataclass(frozen=True, slots=True)
class ServerFinding:
    """One check of a whole server, for all its pools."""

    check_id: str
    result: Result
    setting: str
    value: float | str | None
    safe_range: str
    cure: str | None
    pools: int
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Told:
    pools: tuple[AuditedPool, ...]
    withheld: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Audit:
    """The result: warn if any check warns, else unknown if any result is unknown, else ok.

    A check that another exporter judges is not counted, unless there is no other result. `reason`
    explains an unknown result or what is missing.
    """

    result: Result
    pools: tuple[AuditedPool, ...] = ()
    servers: tuple[ServerFinding, ...] = ()
    reason: str | None = None

    @property
    def results(self) -> list[Result]:
        """Return the result of each check, that of a whole server once."""
        of_pools = [check.result for pool in self.pools for check in pool.config_checks]
        return [*of_pools, *(finding.result for finding in self.servers)]


_TOLD = TypeAdapter(_Told)


def audit(question: Question) -> Audit:
    """Query the exporter and judge its answer."""
    try:
        told = _ask(question)
    except (httpx.HTTPError, ssl.SSLError, OSError) as exc:
        return Audit(Result.UNKNOWN, reason=f"{question.url} does not answer: {exc}")
    except ValidationError:
        why = f"{question.url}{PATH} is not the API of a poolscope-exporter: check --url"
        return Audit(Result.UNKNOWN, reason=why)
    if isinstance(told, str):
        return Audit(Result.UNKNOWN, reason=told)
    return _judged(told, question.ignored)


def _ask(question: Question) -> _Told | str:
    """Return the exporter's pools, or the reason why there is no answer."""
    answer = fetch(question, PATH)
    return answer if isinstance(answer, str) else _TOLD.validate_json(answer)


def fetch(
    question: Question, path: str, parameters: Mapping[str, str] | None = None
) -> bytes | str:
    """Return the body of the exporter's answer, or the reason why there is none.

    Raise an error of httpx if the exporter does not answer.
    """
    with open_client(question) as client:
        return fetch_by(client, question, path, parameters)


def open_client(question: Question) -> httpx.Client:
    """Return a client with the token of the question, for one or several requests."""
    headers = {"Authorization": f"Bearer {question.token}"} if question.token else {}
    trusted = ssl.create_default_context(cafile=question.ca_file)
    return httpx.Client(trust_env=False, verify=trusted, timeout=TIMEOUT_S, headers=headers)


def fetch_by(
    client: httpx.Client,
    question: Question,
    path: str,
    parameters: Mapping[str, str] | None = None,
) -> bytes | str:
    """Do the same as `fetch` by an open client."""
    response = client.get(question.url.rstrip("/") + path, params=parameters)
    if response.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        cure = "pass its token by --token-file or POOLSCOPE_TOKEN, or run this on its machine"
        return f"{question.url} refuses to answer ({response.status_code}): {cure}"
    if not response.is_success:
        return f"{question.url}{path} answers {response.status_code}: check --url"
    return response.content


def _judged(told: _Told, ignored: frozenset[CheckId]) -> Audit:
    if not told.pools:
        return Audit(Result.UNKNOWN, reason="no application has pushed a pool to this exporter")
    kept = [_without(asdict(pool), ignored) for pool in told.pools]
    hidden = told.withheld.get("pools", 0)
    found = Audit(
        Result.WARN,
        TypeAdapter(tuple[AuditedPool, ...]).validate_python(group_by_configuration(kept)),
        TypeAdapter(tuple[ServerFinding, ...]).validate_python(group_by_server(kept)),
        f"{hidden} pools of other databases are hidden" if hidden else None,
    )
    return replace(found, result=_whole(set(found.results), hidden))


def _whole(results: set[Result], hidden: int) -> Result:
    """Return the result of the whole audit."""
    if Result.WARN in results:
        return Result.WARN
    is_unknown = bool(hidden) or Result.UNKNOWN in results or results == {Result.ELSEWHERE}
    return Result.UNKNOWN if is_unknown else Result.OK


def _without(pool: dict[str, Any], ignored: frozenset[CheckId]) -> dict[str, Any]:
    kept = [check for check in pool["config_checks"] if check["check_id"] not in ignored]
    return pool | {"config_checks": kept}


def as_json(found: Audit) -> str:
    """Return the audit as one JSON object."""
    return json.dumps(asdict(found))


def lines(found: Audit) -> Iterator[str]:
    """Yield the audit as text.

    Characters from applications that could steer a terminal become `?`.
    """
    for finding in found.servers:
        yield from map(printable, _server(finding))
    for pool in found.pools:
        yield from map(printable, _pool(pool))
    counts = {result: found.results.count(result) for result in Result}
    summary = ", ".join(
        f"{count} {result}" for result, count in counts.items() if _is_counted(result, count)
    )
    yield printable(f"{found.result}: {found.reason or summary}")


def _pool(pool: AuditedPool) -> Iterator[str]:
    who = f"{pool.service_namespace}/{pool.service}" if pool.service_namespace else pool.service
    one = pool.process or pool.service_instance_id
    where = f"{pool.processes} processes" if pool.processes > 1 else one
    yield f"{who}, pool {pool.pool} ({where})"
    for check in pool.config_checks:
        yield from _check(check)


def _server(finding: ServerFinding) -> Iterator[str]:
    pools = "1 pool" if finding.pools == 1 else f"all {finding.pools} pools"
    yield f"{pools} of {', '.join(finding.addresses)}"
    yield from _check(finding)


def _check(check: Finding | ServerFinding) -> Iterator[str]:
    value = "none" if check.value is None else check.value
    shown = f"{value:g}" if isinstance(value, float) else value
    yield (
        f"  {check.result:9} {check.check_id:3}  {check.setting}: {shown}"
        f" (safe: {check.safe_range})"
    )
    if check.cure:
        yield f"                 {check.cure}"


def _is_counted(result: Result, count: int) -> bool:
    """Return whether to print the number; "elsewhere" is printed only if it is not 0."""
    return count > 0 or result is not Result.ELSEWHERE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_query_arguments(parser)
    parser.add_argument(
        "--ignore",
        metavar="CHECK",
        action="append",
        default=[],
        help="check to ignore, such as C3; repeatable",
    )
    parser.add_argument("--json", action="store_true", help="output as one JSON object")


def add_query_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments for the address and the token of the exporter."""
    token = BY_FIELD["token_file"]
    parser.add_argument(
        "--url",
        metavar="URL",
        default=DEFAULT_URL,
        help=f"address of the exporter (default: {DEFAULT_URL})",
    )
    parser.add_argument(
        token.flag or "",
        metavar=token.metavar,
        help=f"file with the token of the API in its first line [{token.variable}]",
    )
    parser.add_argument(
        "--ca-file",
        metavar="FILE",
        help="certificates of the authorities to trust (default: the system's)",
    )


def question_of(
    namespace: argparse.Namespace, environ: Mapping[str, str], problems: list[str]
) -> Question:
    """Return the settings of the query; add a line without secrets for each wrong value."""
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
        problems.append(f"--url={url}: would send the token unencrypted; use https")
    return Question(url, token, ca_file, _ignored(getattr(namespace, "ignore", []), problems))


def _token(given: str | None, environ: Mapping[str, str], problems: list[str]) -> str | None:
    file, text = BY_FIELD["token_file"], BY_FIELD["token"]
    path, token = given or environ.get(file.variable), environ.get(text.variable)
    try:
        if path:
            return _read_token(Path(path))
        return values.token(token) if token else None
    except ValueError as exc:
        source = f"{file.flag if given else file.variable}={path}" if path else text.variable
        problems.append(f"{source}: {exc}")
        return None


def _read_token(file: Path) -> str:
    """Return the first token of the file that permits reading.

    Raise ValueError if there is none.
    """
    tokens = [each.text for each in read_tokens(file) if TokenUse.READ in each.uses]
    if not tokens:
        raise ValueError("has no token for reading: each line has use=push")
    return tokens[0]


def _ignored(given: list[str], problems: list[str]) -> frozenset[CheckId]:
    names = [name.strip() for text in given for name in text.split(",")]
    strangers = [name for name in names if name not in _CHECKS]
    if strangers:
        problems.append(f"--ignore={','.join(strangers)}: must be of {', '.join(CheckId)}")
    return frozenset(_CHECKS[name] for name in names if name in _CHECKS)
