"""Texts of senders are kept, without what would deceive whoever reads them in a terminal."""

import pytest

from poolscope_exporter.receiver.attributes import read_attributes
from support.exporter.otlp_messages import pairs


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("orders", "orders"),
        ("commandes d'été · 注文 🛒", "commandes d'été · 注文 🛒"),
        ("a\x1b[2Jb\r\n\tc\x00\x7f\x9bd", "a[2Jbcd"),
        ("pay\u202emoc.kcatta\u2069\u200f", "paymoc.kcatta"),
        ("family: \U0001f468\u200d\U0001f469", "family: \U0001f468\u200d\U0001f469"),
    ],
)
def test_controls_and_marks_of_direction_are_left_out(sent: str, kept: str) -> None:
    assert read_attributes(pairs({sent: sent})) == {kept: kept}


def test_64_attributes_of_a_point_are_read() -> None:
    found = read_attributes(pairs({f"a{n}": "x" for n in range(65)}))
    assert list(found) == [f"a{n}" for n in range(64)]
