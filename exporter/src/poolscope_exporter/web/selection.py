"""Select rows of an answer by the query of a request."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Final

from poolscope_exporter.core.blocking.root_blockers import RootBlocker
from poolscope_exporter.core.judging.situation import PoolAssessment, Situation
from poolscope_exporter.core.judging.verdicts import Judgement
from poolscope_exporter.core.model.checkouts import Pool

MAX_DIGITS: Final = 6

PARAMETERS: Final[Mapping[str, str]] = {
    "service": "Only rows of this `service.name`.",
    "pool": "Only pools of this name.",
    "instance": "Only rows of this `service.instance.id`.",
    "verdict": "Only checkouts with this verdict, or pools with this diagnosis.",
    "limit": "Largest number of rows.",
}


class WrongQueryError(ValueError):
    """A query with an unknown parameter or value; the message lists the accepted ones."""


@dataclass(frozen=True, slots=True)
class RowSelection:
    """The conditions on rows, None for no condition, and the largest number of rows."""

    service: str | None = None
    pool: str | None = None
    instance: str | None = None
    verdict: str | None = None
    limit: int | None = None

    @property
    def conditions(self) -> Mapping[str, str | int]:
        """Return what the query gave, by parameter."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def narrowed(self, situation: Situation) -> Situation:
        """Return the situation with the matching checkouts, pools and blockers, and all servers."""
        return replace(
            situation,
            judgements=tuple(self.matching_checkouts(situation.judgements)),
            pools=tuple(self.matching_pools(situation.pools)),
            blockers=tuple(self.matching_blockers(situation.blockers)),
        )

    def matching_checkouts(self, judgements: Iterable[Judgement]) -> list[Judgement]:
        """Return the matching checkouts, without the limit."""
        return [
            each
            for each in judgements
            if self._is_of(each.checkout.pool) and self.verdict in (None, each.verdict)
        ]

    def matching_pools(self, pools: Iterable[PoolAssessment]) -> list[PoolAssessment]:
        """Return the matching pools, without the limit."""
        return [
            each
            for each in pools
            if self._is_of(each.pool) and self.verdict in (None, each.diagnosis.diagnosis)
        ]

    def matching_blockers(self, blockers: Iterable[RootBlocker]) -> list[RootBlocker]:
        """Return the blockers with a connection of a matching pool in their queue, or holding it.

        A blocker has no verdict, so none matches one.
        """
        if self.verdict is not None:
            return []
        if (self.service, self.pool, self.instance) == (None, None, None):
            return list(blockers)
        return [
            each
            for each in blockers
            if any(party.pool and self._is_of(party.pool) for party in each.parties)
        ]

    def _is_of(self, pool: Pool) -> bool:
        return (
            self.service in (None, pool.instance.name)
            and self.pool in (None, pool.name)
            and self.instance in (None, pool.instance.id)
        )


def selection_of(query: Mapping[str, str]) -> RowSelection:
    """Read a query; raise WrongQueryError if it is invalid."""
    strangers = sorted(query.keys() - PARAMETERS.keys())
    if strangers:
        known = ", ".join(PARAMETERS)
        raise WrongQueryError(f"{strangers[0]!r:.80}: unknown parameter; use {known}")
    limit = query.get("limit")
    if limit is not None and not (limit.isascii() and limit.isdigit() and len(limit) <= MAX_DIGITS):
        raise WrongQueryError(f"limit must be a whole number of at most {MAX_DIGITS} digits")
    return RowSelection(
        service=query.get("service"),
        pool=query.get("pool"),
        instance=query.get("instance"),
        verdict=query.get("verdict"),
        limit=None if limit is None else int(limit),
    )
