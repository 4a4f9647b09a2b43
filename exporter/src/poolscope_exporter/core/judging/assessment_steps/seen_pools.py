"""Collect the data of each pool: its numbers, its judgements and where its connections lead."""

from collections.abc import Sequence
from dataclasses import dataclass

from poolscope_exporter.core.capacity.demand import Demand, LimitedPool, SharedLimit
from poolscope_exporter.core.capacity.pods import PodDemand
from poolscope_exporter.core.capacity.recognised_proxies import recognise_proxy
from poolscope_exporter.core.capacity.room_for_pods import PoolAtLimit
from poolscope_exporter.core.checks.rules import PoolChecks
from poolscope_exporter.core.fleet.fleet import Fleet
from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers
from poolscope_exporter.core.judging.assessment_steps.view_finder import View, ViewFinder
from poolscope_exporter.core.judging.diagnosis import PoolDiagnosis
from poolscope_exporter.core.judging.situation import PoolAssessment
from poolscope_exporter.core.judging.verdicts import Judgement
from poolscope_exporter.core.judging.views import BouncerView, ServerView
from poolscope_exporter.core.linking.link import Link, NoLink
from poolscope_exporter.core.linking.link_history import LinkHistory
from poolscope_exporter.core.linking.shared_sessions import with_shared_sessions
from poolscope_exporter.core.model.checkouts import Pool
from poolscope_exporter.core.model.endpoints import is_on_this_machine
from poolscope_exporter.core.model.idle_timeouts import IdleSource, IdleTimeout, tightest


@dataclass(frozen=True, slots=True)
class SeenPool:
    """A pool with its data; `last` is its last link."""

    pool: Pool
    numbers: PoolNumbers
    judgements: Sequence[Judgement]
    view: View
    last: Link | None

    @property
    def limit(self) -> SharedLimit:
        """Return the limit that it shares with all pools of the same server or PgBouncer."""
        return SharedLimit() if isinstance(self.view, NoLink) else self.view.shared_limit

    @property
    def limited(self) -> LimitedPool:
        """Return the pool with the limit that it shares."""
        return LimitedPool(self.pool, self.numbers, self.limit)

    @property
    def at_limit(self) -> PoolAtLimit:
        """Return the pool with the number of further connections under its limit."""
        return PoolAtLimit(self.limited, self.free)

    @property
    def free(self) -> int | None:
        """Return how many more connections its server or PgBouncer admits, or None if unknown."""
        view = self.view
        return view.free_clients if isinstance(view, BouncerView) else self._free_sessions

    @property
    def _free_sessions(self) -> int | None:
        view = self.view
        if not isinstance(view, ServerView):
            return None
        if view.is_full:
            return 0
        if not view.up or view.headroom is None:
            return None
        sessions = [each.link.session for each in self.judgements if isinstance(each.link, Link)]
        roles = {session.user for session in sessions if session.user}
        databases = {session.database for session in sessions if session.database}
        return view.headroom.free_for(roles, databases | {self.pool.database})

    @property
    def server(self) -> str | None:
        """Return the server with its sessions; behind a PgBouncer, that of the last link."""
        if isinstance(self.view, ServerView):
            return self.view.server
        if self.bouncer is not None and self.last and self.last.bouncer == self.bouncer:
            return self.last.server
        return None

    @property
    def bouncer(self) -> str | None:
        """Return the PgBouncer that its connections reach first, if any."""
        return self.view.bouncer if isinstance(self.view, BouncerView) else None

    def all_timeouts(self, configured: tuple[IdleTimeout, ...]) -> tuple[IdleTimeout, ...]:
        """Return the idle time-outs on its path, with the unknown one of a recognised proxy."""
        timeouts = list(configured)
        if isinstance(self.view, BouncerView):
            timeouts.append(self.view.idle_timeout)
        elif isinstance(self.view, ServerView):
            timeouts += self.view.configured_idle
        if all(each.source is IdleSource.NAT for each in timeouts):
            service = recognise_proxy(self.pool.server_address, self.pool.server_port)
            if service:
                timeouts.append(IdleTimeout(IdleSource.RECOGNISED, None, service))
        return tuple(timeouts)

    def assessment(
        self,
        diagnosis: PoolDiagnosis,
        checks: PoolChecks,
        *,
        timeouts: tuple[IdleTimeout, ...],
        demand: Demand,
        pod: PodDemand | None,
    ) -> PoolAssessment:
        """Return the pool with its diagnosis and its checks."""
        view = self.view
        pooling = view.pooling_for(self.pool.database) if isinstance(view, BouncerView) else None
        return PoolAssessment(
            pool=self.pool,
            numbers=self.numbers,
            diagnosis=diagnosis,
            checks=checks.check_pool(
                self.numbers,
                timeouts,
                demand,
                pooling,
                pod=pod,
                is_local=is_on_this_machine(self.pool.server_address),
            ),
            proxy_idle=tightest(timeouts),
            server=self.server,
            bouncer=self.bouncer,
            pod=pod,
        )


def look_at_pools(
    fleet: Fleet,
    judgements: Sequence[Judgement],
    finder: ViewFinder,
    link_history: LinkHistory,
    now_s: float,
) -> list[SeenPool]:
    """Return all pools in order, each with its own judgements."""
    by_pool: dict[Pool, list[Judgement]] = {}
    for judgement in judgements:
        by_pool.setdefault(judgement.checkout.pool, []).append(judgement)
    known = with_shared_sessions(fleet.pools(now_s), fleet, now_s)

    def seen(pool: Pool, numbers: PoolNumbers) -> SeenPool:
        own, last = by_pool.get(pool, []), link_history.last_link(pool)
        return SeenPool(pool, numbers, own, finder.view_of_pool(pool, own, last), last)

    return [seen(*each) for each in sorted(known.items(), key=lambda item: item[0])]
