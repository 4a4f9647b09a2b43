"""Tell each change of verdict or diagnosis in one JSON line: evidence that outlives the pod."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from poolscope_exporter.core.judging.diagnosis import Diagnosis
from poolscope_exporter.core.judging.situation import PoolAssessment, Situation
from poolscope_exporter.core.judging.verdicts import Judgement, Verdict
from poolscope_exporter.core.model.checkouts import CheckoutKey, Pool
from poolscope_exporter.web.rows import checkout_row, pool_identity

Event = Mapping[str, Any]

_TRANSIENT = frozenset({Verdict.UNCONFIRMED})
_UNREMARKABLE = frozenset({Verdict.WORKING, Verdict.UNKNOWN})
"""Verdicts that are no news as the first one of a checkout; later they end a finding."""

_NOT_YET_NEWS = frozenset({Diagnosis.HEALTHY, Diagnosis.UNKNOWN})

_FIELDS = (
    "service",
    "service_namespace",
    "service_instance_id",
    "pool",
    "checkout_id",
    "route",
    "code_file",
    "code_line",
    "code_function",
    "verdict",
    "previous",
    "reason",
    "evidence",
    "age_s",
    "backend_pid",
    "server_state",
    "link",
    "trace_id",
)


class Events:
    """The last verdict of each held checkout and the last diagnosis of each pool."""

    def __init__(self) -> None:
        self._verdicts: dict[CheckoutKey, Verdict] = {}
        self._diagnoses: dict[Pool, Diagnosis] = {}

    def lines(self, situation: Situation, timestamp: str) -> list[str]:
        """Return a line of JSON for every change since the last call."""
        return [
            json.dumps({"time": timestamp, **event}) + "\n" for event in self.changes(situation)
        ]

    def changes(self, situation: Situation) -> list[Event]:
        """Return the changes since the last call, and remember where things stand."""
        return [
            *self._new_verdicts(situation.judgements),
            *self._new_diagnoses(situation.pools),
        ]

    def _new_verdicts(self, judgements: Iterable[Judgement]) -> Iterator[Event]:
        known, self._verdicts = self._verdicts, {}
        for judgement in judgements:
            key = judgement.checkout.key
            previous = known.get(key)
            verdict = previous if judgement.verdict in _TRANSIENT else judgement.verdict
            if verdict is None:
                continue
            self._verdicts[key] = verdict
            is_news = previous is not None or verdict not in _UNREMARKABLE
            if verdict is not previous and is_news:
                yield _verdict_event(judgement, previous)

    def _new_diagnoses(self, pools: Iterable[PoolAssessment]) -> Iterator[Event]:
        known, self._diagnoses = self._diagnoses, {}
        for state in pools:
            diagnosis = state.diagnosis.diagnosis
            previous = known.get(state.pool)
            self._diagnoses[state.pool] = diagnosis
            is_news = previous is not None or diagnosis not in _NOT_YET_NEWS
            if diagnosis is not previous and is_news:
                yield _diagnosis_event(state, previous)


def _verdict_event(judgement: Judgement, previous: Verdict | None) -> Event:
    row = {**checkout_row(judgement), "previous": previous}
    return {"event": "verdict", **{name: row[name] for name in _FIELDS}}


def _diagnosis_event(state: PoolAssessment, previous: Diagnosis | None) -> Event:
    return {
        "event": "diagnosis",
        **pool_identity(state.pool),
        "diagnosis": state.diagnosis.diagnosis,
        "previous": previous,
        "reasons": list(state.diagnosis.reasons),
    }
