"""Findings: the checkouts with a problem, each reported once per verdict."""

import json
from collections.abc import Iterable
from dataclasses import asdict

from poolscope_exporter.core.judging.verdicts import Verdict
from poolscope_exporter.terminal.reported import ReportedCheckout

NO_FINDING = frozenset({Verdict.WORKING, Verdict.UNCONFIRMED, Verdict.UNKNOWN})

FIELDS = (
    "verdict",
    "evidence",
    "service",
    "pool",
    "route",
    "code_file",
    "code_line",
    "age_s",
    "backend_pid",
    "server_state",
    "link",
    "now",
)


class Findings:
    """The last reported verdict of each checkout."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, int], str] = {}

    def new_among(self, checkouts: Iterable[ReportedCheckout]) -> list[ReportedCheckout]:
        """Return the checkouts with a problem that is not the last one reported for them."""
        return [checkout for checkout in checkouts if self._is_new(checkout)]

    def _is_new(self, checkout: ReportedCheckout) -> bool:
        key = (checkout.service_instance_id, checkout.checkout_id)
        if checkout.verdict in NO_FINDING or self._told.get(key) == checkout.verdict:
            return False
        self._told[key] = checkout.verdict
        return True


def finding_as_json(checkout: ReportedCheckout) -> str:
    """Return the finding as one line of JSON with exactly the documented keys."""
    values = asdict(checkout)
    return json.dumps({name: values[name] for name in FIELDS})


def finding_as_sentence(checkout: ReportedCheckout) -> str:
    """Return the finding as one line of text."""
    state = checkout.server_state or "state unknown"
    return (
        f"{checkout.verdict}: {checkout.route or 'no route'} took a connection at "
        f"{place(checkout)}, {checkout.age_s:.1f} s ago"
        f"{f', {checkout.evidence}' if checkout.evidence else ''}; "
        f"backend {checkout.backend_pid or 'unknown'} is {state} (link: {checkout.link})"
        f"{f'; now {checkout.now.summary}' if checkout.now else ''}"
    )


def place(checkout: ReportedCheckout) -> str:
    """Return `file:line` of the checkout."""
    if checkout.code_file is None:
        return "an unknown line"
    return f"{checkout.code_file}:{checkout.code_line}"
