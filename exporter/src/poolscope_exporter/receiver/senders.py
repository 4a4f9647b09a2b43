"""Tell senders apart by their tokens, and let each speak only for instances that are its own."""

from collections import Counter
from collections.abc import Callable

from fastapi import Request

from poolscope_exporter import clock
from poolscope_exporter.core.fleet.admission import Refusal
from poolscope_exporter.core.fleet.fleet import PushResult
from poolscope_exporter.core.model.pushes import Push
from poolscope_exporter.listeners.access import token_of
from poolscope_exporter.listeners.tokens import Keyring
from poolscope_exporter.receiver.instance_owners import InstanceOwners

AcceptPush = Callable[[Push], PushResult]


class Senders:
    """Who may push, and for which instances; `refused` counts what they may not."""

    def __init__(
        self, keyring: Keyring, refused: Counter[str], now: Callable[[], float] = clock.monotonic
    ) -> None:
        self._keyring = keyring
        self._refused = refused
        self._now = now
        self._bindings = InstanceOwners()

    def owner_of_request(self, request: Request) -> str | None:
        """Return whose token the request bears, None where it bears none that we know."""
        return self._keyring.owner_of_token(token_of(request))

    def admits(self, push: Push, owner: str) -> bool:
        """Return whether the owner may push for the instance; a push that is refused is counted."""
        owners = self._keyring.owners()
        is_admitted = self._bindings.bind(push.instance, owner, owners, self._now())
        if not is_admitted:
            self._refused[Refusal.FOREIGN_TOKEN] += 1
        return is_admitted


class RequestSender:
    """The sender of one request: its pushes are taken for the instances that are its own.

    `was_refused`: a push was for another sender's instance.
    """

    def __init__(self, accept: AcceptPush, senders: Senders | None, owner: str | None) -> None:
        self._accept = accept
        self._senders = senders
        self._owner = owner
        self.was_refused = False

    def accept_owned_push(self, push: Push) -> PushResult:
        """Take the push in, unless its instance is bound to another token."""
        if self._senders is None or self._owner is None or self._senders.admits(push, self._owner):
            return self._accept(push)
        self.was_refused = True
        reason = f"refused: {Refusal.FOREIGN_TOKEN}: this instance id pushed with another token"
        # Also of a push without points its sender must hear.
        return PushResult(max(1, len(push.points)), reason, accepted=False)
