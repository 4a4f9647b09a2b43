"""The command line: `poolscope-exporter run | check | audit | demo`."""

import argparse
import asyncio
import gc
import logging
import os
import sys
from collections.abc import Callable, Iterable, Sequence

from poolscope_exporter.app import CannotListenError, listen, serve
from poolscope_exporter.commands.audit import (
    FLAGS,
    add_arguments,
    as_json,
    audit,
    lines,
    question_of,
)
from poolscope_exporter.commands.check import check
from poolscope_exporter.core.checks.model import Result
from poolscope_exporter.polling.dsn import Dsn, parse_dsn
from poolscope_exporter.settings.arguments import add_flags
from poolscope_exporter.settings.loading import WrongSettingsError, load_settings
from poolscope_exporter.settings.model import ExporterSettings
from poolscope_exporter.settings.options import BY_FIELD, OPTIONS, unknown_variables
from poolscope_exporter.settings.servers import ServerTarget
from poolscope_exporter.settings.suggestions import nearest
from poolscope_exporter.version import __version__

OK, FAILED, BAD_USAGE = 0, 1, 2
CANNOT_TELL = 2

GC_THRESHOLDS = (50_000, 20, 50)

FIRST = ("run", "check", "audit", "demo", "-h", "--help", "--version")

Problems = list[str]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0, 1 for a failure, 2 for wrong usage.

    An audit that cannot tell returns 2 as well.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser, flags = _parser()
    if given and given[0] not in FIRST:
        # argparse would repeat the argument, and it may be a DSN.
        return _refuse(["the first argument must be a command: run, check, audit or demo"])
    complete, problems = _without_dangling(given, flags)
    namespace, strangers = parser.parse_known_args(complete)
    problems += [_stranger(argument, flags) for argument in strangers]
    if namespace.command is None:
        parser.print_help(sys.stderr)
        return BAD_USAGE
    command: Callable[[argparse.Namespace, Problems], int] = namespace.command
    return command(namespace, problems)


def _parser() -> tuple[argparse.ArgumentParser, frozenset[str]]:
    """Return the parser and the flags that take a value."""
    parser = argparse.ArgumentParser(
        prog="poolscope-exporter",
        description="Links the connections that applications hold to their PostgreSQL sessions.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.set_defaults(command=None)
    commands = parser.add_subparsers(title="commands", metavar="run | check | audit | demo")
    run = commands.add_parser("run", help="run the exporter", allow_abbrev=False)
    add_flags(run, OPTIONS)
    run.set_defaults(command=_run)
    checking = commands.add_parser(
        "check", help="check what the exporter may see on a server, and what to grant",
        allow_abbrev=False,
    )  # fmt: skip
    add_flags(checking, [BY_FIELD["config"], *(each for each in OPTIONS if each.in_table)])
    checking.set_defaults(command=_check)
    auditing = commands.add_parser(
        "audit", help="check the configuration of every pool known to a running exporter",
        allow_abbrev=False,
    )  # fmt: skip
    add_arguments(auditing)
    auditing.set_defaults(command=_audit)
    demo = commands.add_parser(
        "demo", help="run the whole story: a leaking app, its database and the exporter",
        allow_abbrev=False,
    )  # fmt: skip
    demo.add_argument(
        "--for",
        dest="for_s",
        metavar="SECONDS",
        help="time after which the demo ends by itself (default: it runs until Ctrl-C)",
    )
    demo.add_argument("--json", action="store_true", help="print findings as JSON lines")
    demo.add_argument("--dsn", help="server of the demo (default: an embedded one)")
    demo.set_defaults(command=_demo)
    flags = {option.flag for option in OPTIONS if option.flag and not option.is_switch}
    return parser, frozenset({*flags, "--for", *FLAGS})


def _run(namespace: argparse.Namespace, problems: Problems) -> int:
    settings = _settings(namespace, problems)
    if settings is None:
        return _refuse(problems)
    logging.basicConfig(
        stream=sys.stderr,
        level=settings.log_level.upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    for library in ("httpx", "httpcore"):
        # They tell of every request, and at the level of debugging of its headers.
        logging.getLogger(library).setLevel(logging.WARNING)
    for warning in unknown_variables(os.environ):
        _say(warning)
    # What we keep is kept for minutes: looking through all of it time and again finds no garbage.
    gc.set_threshold(*GC_THRESHOLDS)
    try:
        listeners = listen(settings)
    except CannotListenError as exc:
        _say(str(exc))
        return FAILED
    asyncio.run(serve(settings, listeners))
    return OK


def _check(namespace: argparse.Namespace, problems: Problems) -> int:
    settings = _settings(namespace, problems)
    if settings is None:
        return _refuse(problems)
    asked = [(target, target.pgbouncers) for target in settings.targets]
    if not asked and not settings.pgbouncers:
        return _refuse(["--dsn or POOLSCOPE_DSN: needed, it names the server to check"])
    return _report(asked or [(None, settings.pgbouncers)])


def _report(asked: Iterable[tuple[ServerTarget | None, Sequence[Dsn]]]) -> int:
    """Check each server with its bouncers, and print what is found and what is missing."""
    is_good = True
    for target, bouncers in asked:
        report = asyncio.run(check(target, bouncers))
        lines = [*report.lines, *(f"missing     {each}" for each in report.missing)]
        sys.stdout.writelines(f"{line}\n" for line in lines)
        is_good = is_good and not report.missing
    return OK if is_good else FAILED


def _audit(namespace: argparse.Namespace, problems: Problems) -> int:
    question = question_of(namespace, os.environ, problems)
    if problems:
        return _refuse(problems)
    found = audit(question)
    told = [as_json(found)] if namespace.json else lines(found)
    sys.stdout.writelines(f"{line}\n" for line in told)
    return {Result.OK: OK, Result.WARN: FAILED, Result.UNKNOWN: CANNOT_TELL}[found.result]


def _demo(namespace: argparse.Namespace, problems: Problems) -> int:
    for_s = _seconds(namespace.for_s, problems)
    if namespace.dsn is not None:
        try:
            parse_dsn(namespace.dsn)
        except ValueError as exc:
            problems.append(f"--dsn: {exc}")
    if problems:
        return _refuse(problems)
    try:
        from poolscope_exporter.demo.story import run_demo  # noqa: PLC0415 - an optional extra
    except ModuleNotFoundError as exc:
        _say(f"the demo needs {exc.name}: pip install 'poolscope-exporter[demo]'")
        return FAILED
    return run_demo(for_s, namespace.json, namespace.dsn)


def _settings(namespace: argparse.Namespace, problems: Problems) -> ExporterSettings | None:
    """Return the settings, or None where there are problems, to which it adds its own."""
    flags = {name: value for name, value in vars(namespace).items() if name in BY_FIELD}
    try:
        settings = load_settings(flags)
    except WrongSettingsError as exc:
        problems += exc.problems
        return None
    return None if problems else settings


def _seconds(text: str | None, problems: Problems) -> float | None:
    try:
        seconds = None if text is None else float(text)
    except ValueError:
        seconds = 0.0
    if seconds is not None and not 0 < seconds < float("inf"):
        problems.append(f"--for={text}: must be seconds, more than 0")
    return seconds


def _without_dangling(
    arguments: Sequence[str], flags: frozenset[str]
) -> tuple[list[str], Problems]:
    """Set aside the flags that lack their value: argparse would stop at the first of them."""
    kept, problems = [], []
    for index, argument in enumerate(arguments):
        following = arguments[index + 1 : index + 2]
        if argument in flags and (not following or following[0].startswith("--")):
            problems.append(f"{argument}: needs a value")
        else:
            kept.append(argument)
    return kept, problems


def _stranger(argument: str, flags: Iterable[str]) -> str:
    """Return the problem with an argument that nobody knows, without what may be its secret."""
    name = argument.partition("=")[0]
    if not name.startswith("-"):
        return "an argument that belongs to no option (not shown, it may be a secret)"
    return f"{name}: unknown option{nearest(name, [*flags, '--json'])}"


def _refuse(problems: Problems) -> int:
    _say("\n  ".join(["cannot start, wrong settings:", *problems]))
    return BAD_USAGE


def _say(message: str) -> None:
    sys.stderr.write(f"poolscope-exporter: {message}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
