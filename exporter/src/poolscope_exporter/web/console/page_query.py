"""Read the query of a live page: all of its state is in its address."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Final
from urllib.parse import quote, urlencode

from poolscope_exporter.core.fleet.process_names import ProcessNames
from poolscope_exporter.core.judging.overview.service_pools import PoolName, ServicePoolState
from poolscope_exporter.core.judging.verdicts import Verdict
from poolscope_exporter.web.selection import MAX_DIGITS, RowSelection, WrongQueryError

REFRESH_S: Final = 2
"""The default time between two updates of a page, in seconds."""

MAX_REFRESH_S: Final = 3600
MAX_TEXT: Final = 300

PARAMETERS: Final[Mapping[str, str]] = {
    "service": "Only pools of this `service.name`.",
    "namespace": "Only pools of this `service.namespace`.",
    "pool": "Only pools of this name.",
    "instance": "Only the process with this `service.instance.id`.",
    "verdict": "Only pools with this diagnosis, or with a held checkout of this verdict.",
    "q": "Only pools with this text in their service, name, processes or diagnosis.",
    "limit": "Largest number of rows of each list.",
    "refresh": f"Seconds between two updates, 0 for none (default: {REFRESH_S}).",
}


@dataclass(frozen=True, slots=True)
class PageQuery:
    """The conditions of a page, None for no condition, and the seconds between its updates."""

    service: str | None = None
    namespace: str | None = None
    pool: str | None = None
    instance: str | None = None
    verdict: str | None = None
    q: str | None = None
    limit: int | None = None
    refresh: int = REFRESH_S

    @property
    def conditions(self) -> Mapping[str, str | int]:
        """Return the given conditions by parameter."""
        given = {name: value for name, value in asdict(self).items() if value is not None}
        del given["refresh"]
        return given

    @property
    def address(self) -> str:
        """Return the query string of this page, "" or with its question mark."""
        given = dict(self.conditions)
        if self.refresh != REFRESH_S:
            given["refresh"] = self.refresh
        return f"?{urlencode(given)}" if given else ""

    @property
    def shared(self) -> "PageQuery":
        """Return the query without the refresh: pages that differ in it alone are one view."""
        return replace(self, refresh=REFRESH_S)

    @property
    def rows(self) -> RowSelection:
        """Return the conditions that select pools and checkouts of processes."""
        return RowSelection(self.service, self.pool, self.instance)

    def matching_states(
        self,
        states: Iterable[ServicePoolState],
        names: ProcessNames,
        verdicts: Mapping[PoolName, frozenset[Verdict]],
    ) -> list[ServicePoolState]:
        """Return the pools that match the namespace, the verdict and the text."""
        text = (self.q or "").casefold()
        return [
            each
            for each in states
            if self.namespace in (None, each.name.namespace)
            and (
                self.verdict in (None, *each.diagnoses)
                or self.verdict in verdicts.get(each.name, ())
            )
            and text in _searched(each, names)
        ]


def page_query_of(query: Mapping[str, str]) -> PageQuery:
    """Read a query; raise WrongQueryError if it is invalid."""
    strangers = sorted(query.keys() - PARAMETERS.keys())
    if strangers:
        known = ", ".join(PARAMETERS)
        raise WrongQueryError(f"{strangers[0]!r:.80}: unknown parameter; use {known}")
    for name, text in query.items():
        if len(text) > MAX_TEXT:
            raise WrongQueryError(f"{name} must have at most {MAX_TEXT} characters")
    refresh = _number("refresh", query.get("refresh"))
    if refresh is not None and refresh > MAX_REFRESH_S:
        raise WrongQueryError(f"refresh must be at most {MAX_REFRESH_S} seconds")
    # An empty field of the form is no condition.
    texts = {name: query.get(name) or None for name in ("service", "pool", "instance", "verdict")}
    return PageQuery(
        **texts,
        q=query.get("q") or None,
        namespace=query.get("namespace"),
        limit=_number("limit", query.get("limit")),
        refresh=REFRESH_S if refresh is None else refresh,
    )


def _number(name: str, text: str | None) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS):
        raise WrongQueryError(f"{name} must be a whole number of at most {MAX_DIGITS} digits")
    return int(text)


def pool_path(name: PoolName) -> str:
    """Return the address of the page of a pool; any character may be in the names."""
    path = "/".join(quote(part, safe="") for part in ("pool", name.service, name.pool))
    query = f"?{urlencode({'namespace': name.namespace})}" if name.namespace else ""
    return f"/{path}{query}"


def _searched(state: ServicePoolState, names: ProcessNames) -> str:
    processes = (names.get(each.pool.instance, "") for each in state.processes)
    texts = (*state.name, *state.diagnoses, *state.worst.reasons, *processes)
    return "\n".join(texts).casefold()
