"""The command line `poolscope-exporter`: run, check, audit, profile, report, bundle, top, demo."""

import argparse
import contextlib
import gc
import logging
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from poolscope_exporter.app import listen, serve
from poolscope_exporter.commands.audit import (
    FLAGS,
    add_arguments,
    as_json,
    audit,
    lines,
    question_of,
)
from poolscope_exporter.commands.bundle import (
    add_bundle_arguments,
    bundle_lines,
    read_bundle,
    write_bundle,
)
from poolscope_exporter.commands.check import check
from poolscope_exporter.commands.profile import FLAGS as PROFILE_FLAGS
from poolscope_exporter.commands.profile import (
    add_profile_arguments,
    read_profile,
    selection_of_arguments,
    summary,
    write_profile,
)
from poolscope_exporter.commands.report import (
    add_report_arguments,
    as_one_text,
    incident_of,
    read_report,
    write_report,
)
from poolscope_exporter.commands.top import (
    EXTRA,
    NoAnswerError,
    add_top_arguments,
    options_of,
    print_once,
    watch_pools,
)
from poolscope_exporter.commands.top import FLAGS as TOP_FLAGS
from poolscope_exporter.core.checks.model import Result
from poolscope_exporter.exporter import Outputs
from poolscope_exporter.listeners.sockets import CannotListenError
from poolscope_exporter.polling.dsn import Dsn, parse_dsn
from poolscope_exporter.settings.arguments import (
    add_flags,
    split_dangling,
    unexpected_argument,
)
from poolscope_exporter.settings.loading import WrongSettingsError, load_settings
from poolscope_exporter.settings.model import ExporterSettings
from poolscope_exporter.settings.options import BY_FIELD, OPTIONS, unknown_variables
from poolscope_exporter.settings.servers import ServerTarget
from poolscope_exporter.threads.line_writer import LineWriter
from poolscope_exporter.threads.lookups import run_with_lookups
from poolscope_exporter.version import __version__

OK, FAILED, BAD_USAGE = 0, 1, 2
CANNOT_TELL = 2

STDOUT, STDERR = 1, 2

GC_THRESHOLDS = (50_000, 20, 50)

FIRST = (
    "run",
    "check",
    "audit",
    "profile",
    "report",
    "bundle",
    "top",
    "demo",
    "-h",
    "--help",
    "--version",
)

_COMMANDS = "run, check, audit, profile, report, bundle, top"

Problems = list[str]
Handle = Callable[[argparse.Namespace, Problems], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0, 1 for a failure, 2 for wrong usage.

    An audit also returns 2 if its result is unknown.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser, flags = _parser()
    if given and given[0] not in FIRST:
        # argparse would print the argument in its error, and the argument may be a DSN with a
        # password.
        return _refuse([f"the first argument must be a command: {_COMMANDS} or demo"])
    complete, problems = split_dangling(given, flags)
    namespace, strangers = parser.parse_known_args(complete)
    problems += [unexpected_argument(argument, flags) for argument in strangers]
    if namespace.command is None:
        parser.print_help(sys.stderr)
        return BAD_USAGE
    command: Handle = namespace.command
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
    commands = parser.add_subparsers(
        title="commands", metavar="run | check | audit | profile | report | bundle | top | demo"
    )

    def add(name: str, summary: str, handle: Handle) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=summary, allow_abbrev=False)
        command.set_defaults(command=handle)
        return command

    add_flags(add("run", "run the exporter", _run), OPTIONS)
    checking = add("check", "test the connection to a server and list missing grants", _check)
    add_flags(checking, [BY_FIELD["config"], *(each for each in OPTIONS if each.in_table)])
    summary = "check the configuration of every pool known to a running exporter"
    add_arguments(add("audit", summary, _audit))
    summary = "show the lines of code that keep the connections of a service"
    add_profile_arguments(add("profile", summary, _profile))
    summary = "write an incident of a running exporter as Markdown"
    add_report_arguments(add("report", summary, _report_incident))
    summary = "collect the data for a bug report in one file, without secrets"
    add_bundle_arguments(add("bundle", summary, _bundle))
    summary = "watch the pools of a running exporter in the terminal"
    add_top_arguments(add("top", summary, _top))
    summary = "run a demo: a leaking app, its database and the exporter"
    _add_demo_arguments(add("demo", summary, _demo))
    flags = {option.flag for option in OPTIONS if option.flag and not option.is_switch}
    return parser, frozenset({*flags, "--for", *FLAGS, *PROFILE_FLAGS, *TOP_FLAGS})


def _add_demo_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--for",
        dest="for_s",
        metavar="SECONDS",
        help="duration of the demo (default: until Ctrl-C)",
    )
    parser.add_argument("--json", action="store_true", help="output of findings as JSON lines")
    parser.add_argument("--dsn", help="PostgreSQL server to use (default: an embedded one)")


def _run(namespace: argparse.Namespace, problems: Problems) -> int:
    settings = _settings(namespace, problems)
    if settings is None:
        return _refuse(problems)
    outputs = Outputs(LineWriter(STDOUT), LineWriter(STDERR))
    logging.basicConfig(
        stream=outputs.log,
        level=settings.log_level.upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    for library in ("httpx", "httpcore"):
        # They log every request, and at level DEBUG its headers, which hold the token.
        logging.getLogger(library).setLevel(logging.WARNING)
    for warning in unknown_variables(os.environ):
        outputs.log.write(_said(warning))
    # Most objects live for minutes, so the default thresholds would scan all of them again and
    # again and find no garbage.
    gc.set_threshold(*GC_THRESHOLDS)
    try:
        listeners = listen(settings)
    except CannotListenError as exc:
        outputs.log.write(_said(str(exc)))
        outputs.write_out()
        return FAILED
    run_with_lookups(serve(settings, listeners, outputs, lambda: load_settings(_flags(namespace))))
    outputs.write_out()
    return OK


def _check(namespace: argparse.Namespace, problems: Problems) -> int:
    settings = _settings(namespace, problems)
    if settings is None:
        return _refuse(problems)
    asked = [(target, target.pgbouncers) for target in settings.targets]
    if not asked and not settings.pgbouncers:
        return _refuse(["--dsn or POOLSCOPE_DSN: required: the server to check"])
    return _report(asked or [(None, settings.pgbouncers)])


def _report(asked: Iterable[tuple[ServerTarget | None, Sequence[Dsn]]]) -> int:
    """Check each server and its PgBouncers; print the findings and the missing grants."""
    is_good = True
    for target, bouncers in asked:
        report = run_with_lookups(check(target, bouncers))
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
    return {Result.OK: OK, Result.WARN: FAILED}.get(found.result, CANNOT_TELL)


def _profile(namespace: argparse.Namespace, problems: Problems) -> int:
    question = question_of(namespace, os.environ, problems)
    for_s = _seconds("--for", namespace.for_s, problems)
    if problems:
        return _refuse(problems)
    found = read_profile(question, selection_of_arguments(namespace, for_s))
    if isinstance(found, str):
        _say(found)
        return FAILED
    sys.stdout.writelines(f"{line}\n" for line in summary(found))
    try:
        written = write_profile(found, Path(namespace.output))
    except OSError as exc:
        _say(f"--output={namespace.output}: {exc}")
        return FAILED
    sys.stdout.writelines(f"written: {path}\n" for path in written)
    return OK


def _report_incident(namespace: argparse.Namespace, problems: Problems) -> int:
    question = question_of(namespace, os.environ, problems)
    incident = incident_of(namespace.incident, problems)
    if problems:
        return _refuse(problems)
    found = read_report(question, incident)
    if isinstance(found, str):
        _say(found)
        return FAILED
    if namespace.output is None:
        sys.stdout.write(as_one_text(found))
        return OK
    try:
        written = write_report(found, Path(namespace.output))
    except OSError as exc:
        _say(f"--output={namespace.output}: {exc}")
        return FAILED
    sys.stdout.writelines(f"written: {path}\n" for path in written)
    return OK


def _bundle(namespace: argparse.Namespace, problems: Problems) -> int:
    question = question_of(namespace, os.environ, problems)
    if problems:
        return _refuse(problems)
    found = read_bundle(question)
    if isinstance(found, str):
        _say(found)
        return FAILED
    try:
        write_bundle(found, Path(namespace.output))
    except OSError as exc:
        _say(f"--output={namespace.output}: {exc}")
        return FAILED
    sys.stdout.writelines(f"{line}\n" for line in bundle_lines(found))
    sys.stdout.write(f"written: {namespace.output}\n")
    return OK


def _top(namespace: argparse.Namespace, problems: Problems) -> int:
    question = question_of(namespace, os.environ, problems)
    options = options_of(namespace, _seconds("--interval", namespace.interval_s, problems))
    if problems:
        return _refuse(problems)
    try:
        if namespace.once or namespace.json:
            lines_now = print_once(question, options, as_json=namespace.json)
            sys.stdout.writelines(f"{line}\n" for line in lines_now)
        elif not sys.stdout.isatty():
            _say("top needs a terminal: use --once or --json")
            return FAILED
        else:
            watch_pools(question, options)
    except NoAnswerError as exc:
        _say(str(exc))
        return FAILED
    except ModuleNotFoundError as exc:
        _say(f"the live view needs {exc.name}: {EXTRA}, or print the pools with --once")
        return FAILED
    return OK


def _demo(namespace: argparse.Namespace, problems: Problems) -> int:
    for_s = _seconds("--for", namespace.for_s, problems)
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
    """Return the settings, or None if there are problems; add their problems to the list."""
    try:
        settings = load_settings(_flags(namespace))
    except WrongSettingsError as exc:
        problems += exc.problems
        return None
    return None if problems else settings


def _flags(namespace: argparse.Namespace) -> dict[str, Any]:
    return {name: value for name, value in vars(namespace).items() if name in BY_FIELD}


def _seconds(flag: str, text: str | None, problems: Problems) -> float | None:
    try:
        seconds = None if text is None else float(text)
    except ValueError:
        seconds = 0.0
    if seconds is not None and not 0 < seconds < float("inf"):
        problems.append(f"{flag}={text}: must be a number of seconds above 0")
    return seconds


def _refuse(problems: Problems) -> int:
    noun = "setting" if len(problems) == 1 else "settings"
    _say("\n  ".join([f"cannot start: {len(problems)} invalid {noun}", *problems]))
    return BAD_USAGE


def _say(message: str) -> None:
    with contextlib.suppress(OSError, AttributeError):  # closed, or there is none
        sys.stderr.write(_said(message))
        sys.stderr.flush()


def _said(message: str) -> str:
    return f"poolscope-exporter: {message}\n"


if __name__ == "__main__":
    sys.exit(main())
