"""Withhold the sessions of databases and roles that may not be shown: they are only counted."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from enum import StrEnum

from poolscope_exporter.core.checks.model import CheckId, ConfigCheck, Result
from poolscope_exporter.core.judging.situation import PoolAssessment, Situation, Withheld
from poolscope_exporter.core.judging.verdicts import Blocker, Judgement
from poolscope_exporter.core.judging.views import ServerView
from poolscope_exporter.core.linking.destination import configured_end
from poolscope_exporter.core.linking.link import Link
from poolscope_exporter.core.model.checkouts import Checkout, CheckoutKey
from poolscope_exporter.core.model.endpoints import has_address
from poolscope_exporter.core.model.servers import ConfiguredServer


def shown_only(situation: Situation, servers: Sequence[ConfiguredServer]) -> Situation:
    """Return the part of the situation that may be shown; the rest is only counted in it.

    What cannot be told to be showable is withheld.
    """
    if not any(server.withholds_some for server in servers):
        return situation
    judgements = [j for j in situation.judgements if _may_show(j, servers)]
    hidden = [j for j in situation.judgements if not _may_show(j, servers)]
    # A link says whose a pool is, which its own words need not.
    foreign = {j.checkout.pool for j in hidden if isinstance(j.link, Link)}
    pools = [s for s in situation.pools if s.pool not in foreign and _may_name(s, servers)]
    nameable = {judgement.checkout.key for judgement in judgements}
    return replace(
        situation,
        judgements=tuple(_without_foreign_blockers(each, nameable) for each in judgements),
        pools=tuple(pools),
        servers=tuple(_without_foreign_name(view, servers) for view in situation.servers),
        withheld=Withheld(len(hidden), len(situation.pools) - len(pools)),
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


def _may_name(state: PoolAssessment, servers: Sequence[ConfiguredServer]) -> bool:
    pool = state.pool
    ours = _candidates(Checkout(pool, id=0, age_s=0.0), servers)
    return all(each.shows_database(pool.database) for each in ours)


def _candidates(
    checkout: Checkout, servers: Sequence[ConfiguredServer]
) -> Sequence[ConfiguredServer]:
    """Return the servers that the checkout may be of: by its addresses, or else any of them."""
    ends = [end for end in (checkout.peer, configured_end(checkout)) if end]
    matches = [s for s in servers if any(has_address(s.addresses, end) for end in ends)]
    return matches or servers


def _without_foreign_blockers(judgement: Judgement, nameable: Iterable[CheckoutKey]) -> Judgement:
    def shown(blocker: Blocker) -> Blocker:
        is_nameable = blocker.checkout is None or blocker.checkout.key in nameable
        return blocker if is_nameable else Blocker(blocker.pid, None)

    return replace(judgement, blocked_by=tuple(map(shown, judgement.blocked_by)))


def _without_foreign_name(view: ServerView, servers: Iterable[ConfiguredServer]) -> ServerView:
    """Return the view without the name of a role or database whose limit is the tightest."""
    room = view.headroom
    ours = [each for each in servers if each.server == view.server]
    if room is None or room.tightest == "server":
        return view
    may = [s.shows_role(room.name) if room.tightest == "role" else s.shows_database(room.name)
           for s in ours]  # fmt: skip
    return view if all(may) else replace(view, headroom=replace(room, name=""))


class Role(StrEnum):
    """Whether the exporter hears a server's whole fleet, or its own pod alone."""

    STANDALONE = "standalone"
    SIDECAR = "sidecar"


def of_own_pod(situation: Situation) -> Situation:
    """Return the situation without what describes a whole server: another exporter tells that.

    A server of which several exporters told would have every session as many times.
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
        )
        for view in situation.servers
    )
    pools = tuple(map(_without_sum, situation.pools))
    return replace(situation, servers=tuple(views), pools=pools)


def _without_sum(state: PoolAssessment) -> PoolAssessment:
    return replace(state, checks=tuple(map(_unsure, state.checks)))


def _unsure(check: ConfigCheck) -> ConfigCheck:
    """Return the sum over all processes as unknown where a pod's share of it is not too much."""
    if check.check_id is not CheckId.C7 or check.result is Result.WARN:
        return check
    cure = "a sidecar hears its own pod alone: ask the exporter of the server"
    return replace(check, result=Result.UNKNOWN, cure=cure)
