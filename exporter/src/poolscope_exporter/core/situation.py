"""Put together what applications and servers say into one picture of the moment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from poolscope_exporter.core.checkouts import Checkout, Pool
from poolscope_exporter.core.confirmation import Confirmations, Confirmed, State, Unseen, key_of
from poolscope_exporter.core.diagnosis import PoolDiagnosis, diagnose
from poolscope_exporter.core.fleet import Fleet, HeardCheckout, InstanceState, PoolNumbers
from poolscope_exporter.core.headroom import Headroom
from poolscope_exporter.core.linking import Link, NoLink, Unlinked, choose_server, pid_defect
from poolscope_exporter.core.sessions import Sample, ServerIdentity, ServerLimits
from poolscope_exporter.core.verdicts import Judgement, judge


@dataclass(frozen=True, slots=True)
class ServerView:
    """What is known of one configured server; None is unknown.

    `connections` counts sessions by state, `orphans` those that outlived their process, by
    (namespace, name) of its service, `active_on_cpu` those that run and wait for nothing. `cpus`
    is a setting. `reason` says why the server is not up.
    """

    server: str
    up: bool
    reason: str | None = None
    identity: ServerIdentity | None = None
    limits: ServerLimits | None = None
    connections: Mapping[str, int] | None = None
    headroom: Headroom | None = None
    last_success_age_s: float | None = None
    sample: Sample | None = None
    orphans: Mapping[tuple[str, str], int] | None = None
    active_on_cpu: int | None = None
    cpus: float | None = None


@dataclass(frozen=True, slots=True)
class PoolState:
    """One pool: its numbers and what is the matter with it."""

    pool: Pool
    numbers: PoolNumbers
    diagnosis: PoolDiagnosis


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything that is known at `taken_at_s` (the exporter's monotonic clock)."""

    judgements: tuple[Judgement, ...]
    pools: tuple[PoolState, ...]
    servers: tuple[ServerView, ...]
    instances: tuple[InstanceState, ...]
    taken_at_s: float


class _Views:
    """The configured servers, by the checkouts whose connections go to them."""

    def __init__(self, servers: Sequence[ServerView]) -> None:
        self._views = {view.server: view for view in servers}
        self._identities = [view.identity for view in servers if view.identity]

    def of(self, checkout: Checkout) -> ServerView | NoLink:
        """Return the server of a checkout, or why it has none."""
        if self._views and not self._identities:
            return self._never_reached()
        chosen = choose_server(checkout, self._identities)
        return chosen if isinstance(chosen, NoLink) else self._views[chosen.server]

    def _never_reached(self) -> ServerView | NoLink:
        # Nothing yet says whose a checkout is; with a single server there is only one candidate.
        views = list(self._views.values())
        return views[0] if len(views) == 1 else NoLink(Unlinked.SERVER_DOWN, None)


def assess(
    fleet: Fleet, confirmations: Confirmations, servers: Sequence[ServerView], now_s: float
) -> Situation:
    """Judge every held checkout, oldest first, and diagnose every pool."""
    views = _Views(servers)
    judgements = _judge_all(fleet, confirmations, views, now_s)
    by_pool: dict[Pool, list[Judgement]] = {}
    for judgement in judgements:
        by_pool.setdefault(judgement.checkout.pool, []).append(judgement)
    pools = [
        PoolState(pool, numbers, _diagnose(pool, numbers, by_pool.get(pool, []), views))
        for pool, numbers in sorted(fleet.pools(now_s).items(), key=lambda item: item[0])
    ]
    instances = tuple(fleet.instances(now_s))
    return Situation(tuple(judgements), tuple(pools), tuple(servers), instances, now_s)


def suspects(
    fleet: Fleet, servers: Sequence[ServerIdentity], now_s: float, limit: int = 200
) -> dict[str, list[int]]:
    """Return the backend pids to look up, by server: valid, each once, of the oldest checkouts.

    `limit` is per server. A server that nobody holds a connection of is not in the answer.
    """
    found: dict[str, dict[int, None]] = {}
    for heard in _oldest_first(fleet, now_s):
        place = choose_server(heard.checkout, servers)
        pid = heard.checkout.backend_pid
        if isinstance(place, NoLink) or pid is None or pid_defect(heard.checkout):
            continue
        pids = found.setdefault(place.server, {})
        if len(pids) < limit:
            pids[pid] = None
    return {server: list(pids) for server, pids in found.items()}


def _oldest_first(fleet: Fleet, now_s: float) -> list[HeardCheckout]:
    return sorted(fleet.held(now_s), key=lambda heard: -heard.age_s(now_s))


def _judge_all(
    fleet: Fleet, confirmations: Confirmations, views: _Views, now_s: float
) -> list[Judgement]:
    held = _oldest_first(fleet, now_s)
    states = [_state(heard.checkout, confirmations, views) for heard in held]
    holders = _holders(held, states)
    return [
        judge(heard, state, now_s, confirmations.paths.is_proven(heard.checkout.pool), holders)
        for heard, state in zip(held, states, strict=True)
    ]


def _state(checkout: Checkout, confirmations: Confirmations, views: _Views) -> State | NoLink:
    """Return what is known of the checkout's session, or why no server can be asked."""
    view = views.of(checkout)
    if isinstance(view, NoLink):
        return view
    if defect := pid_defect(checkout):
        return NoLink(defect, view.server)
    # What a server said before it went down may be true no longer.
    if not view.up:
        return NoLink(Unlinked.SERVER_DOWN, view.server)
    state = confirmations.state(key_of(checkout))
    return NoLink(Unlinked.NOT_SAMPLED, view.server) if isinstance(state, Unseen) else state


def _holders(
    held: Sequence[HeardCheckout], states: Sequence[State | NoLink]
) -> dict[tuple[str, int], Checkout]:
    links = [
        (heard.checkout, state.outcome)
        for heard, state in zip(held, states, strict=True)
        if isinstance(state, Confirmed) and isinstance(state.outcome, Link)
    ]
    return {(link.server, link.session.pid): checkout for checkout, link in links}


def _diagnose(
    pool: Pool, numbers: PoolNumbers, judgements: Sequence[Judgement], views: _Views
) -> PoolDiagnosis:
    checkouts = [judgement.checkout for judgement in judgements if judgement.checkout.peer]
    # Where nothing is held, the configured address alone names the server.
    view = views.of(checkouts[0] if checkouts else Checkout(pool, id=0, age_s=0.0))
    room = view.headroom if isinstance(view, ServerView) and view.up else None
    if room is None:
        return diagnose(numbers, judgements, None)
    sessions = [j.link.session for j in judgements if isinstance(j.link, Link)]
    roles = {session.user for session in sessions if session.user}
    databases = {session.database for session in sessions if session.database}
    # The semantic conventions write "database|schema".
    databases.add(pool.db_namespace.partition("|")[0])
    return diagnose(numbers, judgements, room.free_for(roles, databases))
