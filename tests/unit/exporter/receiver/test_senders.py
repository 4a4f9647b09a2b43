"""Each sender pushes for its own services; a name that nobody has is warned of, not given away."""

import logging
from collections import Counter

import pytest

from poolscope_exporter.core.admission.points import Refusal
from poolscope_exporter.core.fleet.fleet import PushResult
from poolscope_exporter.core.model.pushes import Push
from poolscope_exporter.listeners.tokens import Keyring, parse_tokens
from poolscope_exporter.receiver.senders import RequestSender, Senders
from support.exporter.builders import a_point, a_push, an_instance

FREE = "aaa team-a\nbbb team-b\n"
BOUND = "aaa team-a services=shop\nbbb team-b\n"


def a_senders(text: str) -> Senders:
    return Senders(Keyring(parse_tokens(text)), Counter())


def pushed(senders: Senders, owner: str, instance: str, service: str = "shop") -> PushResult:
    accepted: list[Push] = []

    def accept(push: Push) -> PushResult:
        accepted.append(push)
        return PushResult(0, None)

    sender = RequestSender(accept, senders, owner)
    push = a_push(a_point(), instance=an_instance(instance, service))
    result = sender.accept_owned_push(push)
    assert bool(accepted) is result.accepted is not sender.was_refused
    return result


def test_service_of_another_owner_is_refused_with_the_reason() -> None:
    senders = a_senders(BOUND)
    assert pushed(senders, "team-a", "1").accepted
    refused = pushed(senders, "team-b", "2")
    assert not refused.accepted
    assert refused.reason is not None
    assert Refusal.FOREIGN_SERVICE in refused.reason
    assert pushed(senders, "team-b", "3", "search").accepted
    assert not pushed(senders, "team-a", "4", "search").accepted


def test_service_that_two_owners_push_is_kept_and_both_are_warned(
    caplog: pytest.LogCaptureFixture,
) -> None:
    senders = a_senders(FREE)
    assert pushed(senders, "team-a", "1").warning is None
    with caplog.at_level(logging.WARNING, "poolscope_exporter"):
        warnings = [pushed(senders, owner, owner).warning for owner in ("team-b", "team-a")]
    for warning in warnings:
        assert warning is not None
        assert "services=shop" in warning
    assert len(caplog.messages) == 1


def test_owner_of_a_service_is_not_warned_of_others_that_are_refused() -> None:
    senders = a_senders(BOUND)
    pushed(senders, "team-b", "1")
    assert pushed(senders, "team-a", "2").warning is None
