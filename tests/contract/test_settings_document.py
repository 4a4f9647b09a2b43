"""The documented settings are those that there are."""

from itertools import takewhile

from contract.settings_table import DOCUMENT, HEAD, table
from poolscope_exporter.settings.file import PARSERS
from poolscope_exporter.settings.model import ExporterSettings
from poolscope_exporter.settings.options import BY_FIELD


def test_the_documented_settings_are_those_of_the_source() -> None:
    lines = DOCUMENT.read_text().splitlines()
    documented = takewhile(lambda line: line.startswith("|"), lines[lines.index(HEAD[0]) :])
    cure = "run `PYTHONPATH=tests python -m contract.settings_table`"
    assert list(documented) == table(), cure


def test_every_field_of_the_settings_is_an_option() -> None:
    fields = set(ExporterSettings.model_fields) - {"tables"} | {"config"}
    assert fields == set(BY_FIELD)


def test_every_key_of_a_servers_table_is_documented() -> None:
    assert {option.in_table for option in BY_FIELD.values() if option.in_table} == set(PARSERS)
