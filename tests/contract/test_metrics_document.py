"""The metric reference is what the catalogues say, and leaves no series out."""

from poolscope import catalogue
from poolscope_exporter.core.own_metrics import OWN_METRICS
from poolscope_generators.tables.metrics import BEGIN, DOCUMENT, END, table


def test_the_reference_is_what_the_catalogues_say() -> None:
    text = DOCUMENT.read_text()
    committed = text[text.index(BEGIN) + len(BEGIN) : text.index(END)]
    assert committed.strip().splitlines() == table(), "run `make docs`"


def test_every_series_and_wire_name_is_in_the_reference() -> None:
    text = "\n".join(table())
    names = {metric.name for metric in (*catalogue.METRICS, *OWN_METRICS)}
    assert not [name for name in names if f"`{name}`" not in text]
