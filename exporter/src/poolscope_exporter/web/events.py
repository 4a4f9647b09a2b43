"""Write each change of verdict or diagnosis as one JSON line: evidence that outlives the pod.

A checkout with such a line gets one more line when it ended, and an incident gets one at its end.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from poolscope_exporter.core.fleet.process_names import ProcessNames, process_names
from poolscope_exporter.core.incidents.incident import Incident
from poolscope_exporter.core.judging.diagnosis import Diagnosis, PoolDiagnosis
from poolscope_exporter.core.judging.situation import PoolAssessment, Situation
from poolscope_exporter.core.judging.verdicts import Judgement, Verdict
from poolscope_exporter.core.model.checkouts import Checkout, CheckoutKey, Pool
from poolscope_exporter.web.incidents.incident_rows import incident_event
from poolscope_exporter.web.rows import (
    checkout_row,
    diagnosis_fields,
    pool_identity,
    waiter_fields,
)

Event = Mapping[str, Any]

_TRANSIENT = frozenset({Verdict.UNCONFIRMED})
_UNREMARKABLE = frozenset({Verdict.WORKING, Verdict.UNKNOWN})
"""Verdicts that are not reported as the first of a checkout; later, they end a finding."""

_NOT_YET_NEWS = frozenset({Diagnosis.HEALTHY, Diagnosis.UNKNOWN})

_PLACE_FIELDS = (
    "service",
    "service_namespace",
    "service_instance_id",
    "process",
    "pool",
    "checkout_id",
    "route",
    "code_file",
    "code_line",
    "code_function",
)

_FIELDS = (
    *_PLACE_FIELDS,
    "verdict",
    "previous",
    "reason",
    "evidence",
    "age_s",
    "backend_pid",
    "server_state",
    "link",
    "trace_id",
    "now",
    "blocked_by",
)

_END_FIELDS = (
    *_PLACE_FIELDS,
    "previous",
    "ended_by",
    "age_s",
    "backend_pid",
    "trace_id",
)

MAX_MISSING: Final = 10_000
"""The most checkouts that are gone from the lists while it is not known whether they ended."""


class EndedBy(StrEnum):
    """The reason why a checkout counts as ended.

    With `application`, a complete list of its pool lacks it. With `process_end`, its process ended.
    With `silence`, its process was dropped after it had not pushed for long, so the end is a guess.
    """

    APPLICATION = "application"
    PROCESS_END = "process_end"
    SILENCE = "silence"


@dataclass(frozen=True, slots=True)
class _LoggedDiagnosis:
    """The last diagnosis of a pool; `is_probable` is True if it was never confirmed."""

    diagnosis: Diagnosis
    is_probable: bool


@dataclass(frozen=True, slots=True)
class _LoggedCheckout:
    """The last verdict of a checkout; `is_logged` is True if a line reported one.

    The name of its `process` is stored, because a process that was dropped has none.
    """

    verdict: Verdict
    judgement: Judgement
    process: str
    is_logged: bool


class _Presence:
    """The part of a situation that shows whether a checkout which is not listed has ended."""

    def __init__(self, situation: Situation) -> None:
        self._states = {state.instance: state for state in situation.instances}
        self._complete = {
            state.pool
            for state in situation.pools
            if state.numbers.held_total is not None
            and state.numbers.held_total == state.numbers.listed_total
        }

    def end_of(self, checkout: Checkout) -> EndedBy | None:
        """Return why an unlisted checkout ended; None if that is not known."""
        state = self._states.get(checkout.pool.instance)
        if state is None:
            return EndedBy.SILENCE
        if state.ended:
            return EndedBy.PROCESS_END
        is_complete = state.is_live and checkout.pool in self._complete
        return EndedBy.APPLICATION if is_complete else None


class Events:
    """The last verdict of each held checkout and the last diagnosis of each pool."""

    def __init__(self) -> None:
        self._checkouts: dict[CheckoutKey, _LoggedCheckout] = {}
        self._diagnoses: dict[Pool, _LoggedDiagnosis] = {}

    def lines(
        self, situation: Situation, timestamp: str, ended: Iterable[Incident] = ()
    ) -> list[str]:
        """Return a line of JSON for every change since the last call, and every ended incident."""
        events = (*self.changes(situation), *map(incident_event, ended))
        return [json.dumps({"time": timestamp, **event}) + "\n" for event in events]

    def changes(self, situation: Situation) -> list[Event]:
        """Return the changes since the last call, and store the present state."""
        known, names = self._checkouts, process_names(situation.instances)
        return [
            *self._new_verdicts(situation.judgements, names),
            *self._new_ends(known, _Presence(situation)),
            *self._new_diagnoses(situation.pools, names),
        ]

    def _new_verdicts(
        self, judgements: Iterable[Judgement], names: ProcessNames
    ) -> Iterator[Event]:
        known, self._checkouts = self._checkouts, {}
        for judgement in judgements:
            logged = known.get(judgement.checkout.key)
            previous = logged.verdict if logged else None
            verdict = previous if judgement.verdict in _TRANSIENT else judgement.verdict
            if verdict is None:
                continue
            is_news = verdict is not previous and (
                previous is not None or verdict not in _UNREMARKABLE
            )
            was_logged = logged is not None and logged.is_logged
            self._checkouts[judgement.checkout.key] = _LoggedCheckout(
                verdict, judgement, _process_of(judgement, names), is_news or was_logged
            )
            if is_news:
                yield _verdict_event(judgement, previous, names)

    def _new_ends(
        self, known: Mapping[CheckoutKey, _LoggedCheckout], presence: _Presence
    ) -> Iterator[Event]:
        """Yield the ends of checkouts that a line reported; keep those with an unknown end."""
        missing = [key for key, logged in known.items() if logged.is_logged]
        missing = [key for key in missing if key not in self._checkouts]
        for key in missing[-MAX_MISSING:]:
            logged = known[key]
            ended_by = presence.end_of(logged.judgement.checkout)
            if ended_by is None:
                self._checkouts[key] = logged
            else:
                yield _end_event(logged, ended_by)

    def _new_diagnoses(
        self, pools: Iterable[PoolAssessment], names: ProcessNames
    ) -> Iterator[Event]:
        known, self._diagnoses = self._diagnoses, {}
        for state in pools:
            previous = known.get(state.pool)
            logged = _latch(state.diagnosis, previous)
            self._diagnoses[state.pool] = logged
            is_news = previous is not None or logged.diagnosis not in _NOT_YET_NEWS
            if logged != previous and is_news:
                yield _diagnosis_event(state, previous.diagnosis if previous else None, names)


def _latch(found: PoolDiagnosis, previous: _LoggedDiagnosis | None) -> _LoggedDiagnosis:
    """Return the state to store: a diagnosis that was confirmed once stays confirmed.

    Between a poll and the next push, the same diagnosis is only probable again. Without this, a
    lasting incident would write a line for every poll.
    """
    is_same = previous is not None and previous.diagnosis is found.diagnosis
    was_probable = previous is None or not is_same or previous.is_probable
    return _LoggedDiagnosis(found.diagnosis, found.is_probable and was_probable)


def _process_of(judgement: Judgement, names: ProcessNames) -> str:
    instance = judgement.checkout.pool.instance
    return names.get(instance, instance.id)


def _verdict_event(judgement: Judgement, previous: Verdict | None, names: ProcessNames) -> Event:
    row = {**checkout_row(judgement, names), "previous": previous}
    return {"event": "verdict", **{name: row[name] for name in _FIELDS}}


def _end_event(logged: _LoggedCheckout, ended_by: EndedBy) -> Event:
    """Return the event of an end; `age_s` is the age when the checkout was last judged."""
    instance = logged.judgement.checkout.pool.instance
    row = {
        **checkout_row(logged.judgement, {instance: logged.process}),
        "previous": logged.verdict,
        "ended_by": ended_by,
    }
    return {"event": "checkout_ended", **{name: row[name] for name in _END_FIELDS}}


def _diagnosis_event(
    state: PoolAssessment, previous: Diagnosis | None, names: ProcessNames
) -> Event:
    return {
        "event": "diagnosis",
        **pool_identity(state.pool, names),
        "previous": previous,
        **diagnosis_fields(state.diagnosis),
        "pending": state.numbers.pending,
        **waiter_fields(state.numbers.waiters),
    }
