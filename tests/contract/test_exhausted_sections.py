"""The runbook of an exhausted pool has a section for each diagnosis, with the words of the page."""

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from poolscope import catalogue
from poolscope.catalogue import ConnectErrorKind, Evidence, Phase
from poolscope_exporter.core.fleet.growth import COUNT, SUM, Growth
from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers
from poolscope_exporter.core.fleet.process_numbers import ProcessNumbers, StallHistory
from poolscope_exporter.core.judging.diagnosis import Diagnosis, PoolDiagnosis, diagnose
from poolscope_exporter.core.judging.pool_evidence import DIRECT, Destination
from poolscope_exporter.core.judging.server_load import UNKNOWN_LOAD, ServerLoad
from poolscope_exporter.core.judging.verdicts import Judgement, Verdict
from poolscope_exporter.core.linking.link import NoLink, Unlinked
from poolscope_exporter.core.model.pushes import LoopStall
from support.exporter.builders import a_checkout
from support.runbooks.commands import runbook

CALM = PoolNumbers(used=3, max=15, pending=0, held_total=3)
FULL = PoolNumbers(used=15, max=15, pending=2, held_total=15)
TEXT = runbook("PoolExhausted").path.read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"(?ms)^### (\w+)\n(.*?)(?=^### |\Z)", TEXT))


def judged(verdict: Verdict, count: int, evidence: Evidence | None = None) -> list[Judgement]:
    link = NoLink(Unlinked.NO_SERVER, None)
    reason = link.reason if verdict is Verdict.UNKNOWN else None
    one = Judgement(a_checkout(), 10.0, verdict, reason, evidence, link, confirmed=True)
    return [one] * count


def found(
    numbers: PoolNumbers,
    judgements: list[Judgement] | None = None,
    destination: Destination = DIRECT,
    load: ServerLoad = UNKNOWN_LOAD,
    **counters: float,
) -> PoolDiagnosis:
    """Return the diagnosis; `counters` grew, by the names of the catalogue's metrics."""
    grown = {(getattr(catalogue, name).name, ""): count for name, count in counters.items()}
    numbers = replace(numbers, growth=Growth({**numbers.growth.by_counter, **grown}))
    return diagnose(numbers, judgements or [], None, destination, load=load)


def errors(kind: ConnectErrorKind, count: float) -> Growth:
    return Growth({(catalogue.CONNECT_ERRORS.name, kind.value): count})


def short_uses() -> Growth:
    name = catalogue.USE_TIME.name
    uses = {(name, COUNT): 100.0, (name, SUM): 20.0, (catalogue.QUEUE_TIME.name, SUM): 30.0}
    return Growth({(catalogue.CHECKINS.name, ""): 100.0, **uses})


def stalled() -> ProcessNumbers:
    history = StallHistory()
    place = {"code_file": "shop/reports.py", "code_line": 88, "code_function": "render"}
    history.record_stalls([LoopStall(3.0, True, 3.0, "MainThread", **place)], 50.0)  # type: ignore[arg-type]
    return ProcessNumbers(history.loop_numbers())


def opening() -> PoolNumbers:
    waits = {"pending_by_phase": {Phase.CONNECT: 2}, "oldest_wait_s": {Phase.CONNECT: 1.5}}
    return replace(CALM, pending=2, **waits)  # type: ignore[arg-type]


def shown() -> Iterator[PoolDiagnosis]:
    """Yield what the page shows in each of the situations that the runbook describes."""
    refused = errors(ConnectErrorKind.REFUSED, 12.0)
    too_many = errors(ConnectErrorKind.TOO_MANY_CONNECTIONS, 5.0)
    queue = Destination("bouncer", queued=15, longest_queued_s=1.0)
    yield found(replace(FULL, growth=refused))
    yield found(replace(CALM, process=stalled()))
    yield found(replace(FULL, awaiting_thread=15))
    yield found(replace(FULL, growth=too_many))
    yield found(FULL, destination=queue)
    yield found(opening())
    yield found(FULL, INHERITED_CHECKOUTS=12.0)
    yield found(replace(FULL, held_by_waiters=15))
    yield found(FULL, judged(Verdict.LEAKED, 12, Evidence.REQUEST_FINISHED))
    yield found(FULL, judged(Verdict.BLOCKED, 14))
    yield found(FULL, judged(Verdict.SLOW_QUERY, 15))
    yield found(FULL, judged(Verdict.HELD_IDLE, 14))
    yield found(FULL, judged(Verdict.IDLE_IN_TRANSACTION, 14))
    busy = ServerLoad(cpus=8.0, cpu_share=0.94)
    yield found(replace(FULL, growth=short_uses()), load=busy)
    yield found(replace(FULL, growth=short_uses()))
    yield found(FULL)
    yield found(PoolNumbers())
    yield found(replace(FULL, pending=0), judged(Verdict.UNKNOWN, 15))
    yield found(CALM)


SHOWN = list(shown())


def quoted(section: str) -> list[str]:
    """Return the reasons that a section quotes in its first sentence."""
    [sentence] = re.findall(r"\AYou read ((?:`[^`]+`|[^`.])+)\.", section.strip())
    return [" ".join(text.split()) for text in re.findall(r"`([^`]+)`", sentence)]


def test_each_diagnosis_has_a_section_in_the_order_of_the_diagnoses() -> None:
    assert list(SECTIONS) == [str(each) for each in Diagnosis]


def test_each_diagnosis_is_among_the_situations() -> None:
    assert {each.diagnosis for each in SHOWN} == set(Diagnosis)


@pytest.mark.parametrize("diagnosis", Diagnosis)
def test_a_section_quotes_what_the_page_shows(diagnosis: Diagnosis) -> None:
    by_page = {reason for each in SHOWN if each.diagnosis is diagnosis for reason in each.reasons}
    quotes = quoted(SECTIONS[str(diagnosis)])
    assert quotes
    assert [each for each in quotes if each not in by_page] == [], by_page


@pytest.mark.parametrize("shown", SHOWN, ids=lambda shown: str(shown.diagnosis))
def test_the_first_reason_of_each_situation_is_quoted(shown: PoolDiagnosis) -> None:
    first = {reason for reason in shown.reasons if reason in quoted(SECTIONS[shown.diagnosis])}
    assert first, shown.reasons


@pytest.mark.parametrize("diagnosis", Diagnosis)
def test_a_section_gives_a_command_or_a_link_to_the_next_step(diagnosis: Diagnosis) -> None:
    section = SECTIONS[str(diagnosis)]
    is_step = r"```|\]\(\S+\.md\S*\)|`poolscope-exporter check`|event lines"
    assert re.search(is_step, section), section
