"""The picture of `top` in the documentation: the recorded incident, in its last minute."""

import os
import re
from pathlib import Path

from poolscope_exporter import clock
from poolscope_exporter.commands.audit import Question
from poolscope_exporter.commands.top_source import ExporterSource
from poolscope_exporter.terminal.live.top_app import TopApp
from poolscope_exporter.terminal.trend import MINUTE_S
from poolscope_exporter.terminal.watch import PoolWatch
from poolscope_generators.incident.recording import read_story
from support.exporter.recorded_situations import look_at
from support.exporter.served_pages import ServedPages

FOLDER = os.environ.get("TOP_PICTURE")
"""Set by `make top-picture`: the folder of the documentation's pictures."""

URL = "http://127.0.0.1:9736"
NEVER_S = 3600.0
BEFORE_END_S = 10.0
STEP_S = 2.5
OTHER_FONT = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)
"""A picture must not make its reader fetch a font from another address."""


async def test_the_recorded_incident_is_drawn(tmp_path: Path) -> None:
    end_s = read_story().phase("blocked").end - BEFORE_END_S
    watch = PoolWatch(URL, STEP_S)
    with ServedPages(look_at(end_s)) as served:
        source = ExporterSource(Question(served.address), {})
        began_s = clock.monotonic()
        for step in range(round(MINUTE_S / STEP_S)):
            ago_s = MINUTE_S - STEP_S * (step + 1)
            served.look = look_at(end_s - ago_s)
            watch.accept_answer(source.pools_now(), began_s - ago_s, end_s - ago_s)
        watch.interval_s = NEVER_S
        app = TopApp(watch, source)
        async with app.run_test(size=(150, 18)) as pilot:
            while not app.screen.query("FooterKey"):
                await pilot.pause()
            await pilot.pause()
            svg = app.export_screenshot(title="poolscope-exporter top", simplify=True)
        source.close()
    picture = Path(FOLDER or tmp_path) / "console-top.svg"
    picture.write_text(OTHER_FONT.sub("", svg), encoding="utf-8")
    drawn = picture.read_text()
    assert "last&#160;minute" in drawn
    assert "█" in drawn
    assert "url(http" not in drawn.replace('url("http', "url(http")
