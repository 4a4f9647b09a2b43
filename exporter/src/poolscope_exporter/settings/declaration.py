"""Declare a setting once: a typed field of a dataclass, with the data for flags and documents."""

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Final, Generic, Protocol, TypeVar, cast, runtime_checkable

from poolscope_exporter.core.model.endpoints import Endpoint

PREFIX: Final = "POOLSCOPE_"

_DECLARED = "declared"
"""The key of a dataclass field's metadata that holds its Option or its group."""

_T = TypeVar("_T")
_Value_co = TypeVar("_Value_co", covariant=True)


class Required(Enum):
    """The marker for a setting without a default."""

    REQUIRED = "required"


class OtherSettings(Protocol):
    """The other settings, for a parser with a result that depends on them."""

    def known_values(self, *fields: str) -> tuple[Any, ...] | None:
        """Return the values of the fields, or None if one of them is invalid."""

    def names_of(self, field: str) -> str:
        """Return the flag and the variable that set a field."""


@runtime_checkable
class Ranged(Protocol):
    """A parser that can describe the values that it accepts."""

    @property
    def accepts(self) -> str:
        """Return the accepted values as a phrase for the help text."""


@dataclass(frozen=True, slots=True)
class Dependent(Generic[_Value_co]):
    """A parser that also reads other settings.

    With `if_absent`, it also runs on None if no value is given.
    """

    parse: Callable[[object, OtherSettings], _Value_co]
    if_absent: bool = False


@dataclass(frozen=True, slots=True)
class Option:
    """One setting; its flag, variable, key, help text and documentation derive from this.

    The `noun` is the noun phrase of the help text; accepted values and default are added to it. The
    `default_text` is the default as a phrase, if it cannot be written as a value. The `attribute`
    is the dataclass field; `field` is the name in flags, variable and file. The `in_table` is the
    key in a `[[server]]` table, or None for a setting of the process. The flag `in_chart` is False
    if the Helm chart's templates set the variable. It is also False if another value would break
    the chart's probes.
    """

    flag: str | None
    metavar: str
    noun: str
    parser: Callable[[object], object] | Dependent[object]
    default: object = Required.REQUIRED
    default_text: str = ""
    field: str = ""
    attribute: str = ""
    in_table: str | None = None
    is_secret: bool = False
    is_repeatable: bool = False
    is_switch: bool = False
    in_file: bool = True
    in_chart: bool = True

    @property
    def variable(self) -> str:
        """Return the environment variable's name."""
        return PREFIX + self.field.upper()

    @property
    def names(self) -> str:
        """Return the flag and the variable that set this option."""
        return f"{self.flag} or {self.variable}" if self.flag else self.variable

    @property
    def reads_absence(self) -> bool:
        """Return whether the parser also runs if no value is given."""
        return isinstance(self.parser, Dependent) and self.parser.if_absent

    @property
    def help(self) -> str:
        """Return the noun phrase, the accepted values, and the default as it is declared."""
        accepted = f": {self.parser.accepts}" if isinstance(self.parser, Ranged) else ""
        repeatable = "; repeatable" if self.is_repeatable else ""
        default = self.default_text or default_text(self.default)
        return f"{self.noun}{accepted}{repeatable}" + (f" (default: {default})" if default else "")

    def parse_value(self, value: object, others: OtherSettings) -> object:
        """Return the parsed value of a text, or of a value in a file.

        Raise ValueError with the cure.
        """
        if isinstance(self.parser, Dependent):
            return self.parser.parse(value, others)
        return self.parser(value)


@dataclass(frozen=True, slots=True)
class Group:
    """A class that declares further settings; `is_table` marks the settings of one server."""

    declared: type[Any]
    is_table: bool = False


def option(
    flag: str | None,
    metavar: str,
    noun: str,
    parser: Callable[[object], _T] | Dependent[_T],
    *,
    default: _T | Required = Required.REQUIRED,
    default_text: str = "",
    field: str = "",
    is_secret: bool = False,
    is_repeatable: bool = False,
    is_switch: bool = False,
    in_file: bool = True,
    in_chart: bool = True,
) -> _T:
    """Declare the setting of a dataclass field; the arguments are those of Option."""
    declared = Option(
        flag,
        metavar,
        noun,
        parser,
        default=default,
        default_text=default_text,
        field=field,
        is_secret=is_secret,
        is_repeatable=is_repeatable,
        is_switch=is_switch,
        in_file=in_file,
        in_chart=in_chart,
    )
    return cast("_T", _field(declared, default, is_secret=is_secret))


def group(declared: type[Any], *, is_table: bool = False) -> Any:
    """Insert the settings of another class here; the field itself has no default."""
    return dataclasses.field(metadata={_DECLARED: Group(declared, is_table)})


def own_options(declared: type[Any]) -> tuple[Option, ...]:
    """Return the settings that the class itself declares, in the order of its fields."""
    return tuple(each for each in _declarations(declared) if isinstance(each, Option))


def options_of(declared: type[Any]) -> tuple[Option, ...]:
    """Return the settings of the class and of its groups, in the order of declaration."""
    return tuple(_options(declared))


def server_class(declared: type[Any]) -> type[Any]:
    """Return the class of one server's settings, from the group that is a table."""
    groups = (each for each in _declarations(declared) if isinstance(each, Group))
    return next(each.declared for each in groups if each.is_table)


def default_text(default: object) -> str:
    """Return a default as a user would write it, or "" if there is no such text."""
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, float):
        return f"{default:.15g}"
    if isinstance(default, Endpoint):
        return f"{default.address}:{default.port}"
    return str(default) if isinstance(default, str | int) else ""


def _options(declared: type[Any]) -> Iterator[Option]:
    for each in _declarations(declared):
        if isinstance(each, Option):
            yield each
            continue
        for nested in options_of(each.declared):
            yield replace(nested, in_table=nested.attribute) if each.is_table else nested


def _declarations(declared: type[Any]) -> Iterator[Option | Group]:
    for each in dataclasses.fields(declared):
        found = each.metadata.get(_DECLARED)
        if isinstance(found, Option):
            yield replace(found, attribute=each.name, field=found.field or each.name)
        elif isinstance(found, Group):
            yield found


def _field(declared: Option, default: object, *, is_secret: bool) -> object:
    metadata = {_DECLARED: declared}
    if default is Required.REQUIRED:
        return dataclasses.field(repr=not is_secret, metadata=metadata)
    return dataclasses.field(default=default, repr=not is_secret, metadata=metadata)
