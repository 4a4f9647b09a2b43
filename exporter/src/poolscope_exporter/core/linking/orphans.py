"""Find orphans: sessions that belonged to a process and outlived it on the server."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from poolscope_exporter.core.fleet.fleet import InstanceState
from poolscope_exporter.core.fleet.retention import COUNTER_RETENTION_S
from poolscope_exporter.core.linking.link import Link, LinkLevel
from poolscope_exporter.core.model.checkouts import Instance, Pool
from poolscope_exporter.core.model.sessions import Census, Session

ORPHAN_AFTER_S: Final = 10.0
"""The time for which a session may outlive its process, until the server notices."""

MAX_CLAIMS = 20_000
MAX_WITNESSES = 8

Service = tuple[str, str]
"""Namespace and name."""

_SessionKey = tuple[str, int, float]
"""Server, PID and start, because a PID alone does not identify a session."""


@dataclass(frozen=True, slots=True)
class Witness:
    """The attributes that a server reports for the sessions to which a pool was linked."""

    server: str
    client_address: str
    user: str | None
    database: str | None


@dataclass(slots=True)
class _Claim:
    """The owner of a session; `left_at_s` is when its process was gone, None while it lives.

    With `is_replaced`, another process now uses the instance id of the gone one.
    """

    instance: Instance
    witness: Witness
    left_at_s: float | None = None
    is_replaced: bool = False


class Orphans:
    """The sessions of processes, each identified by its PID and start, never by its PID alone.

    A session belongs to a process that was linked to it. It also belongs to a process that lists
    its PID, if the same pool was linked before from the same address, role and database. So
    sessions of programs without poolscope have no owner and are never reported. A session that
    begins a statement after its process last pushed has a live client, and is no orphan.
    """

    def __init__(self) -> None:
        self._witnesses: dict[Pool, dict[Witness, None]] = {}
        self._claims: dict[_SessionKey, _Claim] = {}
        self._found: dict[str, frozenset[_SessionKey]] = {}

    def note_session(self, pool: Pool, link: Link) -> None:
        """Record a session to which a checkout of the pool was linked directly."""
        client, start_s = link.session.client, link.session.backend_start_s
        # Behind a pooler, the client is the pooler, which serves all applications.
        if client is None or start_s is None or link.level is LinkLevel.PGBOUNCER:
            return
        session = link.session
        witness = Witness(link.server, client.address, session.user, session.database)
        known = self._witnesses.setdefault(pool, {})
        if len(known) < MAX_WITNESSES:
            known[witness] = None
        self._claim((link.server, session.pid, start_s), pool.instance, witness)

    def note_restart(self, instance: Instance, now_s: float) -> None:
        """Record that a process is gone and that another one now uses its instance id."""
        for claim in self._claims.values():
            if claim.instance == instance and claim.left_at_s is None:
                claim.left_at_s, claim.is_replaced = now_s, True
        for pool in [pool for pool in self._witnesses if pool.instance == instance]:
            del self._witnesses[pool]

    def client_addresses(self, server: str) -> frozenset[str]:
        """Return the client addresses to search for orphans, in the server's spelling."""
        claimed = (claim.witness for claim in self._claims.values())
        known = (witness for found in self._witnesses.values() for witness in found)
        return frozenset(w.client_address for w in (*claimed, *known) if w.server == server)

    def record_census(
        self,
        census: Census,
        pids: Mapping[Pool, frozenset[int]],
        states: Iterable[InstanceState],
        now_s: float,
    ) -> None:
        """Process all sessions from the addresses; `pids` are the PIDs that live processes list."""
        self._note_gone(states, now_s)
        present = dict(_by_key(census))
        owners = self._owners(census.server, pids)
        listed = frozenset().union(*pids.values())
        for key, session in present.items():
            if session.pid in listed:
                self._owned(key, session, owners)
        self._drop(census.server, present.keys())
        self._found[census.server] = frozenset(
            key
            for key, session in present.items()
            if session.pid not in listed and self._is_orphan(key, session, census.taken_at_s)
        )

    def discard_census(self, server: str) -> None:
        """Record that the server does not show its sessions."""
        self._found.pop(server, None)

    def count_by_service(self, server: str) -> dict[Service, int] | None:
        """Return the number of orphans of each service with a link, or None if unknown."""
        if server not in self._found:
            return None
        claims = [claim for key, claim in self._claims.items() if key[0] == server]
        linked = [
            pool.instance
            for pool, witnesses in self._witnesses.items()
            if any(witness.server == server for witness in witnesses)
        ]
        counts = {_service(i): 0 for i in (*linked, *(claim.instance for claim in claims))}
        for key in self._found[server]:
            if claim := self._claims.get(key):
                counts[_service(claim.instance)] += 1
        return counts

    def _claim(self, key: _SessionKey, instance: Instance, witness: Witness) -> None:
        if key in self._claims or len(self._claims) < MAX_CLAIMS:
            self._claims[key] = _Claim(instance, witness)

    def _owners(
        self, server: str, pids: Mapping[Pool, frozenset[int]]
    ) -> dict[tuple[int, Witness], Instance]:
        return {
            (pid, witness): pool.instance
            for pool, of_pool in pids.items()
            for witness in self._witnesses.get(pool, ())
            if witness.server == server
            for pid in of_pool
        }

    def _owned(
        self, key: _SessionKey, session: Session, owners: Mapping[tuple[int, Witness], Instance]
    ) -> None:
        assert session.client is not None
        witness = Witness(key[0], session.client.address, session.user, session.database)
        owner = owners.get((session.pid, witness))
        if owner:
            self._claim(key, owner, witness)

    def _note_gone(self, states: Iterable[InstanceState], now_s: float) -> None:
        """Record since when each process is gone; drop old processes' attributes."""
        known = {state.instance: state for state in states}
        for claim in self._claims.values():
            if not claim.is_replaced:
                claim.left_at_s = _gone_at_s(known.get(claim.instance), now_s, claim.left_at_s)
        self._witnesses = {p: ws for p, ws in self._witnesses.items() if p.instance in known}

    def _drop(self, server: str, present: Iterable[_SessionKey]) -> None:
        alive = set(present)
        self._claims = {
            key: claim for key, claim in self._claims.items() if key[0] != server or key in alive
        }

    def _is_orphan(self, key: _SessionKey, session: Session, at_s: float) -> bool:
        claim = self._claims.get(key)
        if claim is None or claim.left_at_s is None:
            return False
        age_s = float("inf") if session.query_age_s is None else session.query_age_s
        # A session that began a statement since then has a live client, even if it does not push.
        is_abandoned = at_s - age_s <= claim.left_at_s
        return is_abandoned and at_s >= claim.left_at_s + ORPHAN_AFTER_S


def _by_key(census: Census) -> Iterator[tuple[_SessionKey, Session]]:
    for session in census.sessions:
        if session.backend_start_s is not None and session.client is not None:
            yield (census.server, session.pid, session.backend_start_s), session


def _gone_at_s(state: InstanceState | None, now_s: float, noted_s: float | None) -> float | None:
    """Return when a process was surely gone, or None while it lives.

    `noted_s` is the earlier result.

    It may have lived until its next push was due.
    """
    if state is None:
        return now_s - COUNTER_RETENTION_S if noted_s is None else noted_s
    if state.is_live:
        return None
    return now_s - state.last_push_age_s + (0.0 if state.ended else state.interval_s)


def _service(instance: Instance) -> Service:
    return instance.namespace, instance.name
