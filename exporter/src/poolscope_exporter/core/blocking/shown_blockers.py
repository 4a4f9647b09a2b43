"""Withhold the names in lock queues that may not be shown; PIDs, states and ages are kept."""

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

from poolscope_exporter.core.blocking.lock_parties import LockParty
from poolscope_exporter.core.blocking.root_blockers import RootBlocker
from poolscope_exporter.core.model.checkouts import Checkout, CheckoutKey, Pool
from poolscope_exporter.core.model.servers import ConfiguredServer
from poolscope_exporter.core.model.sessions import Session


def may_show_session(
    server: str | None, session: Session, servers: Iterable[ConfiguredServer]
) -> bool:
    """Return whether the settings of its server allow a session's names to be shown."""
    ours = [each for each in servers if each.server == server]
    return all(s.shows_database(session.database) and s.shows_role(session.user) for s in ours)


def shown_blockers(
    blockers: Iterable[RootBlocker],
    servers: Sequence[ConfiguredServer],
    checkouts: AbstractSet[CheckoutKey],
    pools: AbstractSet[Pool],
) -> Iterator[RootBlocker]:
    """Yield the trees in which a session may be shown, without the names of the others.

    Only these `checkouts` and `pools` may be named.
    """
    for each in blockers:
        allowed = {
            party.pid
            for party in each.parties
            if party.session and may_show_session(each.server, party.session, servers)
        }
        if allowed:
            queue = tuple(
                replace(waiter, party=_shown(waiter.party, allowed, checkouts, pools))
                for waiter in each.queue
            )
            yield replace(each, party=_shown(each.party, allowed, checkouts, pools), queue=queue)


def _shown(
    party: LockParty,
    allowed: AbstractSet[int],
    checkouts: AbstractSet[CheckoutKey],
    pools: AbstractSet[Pool],
) -> LockParty:
    if party.pid not in allowed:
        nameless = party.session and replace(
            party.session, database=None, user=None, application_name="", client=None
        )
        return LockParty(party.pid, nameless)
    is_pool_shown = party.pool in pools
    return replace(
        party,
        pool=party.pool if is_pool_shown else None,
        checkout=_nameable(party.checkout, checkouts),
        last=party.last if is_pool_shown else None,
    )


def _nameable(checkout: Checkout | None, checkouts: AbstractSet[CheckoutKey]) -> Checkout | None:
    return checkout if checkout is not None and checkout.key in checkouts else None
