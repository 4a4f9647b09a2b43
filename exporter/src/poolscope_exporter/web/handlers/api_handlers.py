"""Answer the requests of the API, and of the page that shows its incidents."""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, TypeVar

from fastapi import Request, Response
from fastapi.responses import PlainTextResponse

from poolscope_exporter.core.fleet.process_names import process_names
from poolscope_exporter.core.judging.situation import Situation
from poolscope_exporter.threads.daemon_threads import DaemonThreads
from poolscope_exporter.web.handlers.responses import Handler, html_response, json_response
from poolscope_exporter.web.incidents.incident_page import render_incidents
from poolscope_exporter.web.incidents.incident_rows import (
    IncidentSelection,
    incident_rows,
    incident_selection_of,
)
from poolscope_exporter.web.lock_rows import root_blocker_row
from poolscope_exporter.web.profile.profile_rows import (
    ProfileSelection,
    profile_rows,
    profile_selection_of,
)
from poolscope_exporter.web.releases.release_rows import check_release_query, release_rows
from poolscope_exporter.web.rows import (
    bouncer_row,
    checkout_row,
    pool_row,
    rejected_row,
    server_row,
)
from poolscope_exporter.web.selection import RowSelection, WrongQueryError, selection_of
from poolscope_exporter.web.setup.setup_rows import setup_answer
from poolscope_exporter.web.sources import Sources

_Wanted = TypeVar("_Wanted")
_Query = Mapping[str, str]


class ApiHandlers:
    """The handlers of the API; they collect on the event loop, and encode in one thread.

    The rows of a large fleet take seconds, so they are encoded one answer at a time.
    """

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._threads = DaemonThreads("api")

    def by_path(self) -> dict[str, Handler]:
        """Return the handler of each path."""
        return {
            "/api/v1/checkouts": self._rows(_checkout_rows),
            "/api/v1/pools": self._rows(_pool_rows),
            "/api/v1/blockers": self._rows(_blocker_rows),
            "/api/v1/profile": self._handler(profile_selection_of, self._profile),
            "/api/v1/incidents": self._incidents(self._encoded),
            "/incidents": self._incidents(self._incident_page),
            "/api/v1/releases": self._handler(_release_query, self._releases),
            "/api/v1/settings": self._settings,
        }

    def _handler(
        self,
        read_query: Callable[[_Query], _Wanted],
        collect: Callable[[_Wanted], Callable[[], Response]],
    ) -> Handler:
        """Return a handler: `collect` takes the data, and returns the function that encodes it."""

        async def answer(request: Request) -> Response:
            try:
                wanted = read_query(request.query_params)
            except WrongQueryError as error:
                return PlainTextResponse(f"{error}\n", HTTPStatus.BAD_REQUEST)
            return await self._threads.run(collect(wanted))

        return answer

    def _rows(self, rows_of: Callable[[Situation, RowSelection], dict[str, Any]]) -> Handler:
        def collect(wanted: RowSelection) -> Callable[[], Response]:
            situation = self._sources.situation()
            return lambda: self._encoded(rows_of(situation, wanted), situation)

        return self._handler(selection_of, collect)

    def _profile(self, wanted: ProfileSelection) -> Callable[[], Response]:
        situation, rows = self._sources.situation(), self._sources.profile(wanted.window_s)
        return lambda: self._encoded(profile_rows(rows, situation, wanted), situation)

    def _incidents(self, encode: Callable[[dict[str, Any], Situation], Response]) -> Handler:
        def collect(wanted: IncidentSelection) -> Callable[[], Response]:
            shown, situation = self._sources.incidents(), self._sources.situation()
            return lambda: encode(incident_rows(shown, wanted), situation)

        return self._handler(incident_selection_of, collect)

    def _incident_page(self, found: dict[str, Any], _: Situation) -> Response:
        rows = found.pop("incidents")
        return html_response(render_incidents(rows, **found, taken_at=self._sources.timestamp()))

    def _releases(self, query: _Query) -> Callable[[], Response]:
        found, situation = self._sources.releases(), self._sources.situation()
        return lambda: self._encoded(release_rows(found, situation, query), situation)

    async def _settings(self, _: Request) -> Response:
        return json_response(setup_answer(self._sources.settings))

    def _encoded(self, rows: dict[str, Any], situation: Situation) -> Response:
        """Return the rows with the fields of every answer."""
        return json_response({**rows, **_common(situation, self._sources)})


def _release_query(query: _Query) -> _Query:
    check_release_query(query)
    return query


def _checkout_rows(situation: Situation, wanted: RowSelection) -> dict[str, Any]:
    found = wanted.matching_checkouts(situation.judgements)
    names = process_names(situation.instances)
    rows = [checkout_row(judgement, names) for judgement in found[: wanted.limit]]
    return {"checkouts": rows, "matching": len(found)}


def _pool_rows(situation: Situation, wanted: RowSelection) -> dict[str, Any]:
    found = wanted.matching_pools(situation.pools)
    names = process_names(situation.instances)
    rows = [pool_row(state, names) for state in found[: wanted.limit]]
    rejected = [rejected_row(each, situation.taken_at_s) for each in situation.rejected]
    return {"pools": rows, "matching": len(found), "rejected": rejected}


def _blocker_rows(situation: Situation, wanted: RowSelection) -> dict[str, Any]:
    found = wanted.matching_blockers(situation.blockers)
    names = process_names(situation.instances)
    rows = [root_blocker_row(blocker, names) for blocker in found[: wanted.limit]]
    return {"blockers": rows, "matching": len(found)}


def _common(situation: Situation, sources: Sources) -> dict[str, Any]:
    return {
        "servers": [server_row(view) for view in situation.servers],
        "pgbouncers": [bouncer_row(view) for view in situation.bouncers],
        "role": sources.role,
        "withheld": {
            "checkouts": situation.withheld.checkouts,
            "pools": situation.withheld.pools,
        },
        "taken_at": sources.timestamp(),
    }
