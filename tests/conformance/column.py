"""What the suite asks of a pool: one column of the table, and a pool of it for each cell."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Options:
    """How the pool of a situation is set; a pool without overflow may open `keep + overflow`."""

    keep: int = 2
    overflow: int = 1
    pre_ping: bool = False
    recycle_s: float | None = None


@dataclass(frozen=True, slots=True)
class Truth:
    """What is out and idle by the pool library's own word; None where it does not tell."""

    used: int | None
    idle: int

    def agrees(self, used: float, idle: float) -> bool:
        return self.idle == idle and self.used in (None, used)


class PoolUnderTest(Protocol):
    """A pool as its users use it. Synchronous ones await nothing, so that no loop is needed."""

    timed_out: type[BaseException]
    errors: tuple[type[Exception], ...]

    async def open(self, dsn: str, options: Options) -> None:
        """Make the pool; `dsn` is libpq's URI."""

    async def close(self) -> None:
        """End the pool and its connections."""

    def truth(self) -> Truth | None:
        """Return the library's own numbers; None where it keeps none."""

    def block(self) -> AbstractAsyncContextManager[Any]:
        """Take a connection for a `with` block."""

    async def take(self, timeout_s: float) -> Any:
        """Take a connection; raise `timed_out` where none is free for so long."""

    async def use(self, handle: Any, statement: str) -> None:
        """Run a statement; raise one of `errors` where the connection is broken."""

    async def give_back(self, handle: Any) -> None:
        """Return a connection, in whatever state it is."""

    async def invalidate(self, handle: Any) -> None:
        """Declare a connection that is out to be broken."""

    async def invalidate_softly(self, handle: Any) -> None:
        """Have a connection replaced before its next use."""

    async def detach(self, handle: Any) -> None:
        """Take a connection out of the pool for good."""

    async def dispose(self) -> None:
        """Start over with no connection, while some are out."""

    async def after_fork(self) -> None:
        """Do in a forked child what the library's documentation demands."""


class SessionInUse(Protocol):
    """A session as its users use it."""

    async def use(self, statement: str) -> None:
        """Run a statement."""

    async def commit(self) -> None:
        """End the transaction."""

    async def close(self) -> None:
        """Give the connection back."""

    def is_busy(self) -> bool:
        """Tell whether a statement runs."""


class SessionMaker(Protocol):
    """An engine with sessions."""

    def session(self, *, by_thread: bool = False) -> SessionInUse:
        """Return a session, or the one that each thread has."""


class Collection(Enum):
    """What the library does with a connection that is collected without a return."""

    HEALS = "the pool has its place again"
    LOSES_PLACE = "the pool counts its place as used for ever"
    NEVER = "the pool itself keeps it from being collected"


@dataclass(frozen=True, slots=True)
class Column:
    """One pool class. `lacks` says why a situation cannot be; `differs`, what is counted instead.

    Both are by the names of situations.
    """

    name: str
    title: str
    make: Callable[[], PoolUnderTest]
    is_async: bool
    has_one: bool = False
    """Whether a thread gets the same connection again while it has it out."""
    collection: Collection = Collection.HEALS
    sessions: bool = False
    """Whether its pools are `SessionMaker` too."""
    lacks: Mapping[str, str] = field(default_factory=dict)
    differs: Mapping[str, str] = field(default_factory=dict)
