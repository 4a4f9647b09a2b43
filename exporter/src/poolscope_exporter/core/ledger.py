"""Keep the books between applications and servers: what to ask, what was said, what follows."""

from collections.abc import Sequence
from dataclasses import replace

from poolscope_exporter.core.checkouts import Checkout, Push
from poolscope_exporter.core.confirmation import Confirmations, key_of, sure_until
from poolscope_exporter.core.fleet import Fleet, Heard, HeardCheckout
from poolscope_exporter.core.held_idle import HeldIdle
from poolscope_exporter.core.linking import Link, NoLink, Unlinked, choose_server, link
from poolscope_exporter.core.orphans import Orphans
from poolscope_exporter.core.sessions import Census, Sample, ServerIdentity
from poolscope_exporter.core.situation import ServerView, Situation, assess, suspects
from poolscope_exporter.core.thresholds import TOTALS_RETENTION_S


class Ledger:
    """The choreography of pushes, samples and judgements; times are one monotonic clock.

    `servers` are the names of the configured servers; none means that nothing is ever sampled.
    Not for several threads at once.
    """

    def __init__(self, servers: Sequence[str], fleet: Fleet | None = None) -> None:
        self.fleet = fleet or Fleet()
        self.confirmations = Confirmations()
        self.held_idle = HeldIdle()
        self.orphans = Orphans()
        self._configured = tuple(servers)
        self._identities: dict[str, ServerIdentity] = {}
        self._down: set[str] = set()

    def hear(self, push: Push, now_s: float) -> Heard:
        """Take a push in: it may confirm what servers said of the checkouts that it lists."""
        heard = self.fleet.hear(push, now_s)
        if heard.restarted:
            self.confirmations.forget_instance(push.instance)
            self.held_idle.forget_instance(push.instance)
            self.orphans.restarted(push.instance, now_s)
        if heard.accepted:
            for held in self.fleet.held_by(push.instance, now_s):
                if held.heard_at_s == now_s:
                    self._confirm(held, now_s)
        return heard

    def server_up(self, identity: ServerIdentity) -> None:
        """Note who a server is, before it is asked for suspects."""
        self._identities[identity.server] = identity
        self._down.discard(identity.server)

    def server_down(self, server: str) -> None:
        """Note that a server does not answer; who it was is remembered."""
        self._down.add(server)

    def observe(self, sample: Sample, identity: ServerIdentity, now_s: float) -> None:
        """Take a server's answer in: link each checkout of it that was asked about."""
        self.server_up(identity)
        held = self.fleet.held(now_s)
        for heard in held:
            if self._is_at(sample.server, heard.checkout) and _had_begun(heard, sample):
                self._note(heard, sample)
        self._forget(held, now_s)

    def count(self, census: Census, now_s: float) -> None:
        """Take in which sessions a server has from `orphans.addresses`."""
        pids, states = self.fleet.backend_pids(now_s), self.fleet.instances(now_s)
        self.orphans.counted(census, pids, states, now_s)

    def suspects(self, now_s: float, limit: int = 200) -> dict[str, list[int]]:
        """Return the backend pids to look up next, by server, at most `limit` each."""
        return suspects(self.fleet, self._servers(), now_s, limit)

    def situation(self, now_s: float, servers: Sequence[ServerView]) -> Situation:
        """Judge everything, as of now; `servers` says how each configured server is."""
        self.fleet.tick(now_s)
        self.held_idle.totals.forget(now_s - TOTALS_RETENTION_S)
        told = {view.server: view for view in servers}
        silent = {
            name: ServerView(name, up=False, reason="not polled yet") for name in self._configured
        }
        views = [self._completed(view) for view in (silent | told).values()]
        return assess(self.fleet, self.confirmations, views, now_s)

    def _confirm(self, held: HeardCheckout, now_s: float) -> None:
        self.confirmations.heard(key_of(held.checkout), now_s, held.interval_s)
        until_s = sure_until(now_s, held.interval_s)
        self.held_idle.confirmed(held.checkout, until_s, now_s)

    def _servers(self) -> list[ServerIdentity]:
        return list(self._identities.values())

    def _is_at(self, server: str, checkout: Checkout) -> bool:
        place = choose_server(checkout, self._servers())
        return not isinstance(place, NoLink) and place.server == server

    def _completed(self, view: ServerView) -> ServerView:
        identity = view.identity or self._identities.get(view.server)
        up = view.up and view.server not in self._down
        orphans = self.orphans.told(view.server) if up else None
        return replace(view, identity=identity, up=up, orphans=orphans)

    def _note(self, heard: HeardCheckout, sample: Sample) -> None:
        checkout = heard.checkout
        pinned = self.confirmations.paths.pinned(checkout)
        outcome = link(checkout, heard.heard_at_s, sample, server=sample.server, pinned=pinned)
        if isinstance(outcome, NoLink) and outcome.reason is Unlinked.NOT_SAMPLED:
            return
        if isinstance(outcome, Link):
            self.confirmations.paths.linked(checkout, outcome)
            self.orphans.linked(checkout.pool, outcome)
            self.held_idle.sampled(heard, outcome, sample.took_s)
        self.confirmations.sampled(key_of(checkout), outcome, sample.taken_at_s)

    def _forget(self, held: Sequence[HeardCheckout], now_s: float) -> None:
        checkouts = [heard.checkout for heard in held]
        keys = {key_of(checkout) for checkout in checkouts}
        self.confirmations.forget(keys)
        self.held_idle.forget(keys)
        instances = [state.instance for state in self.fleet.instances(now_s) if state.is_live]
        self.confirmations.paths.forget(checkouts, instances)


def _had_begun(heard: HeardCheckout, sample: Sample) -> bool:
    # Before it, the session served whoever held the connection then.
    return sample.taken_at_s >= heard.heard_at_s - heard.checkout.age_s
