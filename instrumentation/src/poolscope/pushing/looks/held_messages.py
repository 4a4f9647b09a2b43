"""Log each checkout that is held for longer than a setting, with the stack of its owner."""

from typing import Final

from poolscope import app_log
from poolscope.app_log import AppLog
from poolscope.pushing.looks.sightings import now_sentence
from poolscope.recording.pool import OpenCheckout
from poolscope.recording.registry import Registry
from poolscope.watching.holder_looks import HolderLooks

LOGGED_AT_ONCE: Final = 5
"""Most checkouts that are described at once; the number of further ones is logged."""


class HeldMessages:
    """The checkouts that were logged because of their age; each is logged once.

    With `after_s` of 0, nothing is logged. Checkouts that are declared long-lived are left out.
    """

    def __init__(
        self, registry: Registry, looks: HolderLooks, after_s: float, *, is_looking: bool
    ) -> None:
        self._registry = registry
        self._looks = looks
        self._after_s = after_s
        self._is_looking = is_looking
        self._log = AppLog()
        self._logged: set[int] = set()

    def log_held(self, now_s: float) -> None:
        """Log the checkouts that became older than the setting since the last call."""
        if not self._after_s:
            return
        old = [
            (identity.name, checkout)
            for identity, pool in self._registry.named_pools()
            for checkout in pool.stats.open_checkouts()
            if now_s - checkout.taken_at_s >= self._after_s and not _is_declared(checkout)
        ]
        new = [each for each in old if each[1].id not in self._logged]
        self._logged = {checkout.id for _, checkout in old}
        for pool, checkout in new[:LOGGED_AT_ONCE]:
            self._log.write_line(app_log.HELD, self._describe(pool, checkout, now_s))
        if len(new) > LOGGED_AT_ONCE:
            self._log.write_line(app_log.MORE_HELD, len(new) - LOGGED_AT_ONCE)

    def _describe(self, pool: str, checkout: OpenCheckout, now_s: float) -> str:
        request = checkout.request
        route = (request.route if request is not None else None) or "-"
        held_s = now_s - checkout.taken_at_s
        where = f"pool={pool} route={route} taken at {checkout.site.label}"
        lines = [f"connection held for {held_s:.1f} s: {where}"]
        sighting = self._looks.holder_sighting(checkout.id)
        if sighting is not None:
            lines.append(f"  {now_sentence(sighting, now_s)}")
        if self._is_looking:
            stack = self._looks.owner_lines(checkout)
            lines += [f"    {line}" for line in stack or ["the stack of its owner is unknown"]]
        return "\n".join(lines)


def _is_declared(checkout: OpenCheckout) -> bool:
    return checkout.request is not None and checkout.request.long_lived
