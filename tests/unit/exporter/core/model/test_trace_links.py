"""A trace id comes from a push: only a real one gets into an address."""

import pytest

from poolscope_exporter.core.model.trace_links import trace_link

TEMPLATE = "https://traces.example/trace/{trace_id}?view=tree"


def test_a_valid_id_is_put_into_the_template() -> None:
    link = trace_link(TEMPLATE, "ab" * 16)
    assert link == f"https://traces.example/trace/{'ab' * 16}?view=tree"


@pytest.mark.parametrize(
    "trace_id",
    [None, "", "ab", "AB" * 16, "ab" * 16 + "\n", "../" * 10 + "ab", "{trace_id}", '"><script>'],
)
def test_any_other_id_has_no_link(trace_id: str | None) -> None:
    assert trace_link(TEMPLATE, trace_id) is None


def test_without_a_template_there_is_no_link() -> None:
    assert trace_link(None, "ab" * 16) is None
