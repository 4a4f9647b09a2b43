"""Add the past of a pool to its page: its last incidents, and its releases side by side."""

from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import urlencode

from poolscope.catalogue import SERVICE_VERSION
from poolscope_exporter.core.fleet.service_totals.release_comparison import compare_newest
from poolscope_exporter.core.fleet.service_totals.release_totals import ReleaseNumbers
from poolscope_exporter.core.fleet.service_totals.route_totals import service_pool_of
from poolscope_exporter.core.incidents.incident import Incident
from poolscope_exporter.core.judging.overview.service_pools import PoolName, ServicePoolState
from poolscope_exporter.core.judging.situation import Situation
from poolscope_exporter.web.console.drawings import style_of
from poolscope_exporter.web.console.page_parts import Parts
from poolscope_exporter.web.console.tickets.incident_ticket import incident_ticket
from poolscope_exporter.web.incidents.incident_rows import incident_row
from poolscope_exporter.web.releases.comparison_rows import (
    FACTS,
    comparison_notes,
    comparison_table,
)

MAX_INCIDENTS: Final = 5
"""The most incidents of a pool, the newest ones; the page of incidents has the others."""

MAX_TABLES: Final = 3
"""The most comparisons: a pool of this name may lead to several databases."""


def add_incidents(parts: Parts, name: PoolName, incidents: Sequence[Incident]) -> None:
    """Add the last incidents of a pool; they are given with the newest first."""
    rows = [(each, incident_row(each)) for each in incidents[:MAX_INCIDENTS]]
    shown = {
        each.id: {**row, "style": style_of(each.cause), "ticket": incident_ticket(row)}
        for each, row in rows
    }
    parts.add_list("incidents", "incident_row", shown)
    path = f"/incidents?{_pool_query(name)}"
    more = max(0, len(incidents) - MAX_INCIDENTS)
    parts.add_part("incidents-note", "incidents_note", path, len(incidents), more)


def add_releases(
    parts: Parts, state: ServicePoolState, situation: Situation, releases: Iterable[ReleaseNumbers]
) -> None:
    """Add the newest release of the pool and the one before it, side by side."""
    shown = {service_pool_of(each.pool) for each in state.processes}
    found = compare_newest(each for each in releases if each.key.pool in shown)
    tables = [comparison_table(each) for each in found[:MAX_TABLES]]
    versions = {
        each.instance: each.resource.get(SERVICE_VERSION, "") for each in situation.instances
    }
    unversioned = sum(1 for each in state.processes if not versions.get(each.pool.instance))
    notes = comparison_notes(tables, unversioned) if tables else []
    more = sum(each.others for each in tables) + len(found[MAX_TABLES:])
    path = f"/api/v1/releases?{_pool_query(state.name)}"
    parts.add_part("releases", "releases", path, FACTS, tables, notes, more, bool(tables))


def _pool_query(name: PoolName) -> str:
    return urlencode({"service": name.service, "pool": name.pool})
