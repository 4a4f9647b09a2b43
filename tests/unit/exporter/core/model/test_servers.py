"""A server is told from the one that answered at its address before."""

from dataclasses import replace

import pytest

from poolscope_exporter.core.model.endpoints import Endpoint
from poolscope_exporter.core.model.servers import Change, ServerIdentity, change_of, is_expected
from support.exporter.builders import a_server

PRIMARY = a_server()
REPLICA = replace(PRIMARY, in_recovery=True)
STARTED_AT_S = PRIMARY.started_at_s or 0.0
WITHOUT_START = replace(PRIMARY, started_at_s=None)


@pytest.mark.parametrize(
    ("before", "now", "change"),
    [
        (None, PRIMARY, None),
        (PRIMARY, PRIMARY, None),
        # The right to read the start was granted or revoked: that is no other server.
        (PRIMARY, WITHOUT_START, None),
        (WITHOUT_START, PRIMARY, None),
        (WITHOUT_START, WITHOUT_START, None),
        (PRIMARY, replace(PRIMARY, started_at_s=STARTED_AT_S + 1e-6), Change.REPLACED),
        (PRIMARY, replace(REPLICA, started_at_s=1.0), Change.REPLACED),
        (PRIMARY, replace(PRIMARY, system_identifier="42"), Change.REPLACED),
        (PRIMARY, replace(PRIMARY, system_identifier=None), None),
        (PRIMARY, replace(PRIMARY, addresses=frozenset({Endpoint("10.9.9.9", 5432)})), None),
        (REPLICA, PRIMARY, Change.PROMOTED),
    ],
)
def test_a_change_is_told_by_start_time_identity_and_role(
    before: ServerIdentity | None, now: ServerIdentity, change: Change | None
) -> None:
    assert change_of(before, now) is change


@pytest.mark.parametrize(
    ("expects", "primary", "replica"),
    [("any", True, True), ("primary", True, False), ("replica", False, True)],
)
def test_a_target_expects_a_role_or_does_not_care(
    expects: str, primary: bool, replica: bool
) -> None:
    assert (is_expected(PRIMARY, expects), is_expected(REPLICA, expects)) == (primary, replica)
