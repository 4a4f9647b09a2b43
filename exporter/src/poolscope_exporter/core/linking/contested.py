"""Find the checkouts that must give way to others that are linked to the same session.

A session serves one connection. If two connections have one session, at least one link is wrong.
Either a backend PID was reused behind an address translation, or a sender lists a checkout that it
does not hold.
"""

from collections import defaultdict
from collections.abc import Iterable

from poolscope_exporter.core.linking.link import Link, LinkLevel
from poolscope_exporter.core.model.checkouts import Checkout, CheckoutKey

_Session = tuple[str, int, float | None]
"""Server, backend PID, start of the session by the server's clock."""


def contested(links: Iterable[tuple[Checkout, Link]]) -> frozenset[CheckoutKey]:
    """Return the checkouts with a link that another connection disproves, or may disprove.

    A link by age gives way to a link by address or through PgBouncer. Two links by age are both in
    doubt. Two links through PgBouncer hold: it gives one server connection to many clients in
    turn, and their samples have different times.
    """
    by_session: dict[_Session, list[tuple[Checkout, Link]]] = defaultdict(list)
    for checkout, link in links:
        session = link.session
        by_session[link.server, session.pid, session.backend_start_s].append((checkout, link))
    return frozenset(
        checkout.key
        for claims in by_session.values()
        if len(claims) > 1
        for checkout, link in claims
        if _is_disputed(checkout, link, claims)
    )


def _is_disputed(checkout: Checkout, link: Link, claims: list[tuple[Checkout, Link]]) -> bool:
    if link.level is not LinkLevel.AGE:
        return False  # the server, or PgBouncer, named the socket of this connection
    return any(not _is_one_connection(claimant, checkout) for claimant, _ in claims)


def _is_one_connection(one: Checkout, other: Checkout) -> bool:
    """Return whether two checkouts have the same socket: one process, or one forked from it."""
    if one.key == other.key:
        return True
    return one.local is not None and one.local == other.local
