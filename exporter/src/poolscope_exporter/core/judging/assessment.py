"""Combine the data of applications and servers into one situation."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from poolscope_exporter.core.blocking.lock_parties import SessionAt
from poolscope_exporter.core.blocking.root_blockers import root_blockers
from poolscope_exporter.core.capacity.demand import (
    NOWHERE,
    Demand,
    LimitedPool,
    SharedLimit,
    demands,
)
from poolscope_exporter.core.capacity.headroom import potential
from poolscope_exporter.core.capacity.largest_fleet import AS_SEEN, LargestFleet
from poolscope_exporter.core.capacity.pods import PodDemand, pod_demands
from poolscope_exporter.core.capacity.recognised_proxies import recognise_proxy
from poolscope_exporter.core.capacity.room_for_pods import PoolAtLimit, room_for_pods
from poolscope_exporter.core.checks.rules import PoolChecks
from poolscope_exporter.core.fleet.fleet import Fleet, oldest_first
from poolscope_exporter.core.fleet.held_list import CheckoutReport
from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers
from poolscope_exporter.core.judging.diagnosis import PoolDiagnosis, diagnose
from poolscope_exporter.core.judging.diagnosis_window import DiagnosisWindows
from poolscope_exporter.core.judging.ended_verdicts import EndedVerdicts
from poolscope_exporter.core.judging.idle_blockers import (
    name_idle_pools,
    session_owners,
    with_sessions,
)
from poolscope_exporter.core.judging.pool_evidence import Destination
from poolscope_exporter.core.judging.server_load import (
    UNKNOWN_LOAD,
    LoadHistory,
    Plateau,
    ServerLoad,
)
from poolscope_exporter.core.judging.situation import PoolAssessment, Situation
from poolscope_exporter.core.judging.verdicts import BLOCKED_S, Judgement, Verdict, judge
from poolscope_exporter.core.judging.views import BouncerView, ServerView
from poolscope_exporter.core.linking.confirmation import (
    Confirmations,
    Confirmed,
    Pending,
    State,
    Unseen,
)
from poolscope_exporter.core.linking.contested import contested
from poolscope_exporter.core.linking.destination import choose_place, choose_session_server
from poolscope_exporter.core.linking.link import Link, NoLink, Unlinked, pid_defect
from poolscope_exporter.core.linking.link_history import LinkHistory
from poolscope_exporter.core.linking.shared_sessions import with_shared_sessions
from poolscope_exporter.core.linking.through_pgbouncer import client_route
from poolscope_exporter.core.model.checkouts import Checkout, Pool
from poolscope_exporter.core.model.endpoints import is_on_this_machine
from poolscope_exporter.core.model.idle_timeouts import IdleSource, IdleTimeout, tightest
from poolscope_exporter.core.model.lock_waits import LockWaits
from poolscope_exporter.core.model.pgbouncers import Bouncer, BouncerServer, socket_of
from poolscope_exporter.core.model.servers import ConfiguredServer, LocatedServer

_View = ServerView | BouncerView | NoLink


class _Views:
    """The configured servers and PgBouncers, found by a checkout's connection."""

    def __init__(self, servers: Sequence[ServerView], bouncers: Sequence[BouncerView]) -> None:
        self._views = {view.server: view for view in servers}
        self._was_reached = any(view.identity for view in servers)
        self._servers = [_located(view) for view in servers]
        self._bouncers = {view.bouncer: view for view in bouncers}
        self._known = [view.known for view in bouncers if view.known]

    def view_of(self, checkout: Checkout) -> ServerView | BouncerView | NoLink:
        """Return the server or PgBouncer of a checkout, or why it has none."""
        place = choose_place(checkout, self._servers, self._known)
        if isinstance(place, Bouncer):
            return self._bouncers[place.name]
        return self._view_of(place)

    def behind(self, connection: BouncerServer, bouncer: str) -> ServerView | NoLink:
        """Return the server to which a PgBouncer's connection leads, or why none can be queried."""
        return self._view_of(choose_session_server(connection, bouncer, self._servers))

    def by_name(self, link: Link) -> ServerView | BouncerView | None:
        """Return the first stop of a link; None if it is no longer configured."""
        if link.bouncer:
            return self._bouncers.get(link.bouncer)
        return self._views.get(link.server)

    def named(self, server: str | None) -> ServerView | None:
        """Return a configured server, or None."""
        return self._views.get(server) if server is not None else None

    @property
    def servers(self) -> set[str]:
        """Return the names of the configured servers."""
        return set(self._views)

    def note_loads(self, loads: LoadHistory) -> None:
        """Record how busy the servers were at their last survey."""
        for view in self._views.values():
            loads.note_on_cpu(view.server, view.active_on_cpu, view.surveyed_at_s)

    def is_up(self, server: str | None) -> bool:
        """Return whether a server answers; True for None, which depends on no server."""
        return server is None or (server in self._views and self._views[server].up)

    def _view_of(self, place: LocatedServer | NoLink) -> ServerView | NoLink:
        if not isinstance(place, NoLink):
            return self._views[place.server]
        return self._never_reached() if self._views and not self._was_reached else place

    def _never_reached(self) -> ServerView | NoLink:
        # The server of a checkout is unknown until one answers; a single server is the only
        # candidate.
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
    configured_idle: tuple[IdleTimeout, ...] = (),
    checks: PoolChecks | None = None,
    windows: DiagnosisWindows | None = None,
    ended: EndedVerdicts | None = None,
    loads: LoadHistory | None = None,
    largest: LargestFleet = AS_SEEN,
) -> Situation:
    """Judge every held checkout, oldest first; diagnose every pool, and check its configuration."""
    views = _Views(servers, bouncers)
    judged, holders = _judge_all(fleet, confirmations, views, now_s)
    listed, lock_waits = fleet.live_backend_pids(now_s), _lock_waits(servers)
    link_history = confirmations.link_history
    owners = session_owners(
        judged,
        lock_waits,
        holders,
        listed,
        server_of=lambda pool: _server_of(pool, views, link_history),
        last_of=link_history.last_checkout,
    )
    judgements = name_idle_pools(with_sessions(judged, lock_waits), listed, owners)
    seen = _look_at_pools(fleet, judgements, views, link_history, now_s)
    instances = tuple(fleet.instances(now_s))
    wanted = demands((each.limited for each in seen), largest)
    room = room_for_pods((each.at_limit for each in seen), instances)
    pods = pod_demands(((each.pool, each.numbers) for each in seen), instances)
    diagnoses = _diagnose_all(
        seen,
        views,
        windows or DiagnosisWindows(),
        ended or EndedVerdicts(),
        loads or LoadHistory(),
        now_s=now_s,
    )
    checks = checks or PoolChecks()
    pools = [
        each.assessment(
            diagnosis,
            checks,
            timeouts=_timeouts(each.pool, each.view, configured_idle),
            demand=wanted.get(each.limit, NOWHERE),
            pod=pods.get(each.pool),
        )
        for each, diagnosis in zip(seen, diagnoses, strict=True)
    ]
    return Situation(
        judgements=tuple(judgements),
        pools=tuple(pools),
        servers=tuple(replace(each, room=room.get(each.server, ())) for each in servers),
        instances=instances,
        taken_at_s=now_s,
        bouncers=tuple(
            replace(
                each,
                potential_clients=_potential(each, pools),
                room=room.get(each.bouncer, ()),
            )
            for each in bouncers
        ),
        configured_idle=configured_idle,
        blockers=root_blockers(lock_waits, owners, BLOCKED_S),
    )


@dataclass(frozen=True, slots=True)
class _SeenPool:
    """A pool with its data; `last` is its last link."""

    pool: Pool
    numbers: PoolNumbers
    judgements: Sequence[Judgement]
    view: _View
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
        return PoolAtLimit(self.limited, _free(self.pool, self.judgements, self.view))

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


def _look_at_pools(
    fleet: Fleet,
    judgements: Sequence[Judgement],
    views: _Views,
    link_history: LinkHistory,
    now_s: float,
) -> list[_SeenPool]:
    by_pool: dict[Pool, list[Judgement]] = {}
    for judgement in judgements:
        by_pool.setdefault(judgement.checkout.pool, []).append(judgement)
    known = with_shared_sessions(fleet.pools(now_s), fleet, now_s)
    return [
        _SeenPool(
            pool,
            numbers,
            own := by_pool.get(pool, []),
            _view_of(pool, own, views, link_history),
            link_history.last_link(pool),
        )
        for pool, numbers in sorted(known.items(), key=lambda item: item[0])
    ]


def _diagnose_all(
    seen: Sequence[_SeenPool],
    views: _Views,
    windows: DiagnosisWindows,
    ended: EndedVerdicts,
    loads: LoadHistory,
    *,
    now_s: float,
) -> list[PoolDiagnosis]:
    """Diagnose each pool over its window; drop the pools that are gone."""
    known = {each.pool for each in seen}
    windows.drop_others(known)
    ended.keep_pools(known)
    views.note_loads(loads)
    loads.keep_loads(known, views.servers)
    found = []
    for each in seen:
        loads.note_waiting(each.pool, each.numbers, now_s)
        plateau = loads.plateau(each.pool, each.numbers.growth, now_s)
        load = _load_of(each.pool, views.named(each.server), loads, plateau)
        diagnosis = _diagnose(each, ended.recent(each.pool, now_s), load)
        found.append(windows.settle(each.pool, diagnosis, each.numbers.pending or 0, now_s))
    return found


def _judge_all(
    fleet: Fleet, confirmations: Confirmations, views: _Views, now_s: float
) -> tuple[list[Judgement], Mapping[SessionAt, Checkout]]:
    """Return the judgement of each held checkout, and the checkouts behind linked sessions."""
    held = oldest_first(fleet, now_s)
    states = _undisputed(held, [_state(each.checkout, confirmations, views) for each in held])
    holders = _holders(held, states)
    judgements = [
        judge(
            reported,
            state,
            now_s,
            confirmations.link_history.is_proven(reported.checkout.pool),
            holders,
        )
        for reported, state in zip(held, states, strict=True)
    ]
    return judgements, holders


def _lock_waits(servers: Sequence[ServerView]) -> list[LockWaits]:
    return [view.lock_waits for view in servers if view.up and view.lock_waits]


def _server_of(pool: Pool, views: _Views, link_history: LinkHistory) -> str | None:
    """Return the server with the backend PIDs that a pool lists; PgBouncer makes them up."""
    view = _view_of(pool, [], views, link_history)
    return view.server if isinstance(view, ServerView) else None


def _undisputed(
    held: Sequence[CheckoutReport], states: Sequence[State | NoLink]
) -> list[State | NoLink]:
    """Return the states without the links that another connection disproves."""
    links = [
        (reported.checkout, state.outcome)
        for reported, state in zip(held, states, strict=True)
        if isinstance(state, Confirmed | Pending) and isinstance(state.outcome, Link)
    ]
    disputed = contested(links)
    return [
        NoLink(Unlinked.CONTESTED, state.outcome.server)
        if reported.checkout.key in disputed and isinstance(state, Confirmed | Pending)
        else state
        for reported, state in zip(held, states, strict=True)
    ]


def _state(checkout: Checkout, confirmations: Confirmations, views: _Views) -> State | NoLink:
    """Return the state of the checkout's session, or why no server can be queried."""
    view = views.view_of(checkout)
    if isinstance(view, NoLink):
        return view
    if isinstance(view, BouncerView):
        return _state_behind(view, checkout, confirmations, views)
    if defect := pid_defect(checkout.backend_pid):
        return NoLink(defect, view.server)
    # An answer from before the server went down may no longer be true.
    if not view.up:
        return NoLink(Unlinked.SERVER_DOWN, view.server)
    state = confirmations.confirmed_or_waiting(checkout.key)
    return NoLink(Unlinked.NOT_SAMPLED, view.server) if isinstance(state, Unseen) else state


def _state_behind(
    view: BouncerView, checkout: Checkout, confirmations: Confirmations, views: _Views
) -> State | NoLink:
    """Return the state of a checkout behind a PgBouncer, or why it is unknown."""
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
) -> dict[SessionAt, Checkout]:
    links = [
        (reported.checkout, state.outcome)
        for reported, state in zip(held, states, strict=True)
        if isinstance(state, Confirmed) and isinstance(state.outcome, Link)
    ]
    return {(link.server, link.session.pid): checkout for checkout, link in links}


def _view_of(
    pool: Pool, judgements: Sequence[Judgement], views: _Views, link_history: LinkHistory
) -> _View:
    """Return the first stop of a pool's connections, or why it is unknown."""
    checkouts = [judgement.checkout for judgement in judgements if judgement.checkout.peer]
    if checkouts:
        return views.view_of(checkouts[0])
    # Without a held connection, the configured address determines the server, else the last link.
    view, last = views.view_of(Checkout(pool, id=0, age_s=0.0)), link_history.last_link(pool)
    return views.by_name(last) or view if isinstance(view, NoLink) and last else view


def _timeouts(
    pool: Pool, view: _View, configured: tuple[IdleTimeout, ...]
) -> tuple[IdleTimeout, ...]:
    """Return every idle time-out on the pool's path, including a recognised proxy's unknown one."""
    timeouts = list(configured)
    if isinstance(view, BouncerView):
        timeouts.append(view.idle_timeout)
    elif isinstance(view, ServerView):
        timeouts += view.configured_idle
    if all(each.source is IdleSource.NAT for each in timeouts):
        service = recognise_proxy(pool.server_address, pool.server_port)
        if service:
            timeouts.append(IdleTimeout(IdleSource.RECOGNISED, None, service))
    return tuple(timeouts)


def _diagnose(seen: _SeenPool, ended: Counter[Verdict], load: ServerLoad) -> PoolDiagnosis:
    pool, numbers, judgements, view = seen.pool, seen.numbers, seen.judgements, seen.view
    if isinstance(view, BouncerView):
        # Its server connections may all be busy: then clients wait there, which is reported
        # separately.
        destination = _through(view, pool, judgements)
        return diagnose(numbers, judgements, view.free_clients, destination, ended, load=load)
    return diagnose(numbers, judgements, _room(pool, judgements, view), ended=ended, load=load)


def _load_of(
    pool: Pool, view: ServerView | None, loads: LoadHistory, plateau: Plateau | None
) -> ServerLoad:
    """Return the load of a pool's server; unknown if it does not answer."""
    if view is None or not view.up:
        return UNKNOWN_LOAD
    share = loads.cpu_share(view.server, view.cpus, pool)
    return ServerLoad(share, view.cpus, view.active_on_cpu, plateau)


def _through(view: BouncerView, pool: Pool, judgements: Sequence[Judgement]) -> Destination:
    """Return how a PgBouncer serves the pool: its database is paused, or its clients queue.

    If PgBouncer has a held connection of the pool, its database and user names are used.
    """
    clients = view.known.sample.clients if view.known and view.known.sample else {}
    sockets = [socket_of(j.checkout.local) for j in judgements if j.checkout.local]
    found = [clients[socket] for socket in sockets if socket in clients]
    wanted = {(client.database, client.user) for client in found} or {(pool.database, "")}
    queue = view.full_queue(wanted)
    return Destination(
        view.bouncer,
        is_paused=any(database in view.paused for database, _ in wanted),
        queued=queue.waiting if queue else 0,
        longest_queued_s=queue.longest_s if queue else 0.0,
    )


def _free(pool: Pool, judgements: Sequence[Judgement], view: _View) -> int | None:
    """Return how many more connections of this pool its server or PgBouncer admits, if known."""
    if isinstance(view, BouncerView):
        return view.free_clients
    return _room(pool, judgements, view)


def _room(pool: Pool, judgements: Sequence[Judgement], view: _View) -> int | None:
    """Return how many more sessions of this pool its server admits, or None if unknown."""
    if not isinstance(view, ServerView):
        return None
    if view.is_full:
        return 0
    if not view.up or view.headroom is None:
        return None
    sessions = [j.link.session for j in judgements if isinstance(j.link, Link)]
    roles = {session.user for session in sessions if session.user}
    databases = {session.database for session in sessions if session.database}
    return view.headroom.free_for(roles, databases | {pool.database})


def _potential(view: BouncerView, pools: Sequence[PoolAssessment]) -> int | None:
    leading = [state.numbers for state in pools if state.bouncer == view.bouncer]
    return potential(leading) if leading else None
