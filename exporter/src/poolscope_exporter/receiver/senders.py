"""Identify senders by their tokens; each may push only for its own instances and services."""

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from fastapi import Request

from poolscope_exporter import clock
from poolscope_exporter.core.admission.points import Refusal
from poolscope_exporter.core.fleet.fleet import PushResult
from poolscope_exporter.core.model.checkouts import Instance
from poolscope_exporter.core.model.pushes import Push
from poolscope_exporter.listeners.access import token_of
from poolscope_exporter.listeners.tokens import Keyring, TokenUse
from poolscope_exporter.receiver.instance_owners import InstanceOwners

AcceptPush = Callable[[Push], PushResult]

MAX_SERVICES: Final = 5_000
"""The most services with a stored owner: without a limit, invented names would fill memory."""

_WHY: Final = {
    Refusal.FOREIGN_TOKEN: "this instance id pushed with another token",
    Refusal.FOREIGN_SERVICE: "the token file does not give this service to the owner of the token",
}

_log = logging.getLogger("poolscope_exporter")


class Senders:
    """The senders, and the services and instances that each may push for."""

    def __init__(
        self, keyring: Keyring, refused: Counter[str], now: Callable[[], float] = clock.monotonic
    ) -> None:
        self._keyring = keyring
        self._refused = refused
        self._now = now
        self._bindings = InstanceOwners()
        self._services: dict[tuple[str, str], str] = {}
        self._disputed: set[tuple[str, str]] = set()

    def owner_of_request(self, request: Request) -> str | None:
        """Return the owner of the request's token, or None if the token is missing or wrong."""
        return self._keyring.owner_of_token(token_of(request), TokenUse.PUSH)

    def refusal_of(self, push: Push, owner: str) -> Refusal | None:
        """Return why the owner may not push this, or None if it may; count a refusal."""
        refusal = self._refusal(push.instance, owner)
        if refusal:
            self._refused[refusal] += 1
        return refusal

    def warning_of(self, push: Push, owner: str) -> str | None:
        """Return a warning if several owners push for a service that the token file gives to none.

        The service does not go to the first owner: an attacker who pushes first would get it.
        """
        service = push.instance.namespace, push.instance.name
        if service not in self._services and len(self._services) < MAX_SERVICES:
            self._services[service] = owner
        is_disputed = self._services.get(service, owner) != owner or service in self._disputed
        if not is_disputed or self._keyring.is_bound(push.instance.name):
            return None
        name = push.instance.name
        warning = (
            f"service {name!r} is pushed with tokens of several owners, and each of them can add"
            f" to its data: give it to one owner with services={name} in the token file"
        )
        if service not in self._disputed:
            self._disputed.add(service)
            _log.warning("%s", warning)
        return warning

    def _refusal(self, instance: Instance, owner: str) -> Refusal | None:
        if not self._keyring.may_push(owner, instance.name):
            return Refusal.FOREIGN_SERVICE
        owners = self._keyring.owners()
        is_own = self._bindings.bind(instance, owner, owners, self._now())
        return None if is_own else Refusal.FOREIGN_TOKEN


class RequestSender:
    """The sender of one request; it can push only for its own instances and services.

    `was_refused` is true after a push for another sender's instance or service.
    """

    def __init__(self, accept: AcceptPush, senders: Senders | None, owner: str | None) -> None:
        self._accept = accept
        self._senders = senders
        self._owner = owner
        self.was_refused = False

    def accept_owned_push(self, push: Push) -> PushResult:
        """Accept the push, unless its instance or service belongs to another owner."""
        if self._senders is None or self._owner is None:
            return self._accept(push)
        refusal = self._senders.refusal_of(push, self._owner)
        if refusal is None:
            result = self._accept(replace(push, owner=self._owner))
            warning = result.warning or self._senders.warning_of(push, self._owner)
            return replace(result, warning=warning)
        self.was_refused = True
        # At least 1, so that the answer to a push without points has the reason too.
        rejected = max(1, len(push.points))
        return PushResult(rejected, f"refused: {refusal}: {_WHY[refusal]}", accepted=False)
