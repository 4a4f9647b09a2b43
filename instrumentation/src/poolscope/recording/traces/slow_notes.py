"""Note slow waits and uses with their OpenTelemetry context, for spans and exemplars.

A hook only keeps the context as an opaque reference, with two times. It touches no OpenTelemetry
object. It does so only after a slow wait, or where a caller was blocked anyway. The pusher's thread
takes the notes within a second.
"""

from collections import deque
from typing import Any, Final, NamedTuple

from poolscope.catalogue import FailureReason, Phase
from poolscope.recording.tracing import current_context

SLOW_WAIT_S: Final = 0.05
"""Waits and uses of at least this length are noted, unless a setting gives another length."""

NOTES_LIMIT: Final = 200
"""Most notes of one kind that are kept of a pool; the newest are kept."""

PHASES_IN_A_WAIT: Final = 3
"""A wait has a place in the pool, a new connection and a check: the longest is a third or more."""


class SlowWait(NamedTuple):
    """A slow request for a connection; `failure` is None if the caller got one."""

    began_s: float
    """By `clock.monotonic`, as every time here."""
    ended_s: float
    failure: FailureReason | None
    context: Any


class PhaseWait(NamedTuple):
    """The time that one caller was blocked in one phase of its wait."""

    phase: Phase
    began_s: float
    waited_s: float
    context: Any


class SlowUse(NamedTuple):
    """A checkout that was out for long, and has ended."""

    used_s: float
    ended_s: float
    context: Any


class SlowNotes:
    """The notes of one pool; nothing is noted outside of any trace, where the context is empty."""

    __slots__ = ("phases", "slow_s", "uses", "waits")

    def __init__(self) -> None:
        self.slow_s = SLOW_WAIT_S
        self.clear_notes()

    def clear_notes(self) -> None:
        """Drop all notes: a forked child must not report waits of its parent."""
        self.waits: deque[SlowWait] = deque(maxlen=NOTES_LIMIT)
        self.phases: deque[PhaseWait] = deque(maxlen=NOTES_LIMIT)
        self.uses: deque[SlowUse] = deque(maxlen=NOTES_LIMIT)

    @property
    def has_notes(self) -> bool:
        """Return whether there is anything to take."""
        return bool(self.waits or self.phases or self.uses)

    def note_wait(
        self, began_s: float, ended_s: float, failure: FailureReason | None = None
    ) -> None:
        """Note the end of a request for a connection, if it was slow."""
        if ended_s - began_s >= self.slow_s and (context := current_context()):
            self.waits.append(SlowWait(began_s, ended_s, failure, context))

    def note_phase(self, phase: Phase, began_s: float, waited_s: float) -> None:
        """Note the end of one phase of a wait, if the wait may become slow by it."""
        if waited_s * PHASES_IN_A_WAIT >= self.slow_s and (context := current_context()):
            self.phases.append(PhaseWait(phase, began_s, waited_s, context))
