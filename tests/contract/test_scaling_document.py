"""The arithmetic of docs/scaling-out.md is that of the measured numbers."""

import pytest

from poolscope_generators.tables.scaling import (
    BEGIN,
    DOCUMENT,
    END,
    MEASURED,
    Costs,
    measured,
    table,
)


def test_the_table_is_what_the_measured_numbers_give() -> None:
    document = DOCUMENT.read_text(encoding="utf-8")
    costs = measured(MEASURED.read_text(encoding="utf-8"), document)
    written = document.partition(BEGIN)[2].partition(END)[0].strip().splitlines()
    assert written == list(table(costs)), "run `make docs`"


def test_a_document_without_a_measurement_is_told() -> None:
    with pytest.raises(ValueError, match="processes of 1 pool each"):
        measured("nothing was measured", "")


@pytest.mark.parametrize(("core", "most"), [(0.001, 500), (0.0004, 1250), (0.0001, 1250)])
def test_an_exporter_takes_what_half_a_core_does_and_no_more_than_its_limit(
    core: float, most: int
) -> None:
    assert Costs(core, 0.3, 170, 3.0, 1.0).per_exporter == most
