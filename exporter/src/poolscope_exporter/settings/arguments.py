"""Add the flags of settings to a command."""

import argparse
from collections.abc import Iterable

from poolscope_exporter.settings.declaration import Option


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
