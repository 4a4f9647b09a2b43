"""Bindings: an instance id stays with the token that first used it."""

from poolscope_exporter.core.fleet.retention import COUNTER_RETENTION_S
from poolscope_exporter.receiver.instance_owners import Bindings
from support.builders import an_instance

OWNERS = frozenset({"checkout", "billing"})


def test_an_instance_stays_with_who_spoke_first() -> None:
    bindings = Bindings()

    assert bindings.admits(an_instance(), "checkout", OWNERS, 0.0)
    assert not bindings.admits(an_instance(), "billing", OWNERS, 1.0)
    assert bindings.admits(an_instance("shop-2"), "billing", OWNERS, 1.0)
    assert bindings.admits(an_instance(), "checkout", OWNERS, 2.0)


def test_what_is_refused_does_not_prolong_a_binding() -> None:
    bindings = Bindings()
    bindings.admits(an_instance(), "checkout", OWNERS, 0.0)

    assert not bindings.admits(an_instance(), "billing", OWNERS, COUNTER_RETENTION_S)
    assert bindings.admits(an_instance(), "billing", OWNERS, COUNTER_RETENTION_S + 0.1)


def test_a_token_that_was_taken_away_holds_nothing() -> None:
    bindings = Bindings()
    bindings.admits(an_instance(), "checkout", OWNERS, 0.0)

    assert bindings.admits(an_instance(), "billing", {"billing"}, 1.0)
    assert not bindings.admits(an_instance(), "checkout", OWNERS, 2.0)


def test_who_brings_ever_new_ids_sets_nobody_elses_free() -> None:
    bindings = Bindings(max_bound=3)
    bindings.admits(an_instance("mine"), "checkout", OWNERS, 0.0)

    for number in range(100):
        assert bindings.admits(an_instance(str(number)), "billing", OWNERS, 1.0)

    assert not bindings.admits(an_instance("mine"), "billing", OWNERS, 1.0)
    assert not bindings.admits(an_instance("99"), "checkout", OWNERS, 1.0)
    assert bindings.admits(an_instance("0"), "checkout", OWNERS, 1.0)
