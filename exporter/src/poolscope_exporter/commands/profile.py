"""Read the occupancy profile of a running exporter, print its top lines and write two files."""

import argparse
import json
import ssl
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
from pydantic import TypeAdapter, ValidationError

from poolscope_exporter.commands.audit import Question, add_query_arguments, fetch
from poolscope_exporter.terminal.printable import printable

PATH: Final = "/api/v1/profile"
LINES: Final = 10
"""The most lines that are printed."""

FLAGS: Final = ("--service", "--pool", "--output")
"""The flags with a value that only this command has."""

_UNKNOWN: Final = "unknown line"


@dataclass(frozen=True, slots=True)
class ProfileLine:
    """One way in which connections were out, as the exporter reports it; None is unknown."""

    service: str
    pool: str
    route: str | None
    taken_at: str | None
    now_at: str | None
    call: str | None
    doing: str
    seconds: float


@dataclass(frozen=True, slots=True)
class OccupancyProfile:
    """The answer of the exporter."""

    profile: tuple[ProfileLine, ...]
    window_s: float
    connection_seconds: float
    database_share: float | None


_PROFILE = TypeAdapter(OccupancyProfile)


def read_profile(question: Question, selection: Mapping[str, str]) -> OccupancyProfile | str:
    """Query the exporter; return the profile, or the reason why there is none."""
    try:
        answer = fetch(question, PATH, selection)
        return answer if isinstance(answer, str) else _PROFILE.validate_json(answer)
    except (httpx.HTTPError, ssl.SSLError, OSError) as exc:
        return f"{question.url} does not answer: {exc}"
    except ValidationError:
        return f"{question.url}{PATH} is not the API of a poolscope-exporter: check --url"


def summary(found: OccupancyProfile) -> Iterator[str]:
    """Yield the sums, then the lines that keep most connection seconds."""
    total_s = found.connection_seconds
    if not found.profile:
        yield f"no connection was out in the last {found.window_s:g} s, at any look"
        return
    database = (
        "" if found.database_share is None else f", {found.database_share:.0%} in the database"
    )
    average = total_s / found.window_s
    yield (
        f"{total_s:.1f} connection seconds in the last {found.window_s:g} s"
        f" ({average:.1f} connections on average){database}"
    )
    for line in found.profile[:LINES]:
        call = line.call or ("its own code" if line.now_at else line.doing)
        where = f"{line.route or 'no route'}, taken at {line.taken_at or _UNKNOWN}"
        share = line.seconds / total_s
        yield printable(
            f"{line.seconds:8.1f} s {share:4.0%}  {call} at {line.now_at or _UNKNOWN}  ({where})"
        )


def write_profile(found: OccupancyProfile, prefix: Path) -> tuple[Path, Path]:
    """Write the profile as speedscope JSON and as collapsed stacks; return both paths."""
    speedscope = prefix.with_name(prefix.name + ".speedscope.json")
    collapsed = prefix.with_name(prefix.name + ".collapsed.txt")
    speedscope.write_text(json.dumps(as_speedscope(found.profile)) + "\n", encoding="utf-8")
    text = "".join(f"{line}\n" for line in as_collapsed(found.profile))
    collapsed.write_text(text, encoding="utf-8")
    return speedscope, collapsed


def as_speedscope(lines: Sequence[ProfileLine]) -> dict[str, Any]:
    """Return the profile in the file format of speedscope; the weights are seconds."""
    stacks = [_stack(line) for line in lines]
    names = dict.fromkeys(name for stack in stacks for name in stack)
    index = {name: number for number, name in enumerate(names)}
    weights = [line.seconds for line in lines]
    return {
        "$schema": "https://www.speedscope.app/file-format-schema.json",
        "exporter": "poolscope-exporter",
        "name": "time of connections that were out",
        "shared": {"frames": [{"name": name} for name in names]},
        "profiles": [
            {
                "type": "sampled",
                "name": "connection seconds",
                "unit": "seconds",
                "startValue": 0,
                "endValue": sum(weights),
                "samples": [[index[name] for name in stack] for stack in stacks],
                "weights": weights,
            }
        ],
    }


def as_collapsed(lines: Iterable[ProfileLine]) -> Iterator[str]:
    """Yield the profile as collapsed stacks; the counts are milliseconds."""
    for line in lines:
        stack = ";".join(name.replace(";", ",").replace("\n", " ") for name in _stack(line))
        yield f"{stack} {line.seconds * 1000:.0f}"


def _stack(line: ProfileLine) -> list[str]:
    """Return the frames of a row, the outermost first."""
    return [
        f"{line.service} / {line.pool}",
        line.route or "no route",
        f"taken at {line.taken_at or _UNKNOWN}",
        f"now at {line.now_at or _UNKNOWN}",
        line.call or line.doing,
    ]


def add_profile_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_query_arguments(parser)
    parser.add_argument("--service", metavar="NAME", help="service to read (default: all)")
    parser.add_argument("--pool", metavar="NAME", help="pool to read (default: all)")
    parser.add_argument(
        "--for",
        dest="for_s",
        metavar="SECONDS",
        help="seconds to look back, at most 900 (default: 60)",
    )
    parser.add_argument(
        "--output",
        metavar="PREFIX",
        default="poolscope-profile",
        help="beginning of the names of both files (default: poolscope-profile)",
    )


def selection_of_arguments(namespace: argparse.Namespace, for_s: float | None) -> dict[str, str]:
    """Return the parameters of the query."""
    given = {
        "service": namespace.service,
        "pool": namespace.pool,
        "window": None if for_s is None else f"{for_s:g}",
    }
    return {name: value for name, value in given.items() if value is not None}
