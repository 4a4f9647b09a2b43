"""Convert lock queues to the rows that the API and the page share."""

from poolscope_exporter.core.blocking.lock_parties import LockParty
from poolscope_exporter.core.blocking.root_blockers import LockWaiter, RootBlocker
from poolscope_exporter.core.fleet.process_names import ProcessNames
from poolscope_exporter.core.model.lock_waits import PREPARED
from poolscope_exporter.web.rows import Row, checkout_place, pool_identity
from poolscope_exporter.web.session_rows import session_row


def root_blocker_row(blocker: RootBlocker, names: ProcessNames) -> Row:
    """Return the root of a lock queue with all sessions behind it; None is unknown."""
    return {
        "server": blocker.server,
        "kind": blocker.kind,
        **_party(blocker.party, names),
        "waiting": blocker.waiting,
        "unasked": blocker.unasked,
        "terminate": blocker.terminate,
        "queue": [_waiter(each, names) for each in blocker.queue],
    }


def _waiter(waiter: LockWaiter, names: ProcessNames) -> Row:
    return {
        **_party(waiter.party, names),
        "depth": waiter.depth,
        "behind": waiter.behind,
        "also_behind": list(waiter.others),
    }


def _party(party: LockParty, names: ProcessNames) -> Row:
    return {
        "backend_pid": None if party.pid == PREPARED else party.pid,
        "session": session_row(party.session),
        "pool": pool_identity(party.pool, names) if party.pool else None,
        "checkout": checkout_place(party.checkout, names) if party.checkout else None,
        "is_idle_in_pool": party.idle_in is not None,
        "last_checkout": checkout_place(party.last, names) if party.last else None,
    }
