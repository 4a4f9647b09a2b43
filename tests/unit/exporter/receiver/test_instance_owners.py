"""Bindings: an instance id stays with the token that first used it."""

from poolscope_exporter.core.fleet.retention import COUNTER_RETENTION_S
from poolscope_exporter.receiver.instance_owners import InstanceOwners
from support.exporter.builders import an_instance

OWNERS = frozenset({"checkout", "billing"})


def test_an_instance_stays_with_who_spoke_first() -> None:
    bindings = InstanceOwners()

    assert bindings.bind(an_instance(), "checkout", OWNERS, 0.0)
    assert not bindings.bind(an_instance(), "billing", OWNERS, 1.0)
    assert bindings.bind(an_instance("shop-2"), "billing", OWNERS, 1.0)
    assert bindings.bind(an_instance(), "checkout", OWNERS, 2.0)


def test_what_is_refused_does_not_prolong_a_binding() -> None:
    bindings = InstanceOwners()
    bindings.bind(an_instance(), "checkout", OWNERS, 0.0)

    assert not bindings.bind(an_instance(), "billing", OWNERS, COUNTER_RETENTION_S)
    assert bindings.bind(an_instance(), "billing", OWNERS, COUNTER_RETENTION_S + 0.1)


def test_a_token_that_was_taken_away_holds_nothing() -> None:
    bindings = InstanceOwners()
    bindings.bind(an_instance(), "checkout", OWNERS, 0.0)

    assert bindings.bind(an_instance(), "billing", {"billing"}, 1.0)
    assert not bindings.bind(an_instance(), "checkout", OWNERS, 2.0)


def test_who_brings_ever_new_ids_sets_nobody_elses_free() -> None:
    bindings = InstanceOwners(max_bound=3)
    bindings.bind(an_instance("mine"), "checkout", OWNERS, 0.0)

    for number in range(100):
        assert bindings.bind(an_instance(str(number)), "billing", OWNERS, 1.0)

    assert not bindings.bind(an_instance("mine"), "billing", OWNERS, 1.0)
    assert not bindings.bind(an_instance("99"), "checkout", OWNERS, 1.0)
    assert bindings.bind(an_instance("0"), "checkout", OWNERS, 1.0)
