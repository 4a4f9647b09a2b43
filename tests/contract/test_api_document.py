"""docs/api.md is as the OpenAPI document makes it, and has every path and field."""

import pytest

from poolscope_exporter.web.openapi import OPERATIONS, Operation
from poolscope_generators.tables.api import DOCUMENT, api_document, page

PAGE = DOCUMENT.read_text(encoding="utf-8")


def test_the_page_is_as_the_document_makes_it() -> None:
    assert page(api_document()) == PAGE, "run `make docs`"


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.path)
def test_every_path_is_on_the_page_with_its_access(operation: Operation) -> None:
    (row,) = (line for line in PAGE.splitlines() if line.startswith(f"| `{operation.path}` |"))
    assert row.endswith("| guarded |" if operation.is_guarded else "| open |")


def test_every_field_of_every_answer_has_a_row() -> None:
    for name, schema in api_document()["components"]["schemas"].items():
        section = PAGE.partition(f"\n### {name}\n")[2].partition("\n### ")[0]
        for field in schema.get("properties", {}):
            assert f"| `{field}` |" in section
