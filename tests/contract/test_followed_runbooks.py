"""The docs name the runbooks that a test follows in an incident, and no others."""

import re

from scenarios.followed import FOLLOWED, followed_part
from support.documents.markdown import ROOT

SECTIONED = "PoolExhausted"


def test_docs_name_the_runbooks_that_are_followed() -> None:
    text = (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8")
    [said] = re.findall(r"(?s)These runbooks are followed in a real incident:\n\n(.*?)\n\n", text)
    runbooks, _, sections = said.partition(f"`{SECTIONED}`")
    whole = {each.runbook for each in FOLLOWED if each.runbook != SECTIONED}
    assert set(re.findall(r"`(\w+)`", runbooks)) == whole
    assert set(re.findall(r"`(\w+)`", sections)) == {e.section for e in FOLLOWED if e.section}


def test_each_followed_part_has_a_command() -> None:
    parts = {str(each): followed_part(each) for each in FOLLOWED}
    links = {f"{SECTIONED}-connect_failing"}  # its commands are in the runbook that it links
    without = {name for name, part in parts.items() if not part.blocks}
    assert without <= links
