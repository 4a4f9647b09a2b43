"""The outcome of each test of a run, read from pytest's junit XML."""

from collections import Counter
from collections.abc import Mapping
from enum import Enum
from xml.etree import ElementTree

NODE_ID = "node_id"
"""The property that the plugin `node_ids` writes: junit has no name that pytest accepts."""


class Outcome(Enum):
    """How a test ended; `MISSING` if the other run has it and this one has not."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    MISSING = "missing"


Outcomes = Mapping[str, Outcome]
"""The outcome of each test, by node id."""

_BY_TAG = {"failure": Outcome.FAILED, "error": Outcome.FAILED, "skipped": Outcome.SKIPPED}


def read_outcomes(junit: str) -> dict[str, Outcome]:
    """Return the outcome of each test; a test counts as failed if one of its phases failed."""
    outcomes: dict[str, Outcome] = {}
    for case in ElementTree.fromstring(junit).iter("testcase"):  # noqa: S314 - pytest's own file
        name = _name_of(case)
        found = _outcome_of(case)
        outcomes[name] = found if outcomes.get(name) is not Outcome.FAILED else Outcome.FAILED
    return outcomes


def counts(outcomes: Outcomes) -> str:
    """Return the numbers of tests that passed, failed and were skipped: `12/0/3`."""
    found = Counter(outcomes.values())
    return f"{found[Outcome.PASSED]}/{found[Outcome.FAILED]}/{found[Outcome.SKIPPED]}"


def _name_of(case: ElementTree.Element) -> str:
    for each in case.iter("property"):
        if each.get("name") == NODE_ID:
            return each.get("value", "")
    # A file that cannot be imported has no test, and so no node id.
    return f"{case.get('classname')}::{case.get('name')}"


def _outcome_of(case: ElementTree.Element) -> Outcome:
    tags = {child.tag for child in case}
    return next((_BY_TAG[tag] for tag in _BY_TAG if tag in tags), Outcome.PASSED)
