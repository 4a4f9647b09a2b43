"""Withhold the sessions of databases and roles that may not be shown: only count them."""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from enum import StrEnum
from typing import TypeVar

from poolscope_exporter.core.blocking.shown_blockers import may_show_session, shown_blockers
from poolscope_exporter.core.checks.model import CheckId, ConfigCheck, Result
from poolscope_exporter.core.judging.situation import PoolAssessment, Situation, Withheld
from poolscope_exporter.core.judging.verdicts import Blocker, Judgement
from poolscope_exporter.core.judging.views import BouncerView, ServerView
from poolscope_exporter.core.linking.destination import configured_end
from poolscope_exporter.core.linking.link import Link
from poolscope_exporter.core.model.bouncer_traffic import BouncerTraffic
from poolscope_exporter.core.model.checkouts import Checkout, CheckoutKey, Pool
from poolscope_exporter.core.model.endpoints import has_address
from poolscope_exporter.core.model.servers import ConfiguredServer

_View = TypeVar("_View", ServerView, BouncerView)


def shown_only(situation: Situation, servers: Sequence[ConfiguredServer]) -> Situation:
    """Return the part of the situation that may be shown, with the number of withheld items.

    An item is withheld if it is not certain that it may be shown.
    """
    if not any(server.withholds_some for server in servers):
        return situation
    judgements = [j for j in situation.judgements if _may_show(j, servers)]
    hidden = [j for j in situation.judgements if not _may_show(j, servers)]
    # A link proves to which database a pool belongs; its reported name does not.
    foreign = {j.checkout.pool for j in hidden if isinstance(j.link, Link)}
    pools = [s for s in situation.pools if s.pool not in foreign and may_name_pool(s.pool, servers)]
    nameable = {judgement.checkout.key for judgement in judgements}
    shown = {state.pool for state in pools}
    return replace(
        situation,
        judgements=tuple(
            _without_foreign_blockers(each, nameable, shown, servers) for each in judgements
        ),
        pools=tuple(pools),
        servers=tuple(
            _with_room_of(_without_foreign_name(view, servers), pools) for view in situation.servers
        ),
        bouncers=tuple(
            _without_foreign_traffic(_with_room_of(view, pools), servers)
            for view in situation.bouncers
        ),
        withheld=Withheld(len(hidden), len(situation.pools) - len(pools)),
        blockers=tuple(shown_blockers(situation.blockers, servers, nameable, shown)),
        rejected=(),  # their senders may be of another database
    )


def _may_show(judgement: Judgement, servers: Sequence[ConfiguredServer]) -> bool:
    link = judgement.link
    ours: Sequence[ConfiguredServer]
    if isinstance(link, Link):
        database, role = link.session.database, link.session.user
        ours = [each for each in servers if each.server == link.server]
    else:
        database, role = judgement.checkout.pool.database, None
        named = [each for each in servers if each.server == link.server]
        ours = named or _candidates(judgement.checkout, servers)
    return all(each.shows_database(database) and each.shows_role(role) for each in ours)


def may_name_pool(pool: Pool, servers: Sequence[ConfiguredServer]) -> bool:
    """Return whether a pool may be shown, by the database that it reports."""
    ours = _candidates(Checkout(pool, id=0, age_s=0.0), servers)
    return all(each.shows_database(pool.database) for each in ours)


def _candidates(
    checkout: Checkout, servers: Sequence[ConfiguredServer]
) -> Sequence[ConfiguredServer]:
    """Return the servers to which the checkout may belong: by its addresses, else all."""
    ends = [end for end in (checkout.peer, configured_end(checkout)) if end]
    matches = [s for s in servers if any(has_address(s.addresses, end) for end in ends)]
    return matches or servers


def _without_foreign_blockers(
    judgement: Judgement,
    nameable: AbstractSet[CheckoutKey],
    pools: AbstractSet[Pool],
    servers: Sequence[ConfiguredServer],
) -> Judgement:
    def shown(blocker: Blocker) -> Blocker:
        if blocker.checkout is not None and blocker.checkout.key not in nameable:
            return Blocker(blocker.pid, None)
        if blocker.idle_in is not None and blocker.idle_in not in pools:
            return Blocker(blocker.pid, None)
        if blocker.session and not may_show_session(
            judgement.link.server, blocker.session, servers
        ):
            return Blocker(blocker.pid, None)
        return blocker

    return replace(judgement, blocked_by=tuple(map(shown, judgement.blocked_by)))


def _without_foreign_name(view: ServerView, servers: Iterable[ConfiguredServer]) -> ServerView:
    """Return the view without the name of a hidden role or database with the tightest limit."""
    room = view.headroom
    ours = [each for each in servers if each.server == view.server]
    if room is None or room.tightest == "server":
        return view
    may = [s.shows_role(room.name) if room.tightest == "role" else s.shows_database(room.name)
           for s in ours]  # fmt: skip
    return view if all(may) else replace(view, headroom=replace(room, name=""))


def _without_foreign_traffic(view: BouncerView, servers: Sequence[ConfiguredServer]) -> BouncerView:
    """Return the view with the use of only those databases and users that every server shows."""
    if view.traffic is None:
        return view
    pools, totals = view.traffic.pools, view.traffic.totals
    shown = BouncerTraffic(
        pools=pools
        and tuple(
            each
            for each in pools
            if all(s.shows_database(each.database) and s.shows_role(each.user) for s in servers)
        ),
        totals=totals
        and tuple(each for each in totals if all(s.shows_database(each.database) for s in servers)),
    )
    return replace(view, traffic=shown)


def _with_room_of(view: _View, pools: Iterable[PoolAssessment]) -> _View:
    """Return the view with the room of only those services that have a shown pool."""
    shown = {(s.pool.instance.namespace, s.pool.instance.name) for s in pools}
    room = tuple(each for each in view.room if (each.namespace, each.service) in shown)
    return replace(view, room=room)


class Role(StrEnum):
    """The part of a server's fleet that pushes to the exporter: all of it, or only its own pod."""

    STANDALONE = "standalone"
    SIDECAR = "sidecar"


_WHO_JUDGES_THE_SUM = (
    "this sidecar receives the pushes of its own pod only: run audit against the exporter that "
    "receives those of all pods (role standalone), which judges the sum"
)


def of_own_pod(situation: Situation) -> Situation:
    """Return the situation without descriptions of a whole server, which another exporter reports.

    If several exporters reported one server, every session would be counted several times.
    """
    views = (
        replace(
            view,
            limits=None,
            connections=None,
            headroom=None,
            orphans=None,
            active_on_cpu=None,
            configured=None,
            room=(),
            owners=None,
            session_groups=None,
        )
        for view in situation.servers
    )
    pools = tuple(map(_without_sum, situation.pools))
    bouncers = tuple(replace(view, room=(), traffic=None) for view in situation.bouncers)
    # A lock queue of other pods' sessions describes the server, unless a session of this pod waits.
    blockers = tuple(each for each in situation.blockers if any(p.pool for p in each.parties))
    return replace(
        situation, servers=tuple(views), bouncers=bouncers, pools=pools, blockers=blockers
    )


def _without_sum(state: PoolAssessment) -> PoolAssessment:
    return replace(state, checks=tuple(map(_left_to_another_exporter, state.checks)))


def _left_to_another_exporter(check: ConfigCheck) -> ConfigCheck:
    """Return C7 as judged elsewhere, unless the pools of this pod alone are too many.

    The pod's share is a lower bound of the sum over all processes, and is shown as one. A plain
    number below the limit would look like a proof.
    """
    if check.check_id is not CheckId.C7 or check.result is Result.WARN:
        return check
    share = None if check.value is None else f"at least {check.value}, in this pod"
    return replace(check, result=Result.ELSEWHERE, value=share, cure=_WHO_JUDGES_THE_SUM)
