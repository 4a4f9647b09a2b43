"""The committed table is what the tests declare."""

from conformance.declared import declared
from conformance.table import COLUMNS, SITUATIONS
from poolscope_generators.conformance.document import DOCUMENT, table


def test_the_committed_table_is_what_the_tests_declare() -> None:
    committed = [line for line in DOCUMENT.read_text().splitlines() if line.startswith("|")]
    assert committed == table(declared()), "run `make conformance`"


def test_what_a_pool_lacks_or_does_otherwise_is_about_a_situation_that_there_is() -> None:
    names = {situation.name for situation in SITUATIONS}
    assert len(names) == len(SITUATIONS)
    for column in COLUMNS:
        assert {*column.lacks, *column.differs} <= names
        assert not {*column.lacks} & {*column.differs}
