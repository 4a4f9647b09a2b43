"""The documented settings are those that there are."""

from itertools import takewhile

from poolscope_exporter.settings.file import PARSERS
from poolscope_exporter.settings.model import ExporterSettings
from poolscope_exporter.settings.options import BY_FIELD
from poolscope_generators.tables.settings import DOCUMENT, HEAD, table


def test_the_documented_settings_are_those_of_the_source() -> None:
    lines = DOCUMENT.read_text().splitlines()
    documented = takewhile(lambda line: line.startswith("|"), lines[lines.index(HEAD[0]) :])
    cure = "run `make docs`"
    assert list(documented) == table(), cure


def test_every_field_of_the_settings_is_an_option() -> None:
    fields = set(ExporterSettings.model_fields) - {"tables"} | {"config"}
    assert fields == set(BY_FIELD)


def test_every_key_of_a_servers_table_is_documented() -> None:
    assert {option.in_table for option in BY_FIELD.values() if option.in_table} == set(PARSERS)
