"""Name what a poller asks of a server, and of what stands before it."""

from collections.abc import Collection, Sequence
from typing import Protocol

from poolscope_exporter.core.model.sessions import Census, Sample, ServerLimits
from poolscope_exporter.postgres.rows import Survey
from poolscope_exporter.postgres.server import Arrival


class Server(Protocol):
    """What a poller asks of a server; every failure is a ServerUnavailableError."""

    name: str

    @property
    def is_connected(self) -> bool:
        """Tell whether the connection is open."""

    async def connect(self) -> None:
        """Open the connection anew."""

    async def identify(self) -> Arrival:
        """Return who the server is."""

    async def in_recovery(self) -> bool:
        """Return whether the server is a replica now."""

    async def limits(self) -> ServerLimits | None:
        """Return the server's limits, None where unknown."""

    async def look(self, pids: Sequence[int]) -> Sample:
        """Return the sessions behind the pids."""

    async def census(self, addresses: Collection[str]) -> Census | None:
        """Return the sessions from these addresses, None where unknown."""

    async def survey(self) -> Survey:
        """Return how many sessions there are, in detail."""

    async def close(self) -> None:
        """Close the connection."""


class Refreshable(Protocol):
    """What must be asked before a server is: it says which sessions to ask the server for."""

    async def refresh(self) -> None:
        """Ask it now, for a moment at most; never raises."""
