"""Write lock queues as trees: the session that holds the lock, and the sessions behind it."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from poolscope_exporter.terminal.printable import printable
from poolscope_exporter.web.console.page_parts import duration
from poolscope_exporter.web.lock_answers import (
    BlockerRow,
    CheckoutPlaceRow,
    LockPartyRow,
    LockWaiterRow,
    SessionRow,
)

NOTHING: Final = "No session waits for a lock."
_UNKNOWN_PLACE: Final = "unknown line"
_STEP: Final = "   "


def blocking_lines(blockers: Sequence[BlockerRow]) -> Iterator[str]:
    """Yield the trees, each root with its statement that ends the session."""
    if not blockers:
        yield NOTHING
    for index, blocker in enumerate(blockers):
        if index:
            yield ""
        yield from map(printable, _tree(blocker))


def _tree(blocker: BlockerRow) -> Iterator[str]:
    noun = "session waits" if blocker.waiting == 1 else "sessions wait"
    more = f", perhaps {blocker.unasked} more" if blocker.unasked else ""
    yield f"{blocker.waiting} {noun} behind it{more} on {blocker.server} ({blocker.kind})"
    yield _party(blocker)
    yield from _details(blocker, _STEP)
    for waiter in blocker.queue:
        indent = _STEP * waiter.depth
        yield f"{indent}└─ {_party(waiter)}{_others(waiter)}"
        yield from _details(waiter, indent + _STEP)
    if blocker.terminate:
        yield f"to end the root session: {blocker.terminate};"


def _party(party: LockPartyRow) -> str:
    pid = "prepared transaction" if party.backend_pid is None else f"PID {party.backend_pid}"
    return f"{pid}: {_session(party.session)}"


def _session(session: SessionRow | None) -> str:
    if session is None:
        return "session unknown"
    parts = [session.state or "state unknown"]
    if session.state_age_s is not None:
        parts[0] += f" for {duration(session.state_age_s)}"
    if session.transaction_age_s is not None:
        parts.append(f"transaction {duration(session.transaction_age_s)}")
    if session.wait_event:
        parts.append(f"waits for {session.wait_event}")
    parts.append(f"role {session.role or 'unknown'}, database {session.database or 'unknown'}")
    parts.append(session.application_name or "no application_name")
    return ", ".join(parts)


def _details(party: LockPartyRow, indent: str) -> Iterator[str]:
    if party.pool is None:
        yield f"{indent}no known pool"
        return
    pool = party.pool
    idle = ", idle in the pool with a lock that was not released" if party.is_idle_in_pool else ""
    yield f"{indent}pool {pool.pool} of {pool.service}, {pool.process}{idle}"
    checkout = party.checkout or party.last_checkout
    if checkout is not None:
        yield indent + ("" if party.checkout else "last user: ") + _place(checkout)


def _place(checkout: CheckoutPlaceRow) -> str:
    file = checkout.code_file
    line = _UNKNOWN_PLACE if file is None else f"{file}:{checkout.code_line}"
    now = f", now {checkout.now.summary}" if checkout.now else ""
    return f"{checkout.route or 'no route'}, taken at {line}{now}"


def _others(waiter: LockWaiterRow) -> str:
    others: Iterable[str] = map(str, waiter.also_behind)
    return f" (also behind {', '.join(others)})" if waiter.also_behind else ""
