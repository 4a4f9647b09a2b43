"""Find processes that share one session: each reads answers that are meant for the others.

A backend PID alone proves nothing, because PIDs repeat across servers. The second proof is the
socket: both processes report the same local address and port. If a process lists only the PID, the
proof is the same server address. A fork stays on its host, so both must run on one host.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from poolscope.catalogue import HOST_NAME, PROCESS_PID
from poolscope_exporter.core.fleet.fleet import Fleet, InstanceState
from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers
from poolscope_exporter.core.model.checkouts import Checkout, InheritedConnection, Instance, Pool
from poolscope_exporter.core.model.endpoints import Endpoint

MAX_NAMED = 3
"""The largest number of processes to name that use one session."""

Socket = tuple[int | None, Endpoint | None]
"""A backend PID, and the client's end of the connection to it."""


def with_shared_sessions(
    pools: Mapping[Pool, PoolNumbers], fleet: Fleet, now_s: float
) -> dict[Pool, PoolNumbers]:
    """Return the pools with each connection that several processes have, and their names.

    Two processes that hold one connection prove it, even if neither has detected that it was
    forked.
    """
    held = [reported.checkout for reported in fleet.held(now_s)]
    users = _Users(pools, held, fleet.live_backend_pids(now_s), fleet.instances(now_s))
    return {
        pool: replace(numbers, inherited=found) if found else numbers
        for pool, numbers in pools.items()
        for found in [users.shared_by(pool, numbers.inherited)]
    }


class _Users:
    """The processes that have each session, as far as they report it."""

    def __init__(
        self,
        pools: Mapping[Pool, PoolNumbers],
        held: Iterable[Checkout],
        listed: Mapping[Pool, frozenset[int]],
        states: Iterable[InstanceState],
    ) -> None:
        self._resources = {state.instance: state.resource for state in states}
        self._by_socket: dict[Socket, list[Instance]] = defaultdict(list)
        self._held: dict[Pool, list[Checkout]] = defaultdict(list)
        self._listed = listed if any(numbers.inherited for numbers in pools.values()) else {}
        for pool, numbers in pools.items():
            for each in numbers.inherited:
                self._note(pool, each.backend_pid, each.local)
        for checkout in held:
            self._note(checkout.pool, checkout.backend_pid, checkout.local)
            self._held[checkout.pool].append(checkout)

    def _note(self, pool: Pool, backend_pid: int | None, local: Endpoint | None) -> None:
        if backend_pid is not None and local is not None:
            self._by_socket[backend_pid, local].append(pool.instance)

    def shared_by(
        self, pool: Pool, inherited: Sequence[InheritedConnection]
    ) -> tuple[InheritedConnection, ...]:
        """Return a pool's connections that were inherited or that another process has."""
        known = {(each.backend_pid, each.local) for each in inherited}
        others = [
            connection
            for checkout in self._held.get(pool, ())
            if (checkout.backend_pid, checkout.local) not in known
            # Few sockets are reported twice, so this avoids the work below for most checkouts.
            if len(self._by_socket.get((checkout.backend_pid, checkout.local), ())) > 1
            if (connection := self._completed(pool, _connection_of(checkout))).shared_with
        ]
        return (*(self._completed(pool, each) for each in inherited), *others)

    def _completed(self, pool: Pool, connection: InheritedConnection) -> InheritedConnection:
        others = {
            instance
            for instance in (*self._on_socket(connection), *self._listing(pool, connection))
            if instance != pool.instance and self._host_of(instance) == self._host_of(pool.instance)
        }
        names = tuple(sorted(map(self._describe, others))[:MAX_NAMED])
        return replace(connection, shared_with=names)

    def _on_socket(self, connection: InheritedConnection) -> Sequence[Instance]:
        if connection.backend_pid is None or connection.local is None:
            return ()
        return self._by_socket.get((connection.backend_pid, connection.local), ())

    def _listing(self, pool: Pool, connection: InheritedConnection) -> Iterator[Instance]:
        for other, pids in self._listed.items():
            if connection.backend_pid in pids and _server_end(other) == _server_end(pool):
                yield other.instance

    def _host_of(self, instance: Instance) -> str | None:
        return self._resources.get(instance, {}).get(HOST_NAME)

    def _describe(self, instance: Instance) -> str:
        pid, host = self._resources.get(instance, {}).get(PROCESS_PID), self._host_of(instance)
        if pid is None:
            return f"instance {instance.id}"
        return f"process {pid}" if host is None else f"process {pid} on {host}"


def _connection_of(checkout: Checkout) -> InheritedConnection:
    return InheritedConnection(
        backend_pid=checkout.backend_pid,
        local=checkout.local,
        unused_s=0.0,
        route=checkout.route,
        code_file=checkout.code_file,
        code_line=checkout.code_line,
    )


def _server_end(pool: Pool) -> tuple[str, int, str]:
    return pool.server_address, pool.server_port, pool.database
