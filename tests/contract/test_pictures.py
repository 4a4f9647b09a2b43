"""Each dashboard has a picture that a page can show: wide enough to read, light enough to load."""

import struct

import pytest

from poolscope_generators.incident.dashboards import FOLDER

PICTURES = FOLDER.parent / "docs" / "pictures"
UIDS = sorted(path.stem for path in FOLDER.glob("*.json"))


def test_there_are_dashboards() -> None:
    assert len(UIDS) >= 4


@pytest.mark.parametrize("uid", UIDS)
def test_each_dashboard_has_a_picture(uid: str) -> None:
    picture = (PICTURES / f"{uid}.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    width, _ = struct.unpack(">II", picture[16:24])
    assert width == 1600
    assert len(picture) <= 400_000
