"""Add the flags of settings to a command, and find wrong arguments."""

import argparse
from collections.abc import Iterable, Sequence

from poolscope_exporter.settings.declaration import Option
from poolscope_exporter.settings.suggestions import nearest


def add_flags(parser: argparse.ArgumentParser, options: Iterable[Option]) -> None:
    """Add a flag for each option that has one; the namespace contains only the given flags."""
    for option in options:
        if option.flag is None:
            continue
        text = f"{option.help} [{option.variable}]"
        if option.is_switch:
            parser.add_argument(
                option.flag,
                dest=option.field,
                help=text,
                action="store_const",
                const="true",
                default=argparse.SUPPRESS,
            )
        else:
            parser.add_argument(
                option.flag,
                dest=option.field,
                metavar=option.metavar,
                help=text,
                action="append" if option.is_repeatable else "store",
                default=argparse.SUPPRESS,
            )


def split_dangling(arguments: Sequence[str], flags: frozenset[str]) -> tuple[list[str], list[str]]:
    """Return the arguments without flags that lack their value, and a problem for each of those.

    argparse would stop at the first of them.
    """
    kept, problems = [], []
    for index, argument in enumerate(arguments):
        following = arguments[index + 1 : index + 2]
        if argument in flags and (not following or following[0].startswith("--")):
            problems.append(f"{argument}: needs a value")
        else:
            kept.append(argument)
    return kept, problems


def unexpected_argument(argument: str, flags: Iterable[str]) -> str:
    """Return the problem with an unexpected argument, without the part that may be a secret."""
    name = argument.partition("=")[0]
    if not name.startswith("-"):
        return "unexpected argument (value hidden, it may be a secret)"
    return f"{name}: unknown option{nearest(name, [*flags, '--json'])}"
