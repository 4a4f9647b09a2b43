"""Put together what applications and servers say into one picture of the moment."""

from collections.abc import Sequence
from dataclasses import replace

from poolscope_exporter.core.capacity.demand import NOWHERE, Demand, SharedLimit, demands
from poolscope_exporter.core.capacity.headroom import potential
from poolscope_exporter.core.capacity.idle_timeouts import IdleSource, IdleTimeout, tightest
from poolscope_exporter.core.checks.rules import PoolChecks
from poolscope_exporter.core.fleet.fleet import Fleet, oldest_first
from poolscope_exporter.core.fleet.held_list import CheckoutReport
from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers
from poolscope_exporter.core.judging.diagnosis import PoolDiagnosis, diagnose
from poolscope_exporter.core.judging.diagnosis_window import DiagnosisWindows
from poolscope_exporter.core.judging.pool_evidence import Destination
from poolscope_exporter.core.judging.situation import PoolAssessment, Situation
from poolscope_exporter.core.judging.verdicts import Judgement, judge
from poolscope_exporter.core.judging.views import BouncerView, ServerView
from poolscope_exporter.core.linking.confirmation import (
    Confirmations,
    Confirmed,
    State,
    Unseen,
)
from poolscope_exporter.core.linking.destination import choose_place, choose_session_server
from poolscope_exporter.core.linking.link import Link, NoLink, Unlinked, pid_defect
from poolscope_exporter.core.linking.link_history import LinkHistory
from poolscope_exporter.core.linking.through_pgbouncer import client_route
from poolscope_exporter.core.model.checkouts import Checkout, Pool
from poolscope_exporter.core.model.pgbouncers import Bouncer, BouncerServer
from poolscope_exporter.core.model.servers import ConfiguredServer, LocatedServer

_View = ServerView | BouncerView | NoLink


class _Views:
    """The configured servers and bouncers, by the checkouts whose connections go to them."""

    def __init__(self, servers: Sequence[ServerView], bouncers: Sequence[BouncerView]) -> None:
        self._views = {view.server: view for view in servers}
        self._was_reached = any(view.identity for view in servers)
        self._servers = [_located(view) for view in servers]
        self._bouncers = {view.bouncer: view for view in bouncers}
        self._known = [view.known for view in bouncers if view.known]

    def view_of(self, checkout: Checkout) -> ServerView | BouncerView | NoLink:
        """Return the server or the bouncer of a checkout, or why it has none."""
        place = choose_place(checkout, self._servers, self._known)
        if isinstance(place, Bouncer):
            return self._bouncers[place.name]
        return self._view_of(place)

    def behind(self, connection: BouncerServer, bouncer: str) -> ServerView | NoLink:
        """Return the server that a bouncer's connection goes to, or why none can be asked."""
        return self._view_of(choose_session_server(connection, bouncer, self._servers))

    def by_name(self, link: Link) -> ServerView | BouncerView | None:
        """Return what a link led to first; None where it is not configured now."""
        if link.bouncer:
            return self._bouncers.get(link.bouncer)
        return self._views.get(link.server)

    def is_up(self, server: str | None) -> bool:
        """Return whether a server answers; what names none depends on none."""
        return server is None or (server in self._views and self._views[server].up)

    def _view_of(self, place: LocatedServer | NoLink) -> ServerView | NoLink:
        if not isinstance(place, NoLink):
            return self._views[place.server]
        return self._never_reached() if self._views and not self._was_reached else place

    def _never_reached(self) -> ServerView | NoLink:
        # Nothing yet says whose a checkout is; with a single server there is only one candidate.
        views = list(self._views.values())
        return views[0] if len(views) == 1 else NoLink(Unlinked.SERVER_DOWN, None)


def _located(view: ServerView) -> LocatedServer:
    return view.identity or view.configured or ConfiguredServer(view.server)


def assess(
    fleet: Fleet,
    confirmations: Confirmations,
    servers: Sequence[ServerView],
    now_s: float,
    bouncers: Sequence[BouncerView] = (),
    *,
    proxy_idle_timeout_s: float | None = None,
    checks: PoolChecks | None = None,
    windows: DiagnosisWindows | None = None,
) -> Situation:
    """Judge every held checkout, oldest first; diagnose every pool, and check how it is set up."""
    configured = proxy_idle_timeout_s and IdleTimeout(IdleSource.CONFIGURED, proxy_idle_timeout_s)
    views = _Views(servers, bouncers)
    judgements = _judge_all(fleet, confirmations, views, now_s)
    by_pool: dict[Pool, list[Judgement]] = {}
    for judgement in judgements:
        by_pool.setdefault(judgement.checkout.pool, []).append(judgement)
    pool_views = [
        (pool, numbers, _view_of(pool, by_pool.get(pool, []), views, confirmations.link_history))
        for pool, numbers in sorted(fleet.pools(now_s).items(), key=lambda item: item[0])
    ]
    wanted = demands((_shared_limit(view), numbers) for _, numbers, view in pool_views)
    checks, windows = checks or PoolChecks(), windows or DiagnosisWindows()
    windows.drop_others([pool for pool, _, _ in pool_views])
    pools = [
        _pool_state(
            pool=pool,
            numbers=numbers,
            diagnosis=windows.settle(
                pool,
                _diagnose(pool, numbers, by_pool.get(pool, []), view),
                numbers.pending or 0,
                now_s,
            ),
            view=view,
            timeouts=_timeouts(view, configured or None),
            demand=wanted.get(_shared_limit(view), NOWHERE),
            checks=checks,
            last=confirmations.link_history.last_link(pool),
        )
        for pool, numbers, view in pool_views
    ]
    instances = tuple(fleet.instances(now_s))
    return Situation(
        judgements=tuple(judgements),
        pools=tuple(pools),
        servers=tuple(servers),
        instances=instances,
        taken_at_s=now_s,
        bouncers=tuple(
            replace(each, potential_clients=_potential(each, pools)) for each in bouncers
        ),
        configured_idle=configured or None,
    )


def _judge_all(
    fleet: Fleet, confirmations: Confirmations, views: _Views, now_s: float
) -> list[Judgement]:
    held = oldest_first(fleet, now_s)
    states = [_state(reported.checkout, confirmations, views) for reported in held]
    holders = _holders(held, states)
    return [
        judge(
            reported,
            state,
            now_s,
            confirmations.link_history.is_proven(reported.checkout.pool),
            holders,
        )
        for reported, state in zip(held, states, strict=True)
    ]


def _state(checkout: Checkout, confirmations: Confirmations, views: _Views) -> State | NoLink:
    """Return what is known of the checkout's session, or why nobody can be asked."""
    view = views.view_of(checkout)
    if isinstance(view, NoLink):
        return view
    if isinstance(view, BouncerView):
        return _state_behind(view, checkout, confirmations, views)
    if defect := pid_defect(checkout.backend_pid):
        return NoLink(defect, view.server)
    # What a server said before it went down may be true no longer.
    if not view.up:
        return NoLink(Unlinked.SERVER_DOWN, view.server)
    state = confirmations.confirmed_or_waiting(checkout.key)
    return NoLink(Unlinked.NOT_SAMPLED, view.server) if isinstance(state, Unseen) else state


def _state_behind(
    view: BouncerView, checkout: Checkout, confirmations: Confirmations, views: _Views
) -> State | NoLink:
    """Return what is known of a checkout behind a bouncer, or why it, or its server, is silent."""
    if not view.up or view.known is None:
        return NoLink(Unlinked.POOLER_DOWN, None, view.bouncer)
    route = client_route(checkout, view.known)
    if isinstance(route, BouncerServer):
        server = views.behind(route, view.bouncer)
        if isinstance(server, NoLink):
            return server
        if not server.up:
            return NoLink(Unlinked.SERVER_DOWN, server.server, view.bouncer)
    state = confirmations.confirmed_or_waiting(checkout.key)
    if isinstance(state, Unseen):
        return NoLink(Unlinked.NOT_SAMPLED, None, view.bouncer)
    if not views.is_up(state.outcome.server):
        return NoLink(Unlinked.SERVER_DOWN, state.outcome.server, view.bouncer)
    return state


def _holders(
    held: Sequence[CheckoutReport], states: Sequence[State | NoLink]
) -> dict[tuple[str, int], Checkout]:
    links = [
        (reported.checkout, state.outcome)
        for reported, state in zip(held, states, strict=True)
        if isinstance(state, Confirmed) and isinstance(state.outcome, Link)
    ]
    return {(link.server, link.session.pid): checkout for checkout, link in links}


def _view_of(
    pool: Pool, judgements: Sequence[Judgement], views: _Views, link_history: LinkHistory
) -> _View:
    """Return what a pool's connections lead to first, or why that is not known."""
    checkouts = [judgement.checkout for judgement in judgements if judgement.checkout.peer]
    if checkouts:
        return views.view_of(checkouts[0])
    # Where nothing is held, the configured address alone names the server, or else the last link.
    view, last = views.view_of(Checkout(pool, id=0, age_s=0.0)), link_history.last_link(pool)
    return views.by_name(last) or view if isinstance(view, NoLink) and last else view


def _server_of(view: _View, last: Link | None) -> str | None:
    """Return the server that has the sessions; behind a bouncer, the one that the last link saw."""
    if isinstance(view, ServerView):
        return view.server
    if isinstance(view, BouncerView) and last and last.bouncer == view.bouncer:
        return last.server
    return None


def _shared_limit(view: _View) -> SharedLimit:
    return SharedLimit() if isinstance(view, NoLink) else view.shared_limit


def _timeouts(view: _View, configured: IdleTimeout | None) -> tuple[IdleTimeout, ...]:
    timeouts = [configured] if configured else []
    if isinstance(view, BouncerView):
        timeouts.append(view.idle_timeout)
    elif isinstance(view, ServerView) and view.proxy_idle_timeout_s:
        timeouts.append(IdleTimeout(IdleSource.CONFIGURED, view.proxy_idle_timeout_s))
    return tuple(timeouts)


def _pool_state(
    *,
    pool: Pool,
    numbers: PoolNumbers,
    diagnosis: PoolDiagnosis,
    view: _View,
    timeouts: tuple[IdleTimeout, ...],
    demand: Demand,
    checks: PoolChecks,
    last: Link | None,
) -> PoolAssessment:
    return PoolAssessment(
        pool=pool,
        numbers=numbers,
        diagnosis=diagnosis,
        checks=checks.check_pool(numbers, timeouts, demand),
        proxy_idle=tightest(timeouts),
        server=_server_of(view, last),
        bouncer=view.bouncer if isinstance(view, BouncerView) else None,
    )


def _diagnose(
    pool: Pool,
    numbers: PoolNumbers,
    judgements: Sequence[Judgement],
    view: _View,
) -> PoolDiagnosis:
    if isinstance(view, BouncerView):
        destination = Destination(view.bouncer, is_paused=bool(view.paused))
        # Its pools of server connections may well be busy: who finds them so waits, and says so.
        return diagnose(numbers, judgements, view.free_clients, destination)
    if isinstance(view, ServerView) and view.is_full:
        return diagnose(numbers, judgements, 0)
    room = view.headroom if isinstance(view, ServerView) and view.up else None
    if room is None:
        return diagnose(numbers, judgements, None)
    sessions = [j.link.session for j in judgements if isinstance(j.link, Link)]
    roles = {session.user for session in sessions if session.user}
    databases = {session.database for session in sessions if session.database}
    databases.add(pool.database)
    return diagnose(numbers, judgements, room.free_for(roles, databases))


def _potential(view: BouncerView, pools: Sequence[PoolAssessment]) -> int | None:
    leading = [state.numbers for state in pools if state.bouncer == view.bouncer]
    return potential(leading) if leading else None
