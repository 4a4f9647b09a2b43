"""Parse the given settings, each once, and return one line for each wrong value."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from poolscope_exporter.settings.declaration import Option, own_options


@dataclass(frozen=True, slots=True)
class GivenValue:
    """The text, or the value from a file, that a user gave for a setting.

    `label` names its source; it includes the value unless that is secret.
    """

    value: object
    label: str


@dataclass(frozen=True, slots=True)
class _Wrong:
    problem: str


class Reading:
    """The values of options, parsed at first use because some parsers read other settings."""

    def __init__(self, options: Iterable[Option], given: Mapping[str, GivenValue]) -> None:
        self._options = {option.field: option for option in options}
        self._given = given
        self._outcomes: dict[str, object] = {}

    def known_values(self, *fields: str) -> tuple[Any, ...] | None:
        """Return the values of the fields, or None if one of them is invalid."""
        outcomes = tuple(self._outcome(field) for field in fields)
        return None if any(isinstance(each, _Wrong) for each in outcomes) else outcomes

    def names_of(self, field: str) -> str:
        """Return the flag and the variable that set a field."""
        return self._options[field].names

    def problems(self) -> list[str]:
        """Return a line for each wrong value, in the order of the options."""
        return list(self._problems())

    def arguments_for(self, declared: type[Any]) -> dict[str, Any]:
        """Return the values of the options that the class itself declares; all must be valid."""
        return {each.attribute: self._outcome(each.field) for each in own_options(declared)}

    def server_arguments(self) -> dict[str, Any]:
        """Return the given values of one server by attribute; all must be valid."""
        options = (each for each in self._options.values() if each.in_table)
        return {
            each.attribute: self._outcome(each.field)
            for each in options
            if each.field in self._given
        }

    def _problems(self) -> Iterator[str]:
        for field in self._options:
            outcome = self._outcome(field)
            if isinstance(outcome, _Wrong):
                yield outcome.problem

    def _outcome(self, field: str) -> object:
        if field not in self._outcomes:
            self._outcomes[field] = self._parsed(self._options[field])
        return self._outcomes[field]

    def _parsed(self, option: Option) -> object:
        given = self._given.get(option.field)
        if given is None and not option.reads_absence:
            return option.default
        found = given or GivenValue(None, option.variable)
        try:
            return option.parse_value(found.value, self)
        except ValueError as exc:
            return _Wrong(f"{found.label}: {exc}")


def label_of(option: Option, source: str, value: object, sign: str = "=") -> str:
    """Return the source of a value, with the value unless it is secret."""
    if option.is_secret:
        return source
    text = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return f"{source}{sign}{text}"
