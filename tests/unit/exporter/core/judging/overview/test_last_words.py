"""A process that stops pushing without an end stays known, with its pools as judged last."""

from dataclasses import replace

from poolscope_exporter.core.fleet.fleet import InstanceState
from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers
from poolscope_exporter.core.judging.diagnosis import Diagnosis, PoolDiagnosis
from poolscope_exporter.core.judging.overview.last_words import KEPT_S, LastWords
from poolscope_exporter.core.judging.situation import PoolAssessment, Situation
from support.exporter.builders import a_pool, an_instance
from support.exporter.processes import an_instance_state

LIVE = an_instance_state({"host.name": "node-1", "process.pid": "17"})
SILENT = replace(LIVE, is_live=False, last_push_age_s=20.0)
LEAKING = PoolAssessment(a_pool(), PoolNumbers(), PoolDiagnosis(Diagnosis.LEAKING, ("why",)))


def at(now_s: float, *states: InstanceState, pools: tuple[PoolAssessment, ...] = ()) -> Situation:
    return Situation((), pools, (), states, now_s)


def fallen_silent() -> LastWords:
    words = LastWords()
    words.record_processes(at(100.0, LIVE, pools=(LEAKING,)))
    words.record_processes(at(120.0, SILENT))
    return words


def test_a_silent_process_has_its_name_its_last_push_and_its_pools() -> None:
    (silent,) = fallen_silent().silence().processes

    assert (silent.process, silent.last_push_s) == ("node-1:17", 100.0)
    assert silent.pools == (LEAKING,)


def test_it_stays_after_the_fleet_has_dropped_it_and_goes_after_an_hour() -> None:
    words = fallen_silent()
    words.record_processes(at(100.0 + KEPT_S - 1))
    assert len(words.silence().processes) == 1

    words.record_processes(at(100.0 + KEPT_S))
    assert words.silence().processes == ()


def test_it_is_no_longer_silent_when_it_pushes_again() -> None:
    words = fallen_silent()
    words.record_processes(at(130.0, LIVE, pools=(LEAKING,)))
    assert words.silence().processes == ()
    assert words.silence().is_live


def test_a_process_that_reports_its_end_is_not_silent() -> None:
    words = LastWords()
    words.record_processes(at(100.0, LIVE, pools=(LEAKING,)))
    words.record_processes(at(120.0, replace(SILENT, ended=True)))
    assert words.silence().processes == ()


def test_a_process_without_a_shown_pool_is_not_named() -> None:
    words = LastWords()
    words.record_processes(at(100.0, LIVE))
    words.record_processes(at(120.0, SILENT))
    assert words.silence().processes == ()


def test_only_the_newest_silent_processes_are_kept() -> None:
    words = LastWords(max_silent=2)
    states = [replace(LIVE, instance=an_instance(f"shop-{n}")) for n in range(4)]
    pools = tuple(replace(LEAKING, pool=a_pool(each.instance)) for each in states)
    words.record_processes(at(100.0, *states, pools=pools))
    gone = (replace(each, is_live=False, last_push_age_s=20.0 + n) for n, each in enumerate(states))
    words.record_processes(at(130.0, *gone))

    assert [each.instance.id for each in words.silence().processes] == ["shop-0", "shop-1"]


def test_whether_any_process_ever_pushed_is_remembered() -> None:
    words = LastWords()
    assert not words.silence().has_pushes
    words.record_processes(at(100.0, LIVE))
    words.record_processes(at(200.0))
    assert words.silence().has_pushes
    assert not words.silence().is_live
