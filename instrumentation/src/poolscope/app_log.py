"""Write poolscope's lines into the log of the application: with the cure, once an hour at most."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from poolscope.clock import monotonic

HOUR_S: Final = 3600.0

MOST_KINDS: Final = 5
"""Most lines of one message in an hour, if it has several kinds: pools, lines or endpoints."""

logger = logging.getLogger("poolscope")


@dataclass(frozen=True, slots=True)
class Message:
    """A line for the log: its level, the event with its numbers, and the next step of the reader.

    `text` and `cure` have places for the arguments. In an application without logging settings,
    Python prints a line from WARNING on to stderr, without the name of the logger. If
    `is_wanted`, a setting asks for every line, so no hour limits them.
    """

    level: int
    text: str
    cure: str
    between: str = ". "
    is_wanted: bool = False

    @property
    def line(self) -> str:
        """Return the whole line; it begins with the name of its sender."""
        return f"poolscope: {self.text}{self.between}{self.cure}"


class AppLog:
    """The lines of one process; of each kind of a message there is at most one in an hour."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._written_at_s: dict[tuple[Message, str], float] = {}

    def write_line(
        self, message: Message, *arguments: object, kind: str = "", error: bool = False
    ) -> None:
        """Write a message, unless it is limited and this kind was written in the last hour.

        With `error`, the traceback of the error that is handled now follows.
        """
        since_s = self._clock() - HOUR_S
        written = {key: at for key, at in self._written_at_s.items() if at > since_s}
        self._written_at_s = written
        kinds = [each for each, _ in written if each == message]
        if not message.is_wanted:
            if (message, kind) in written or len(kinds) >= MOST_KINDS:
                return
            written[message, kind] = self._clock()
        logger.log(message.level, message.line, *arguments, exc_info=error)


LEAK: Final = Message(
    logging.WARNING,
    "a connection of pool %s was apparently not returned (%s): taken at %s, route %s, held %s",
    "Return it on every path: take it in a `with` block, or return it in `finally`",
)
MORE_LEAKS: Final = Message(
    logging.WARNING,
    "%d more connections were apparently not returned",
    "The exporter's page lists them, with the lines that took them",
)
TIMEOUTS: Final = Message(
    logging.WARNING,
    "%s",
    "  Shorten the uses at the lines above, or raise the maximum of the pool; the exporter's page "
    "shows the statement of each holder",
    between="\n",
)
HELD: Final = Message(
    logging.WARNING,
    "%s",
    "  Return the connection before the slow call, or raise POOLSCOPE_LOG_HELD_AFTER_S",
    between="\n",
    is_wanted=True,
)
MORE_HELD: Final = Message(
    logging.WARNING,
    "%d more connections are held as long",
    "The exporter's page lists them, with the lines that took them",
    is_wanted=True,
)
INHERITED: Final = Message(
    logging.WARNING,
    "process %d uses a connection that another process opened before a fork: pool=%s backend pid "
    "%s, taken at %s. Each process may get the other's results",
    "In the child (post_fork of gunicorn, for example) call engine.dispose(close=False), or open "
    "the psycopg_pool or asyncpg pool there",
)
SEVERAL_POOLS: Final = Message(
    logging.INFO,
    "%d pools on database %s in this process, shown as %s",
    'poolscope.name_pool(engine, "…") names them, or POOLSCOPE_POOL_NAMES="%s=…" without code',
)
HOOK_FAILED: Final = Message(
    logging.WARNING,
    "an internal error, so some metrics are incomplete: %s",
    "Your application is not affected; please report this",
)
POOLS_REFUSED: Final = Message(
    logging.WARNING,
    "more pools than POOLSCOPE_MAX_POOLS: %d not watched",
    "Make one engine for each database, or raise the limit",
)
GREENLETS: Final = Message(
    logging.WARNING,
    "poolscope cannot distinguish the greenlets of %s: it does not report nested checkouts and "
    "evidence thread_idle for threads",
    "Patch the standard library (gevent.monkey.patch_all(), eventlet.monkey_patch()) before you "
    "import poolscope",
)
DUPLICATE_METRIC: Final = Message(
    logging.WARNING,
    "%s publishes %s beside poolscope: sums will be wrong",
    "Switch the metric off in poolscope with POOLSCOPE_METRICS_OFF, or disable the other "
    "instrumentation with OTEL_PYTHON_DISABLED_INSTRUMENTATIONS",
)
REJECTED: Final = Message(
    logging.WARNING,
    "%s did not keep all of a push: %s",
    "docs/receiver.md explains each reason and its limit",
)
ACCEPTED_WITH_WARNING: Final = Message(
    logging.WARNING,
    "%s accepted a push with a warning: %s",
    "docs/receiver.md explains each warning",
)
EXPORTER_AWAY: Final = Message(
    logging.INFO,
    "the exporter is away, totals are kept: %s",
    "If it should run, check POOLSCOPE_ENDPOINT and the exporter",
)
EXPORTER_BACK: Final = Message(
    logging.INFO,
    "the exporter is back: %s",
    "Nothing to do: the totals are complete",
)
PUSH_FAILED: Final = Message(
    logging.ERROR,
    "a push failed, the next one follows",
    "Your application is not affected; please report this",
)
SWITCHED_OFF: Final = Message(
    logging.ERROR,
    "poolscope is off: %s",
    "The application runs without poolscope until you correct this",
)
NOT_DETACHED: Final = Message(
    logging.ERROR,
    "the pools could not be released: %s",
    "Your application is not affected; please report this",
)
