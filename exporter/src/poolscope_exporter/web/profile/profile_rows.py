"""Convert the occupancy profile to the rows of the API."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from poolscope.catalogue import Doing
from poolscope_exporter.core.fleet.occupancy_history import KEPT_S, ProfileRow
from poolscope_exporter.core.fleet.service_totals.route_totals import service_pool_of
from poolscope_exporter.core.judging.situation import Situation
from poolscope_exporter.web.selection import WrongQueryError

PARAMETERS: Final[Mapping[str, str]] = {
    "service": "Only pools of this `service.name`.",
    "pool": "Only pools of this name.",
    "window": f"Seconds to look back, at most {KEPT_S:.0f} (default: 60).",
}
DEFAULT_WINDOW_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class ProfileSelection:
    """The pools and the window of one profile; None is no condition."""

    service: str | None = None
    pool: str | None = None
    window_s: float = DEFAULT_WINDOW_S


def profile_selection_of(query: Mapping[str, str]) -> ProfileSelection:
    """Read a query; raise WrongQueryError if it is invalid."""
    strangers = sorted(query.keys() - PARAMETERS.keys())
    if strangers:
        known = ", ".join(PARAMETERS)
        raise WrongQueryError(f"{strangers[0]!r:.80}: unknown parameter; use {known}")
    return ProfileSelection(query.get("service"), query.get("pool"), _window_s(query.get("window")))


def profile_rows(
    rows: Iterable[ProfileRow], situation: Situation, wanted: ProfileSelection
) -> dict[str, Any]:
    """Return the rows of the pools that may be shown, the longest first, with their sums."""
    shown = {service_pool_of(state.pool) for state in situation.pools}
    found = [
        row
        for row in rows
        if row.pool in shown
        and wanted.service in (None, row.pool.service)
        and wanted.pool in (None, row.pool.pool)
    ]
    found.sort(key=lambda row: (-row.seconds, row.pool.service, row.pool.pool, row.key))
    total_s = sum(row.seconds for row in found)
    database_s = sum(row.seconds for row in found if row.key.doing == Doing.DATABASE)
    return {
        "profile": [_row(row, total_s) for row in found],
        "window_s": wanted.window_s,
        "connection_seconds": round(total_s, 3),
        "database_share": round(database_s / total_s, 4) if total_s else None,
    }


def _row(row: ProfileRow, total_s: float) -> dict[str, Any]:
    return {
        "service": row.pool.service,
        "service_namespace": row.pool.namespace,
        "pool": row.pool.pool,
        "route": row.key.route or None,
        "taken_at": row.key.taken_at or None,
        "now_at": row.key.now_at or None,
        "call": row.key.call or None,
        "doing": row.key.doing,
        "seconds": round(row.seconds, 3),
        "share": round(row.seconds / total_s, 4),
    }


def _window_s(text: str | None) -> float:
    if text is None:
        return DEFAULT_WINDOW_S
    try:
        window_s = float(text)
    except ValueError:
        window_s = math.nan
    if not 0 < window_s <= KEPT_S:
        raise WrongQueryError(f"window must be a number of seconds above 0, at most {KEPT_S:.0f}")
    return window_s
