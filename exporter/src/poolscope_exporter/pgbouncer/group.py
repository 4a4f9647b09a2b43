"""Poll every PgBouncer behind the configured names, and follow the changes in DNS."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from poolscope_exporter.core.correlator import Correlator
from poolscope_exporter.core.judging.views import BouncerView
from poolscope_exporter.core.model.endpoints import Endpoint
from poolscope_exporter.pgbouncer.console import PgBouncerConsole
from poolscope_exporter.pgbouncer.discovery import Resolve, console_at, is_name, resolve
from poolscope_exporter.pgbouncer.poller import BouncerPoller, Console
from poolscope_exporter.polling.dsn import Dsn
from poolscope_exporter.polling.errors import Reason, ServerUnavailableError
from poolscope_exporter.polling.record import PollReport
from poolscope_exporter.polling.waiting import wait_for_any

RESOLVE_S = 30.0
"""The time between two resolutions of a name."""

RETRY_S = 5.0
"""The same while a name has never been resolved, so that its PgBouncers are found soon."""

MISSES = 2
"""The number of resolutions in a row that must lack a PgBouncer before it is dropped."""

_log = logging.getLogger("poolscope_exporter")


@dataclass(slots=True)
class _Member:
    """One PgBouncer that is polled; `address` is None if its target is not a host name."""

    poller: BouncerPoller
    address: str | None
    missed: int = 0
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


@dataclass(slots=True)
class _Target:
    """One configured console; `trouble` explains why the last resolution of its name failed."""

    dsn: Dsn
    is_name: bool
    members: dict[str, _Member] = field(default_factory=dict)
    trouble: str | None = "not resolved yet"
    told: str | None = None
    resolutions: Counter[str] = field(default_factory=lambda: Counter({"ok": 0, "failed": 0}))


class BouncerGroup:
    """Every configured PgBouncer: one poller each, started and ended with its address.

    The function `at` makes the console for an address of a name.
    """

    def __init__(
        self,
        dsns: Sequence[Dsn],
        correlator: Correlator,
        interval_s: float,
        look_up: Resolve = resolve,
        at: Callable[[Dsn, str], Console] = console_at,
    ) -> None:
        self._correlator = correlator
        self._interval_s = interval_s
        self._look_up = look_up
        self._at = at
        self._targets = [_Target(dsn, is_name(dsn)) for dsn in dsns]
        for target in self._targets:
            name, ends = str(target.dsn), _ends(target.dsn)
            if target.is_name:
                self._correlator.bouncer_added(name, ends)
            else:
                console = PgBouncerConsole(target.dsn)
                self._add(target, console, console.known_addresses(), None)

    @property
    def pollers(self) -> list[BouncerPoller]:
        """Return the poller of every known PgBouncer."""
        return [member.poller for target in self._targets for member in target.members.values()]

    def wake(self) -> None:
        """Request a poll of every PgBouncer at once."""
        for poller in self.pollers:
            poller.loop.wake()

    async def refresh(self) -> None:
        """Poll the PgBouncers that checkouts go through; wait a moment for the result."""
        await asyncio.gather(*(poller.refresh() for poller in self.pollers))

    async def run(self, stop: asyncio.Event) -> None:
        """Poll all of them, and resolve their names again and again, until `stop` is set."""
        try:
            while not stop.is_set():
                await self.expand()
                self._start()
                await wait_for_any(self._pause_s(), stop)
        finally:
            await self._end()

    async def expand(self) -> None:
        """Resolve every name once: add new addresses, drop addresses that are gone."""
        await asyncio.gather(*(self._resolve(each) for each in self._targets if each.is_name))

    def views(self, now_s: float) -> list[BouncerView]:
        """Return the current data of each PgBouncer, and of each name without one."""
        unresolved = [
            BouncerView(str(target.dsn), False, target.trouble)
            for target in self._targets
            if not target.members
        ]
        return [poller.bouncer_view(now_s) for poller in self.pollers] + unresolved

    def reports(self, now_s: float, wall_s: float) -> list[PollReport]:
        """Return the reports of the polls of each PgBouncer."""
        return [poller.poll_report(now_s, wall_s) for poller in self.pollers]

    def resolutions(self) -> Iterator[tuple[str, str, int]]:
        """Return the results of the resolutions by name: name, result, count."""
        for target in self._targets:
            if target.is_name:
                for result, count in target.resolutions.items():
                    yield str(target.dsn), result, count

    async def _resolve(self, target: _Target) -> None:
        try:
            found = await self._look_up(target.dsn.host, int(target.dsn.port))
        except ServerUnavailableError as exc:
            self._unresolved(target, str(exc))
        except Exception:  # noqa: BLE001 - if the loop ended, no PgBouncer would be found again
            _log.exception(
                "resolution of %s failed with an internal error; please report it", target.dsn
            )
            self._unresolved(target, "internal error, see the log")
        else:
            target.resolutions["ok"] += 1
            target.trouble = target.told = None
            self._take_in(target, found)
            self._drop(target, found)

    def _unresolved(self, target: _Target, message: str) -> None:
        # The PgBouncers stay: a failed resolver gives no information about them.
        target.resolutions["failed"] += 1
        target.trouble = f"{Reason.NAME_RESOLUTION}: {message}"
        if target.told != message:
            _log.warning("PgBouncer %s: %s", target.dsn, message)
            target.told = message

    def _take_in(self, target: _Target, found: Iterable[str]) -> None:
        known = {member.address for member in target.members.values()}
        for address in found:
            end = Endpoint(address, int(target.dsn.port))
            # Another name has the same PgBouncer already, which is polled only once.
            if address in known or end in self._ends_but_of(target):
                continue
            console = self._at(target.dsn, address)
            self._correlator.bouncer_removed(str(target.dsn))
            self._add(target, console, _ends(target.dsn) | {end}, address)
            _log.info("PgBouncer %s was found", console.name)

    def _add(
        self, target: _Target, console: Console, ends: frozenset[Endpoint], address: str | None
    ) -> None:
        self._correlator.bouncer_added(console.name, ends)
        poller = BouncerPoller(console, self._correlator, self._interval_s)
        target.members[console.name] = _Member(poller, address)

    def _drop(self, target: _Target, found: Sequence[str]) -> None:
        for name, member in list(target.members.items()):
            member.missed = 0 if member.address in found else member.missed + 1
            if member.missed >= MISSES:
                del target.members[name]
                member.stop.set()
                self._correlator.bouncer_removed(name)
                _log.info("PgBouncer %s is no longer in DNS; its polls stop", name)
        if not target.members:
            target.trouble = (
                f"{Reason.NAME_RESOLUTION}: the name has no address that is not already polled"
            )
            self._correlator.bouncer_added(str(target.dsn), _ends(target.dsn))

    def _ends_but_of(self, target: _Target) -> set[Endpoint]:
        return {
            Endpoint(member.address or other.dsn.host, int(other.dsn.port))
            for other in self._targets
            if other is not target
            for member in other.members.values()
        }

    def _start(self) -> None:
        for target in self._targets:
            for member in target.members.values():
                if member.task is None:
                    member.task = asyncio.create_task(member.poller.loop.run(member.stop))

    def _pause_s(self) -> float:
        return RESOLVE_S if all(target.members for target in self._targets) else RETRY_S

    async def _end(self) -> None:
        members = [member for target in self._targets for member in target.members.values()]
        for member in members:
            member.stop.set()
        await asyncio.gather(*(member.task for member in members if member.task))


def _ends(dsn: Dsn) -> frozenset[Endpoint]:
    return frozenset({Endpoint(dsn.host, int(dsn.port))})
