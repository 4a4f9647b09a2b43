"""Correlate what applications push with what servers answer: whom to ask, and what follows."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from poolscope_exporter.core.checks.rules import PoolChecks
from poolscope_exporter.core.checks.thresholds import DEFAULTS, Thresholds
from poolscope_exporter.core.fleet.fleet import Fleet, PushResult
from poolscope_exporter.core.fleet.held_list import CheckoutReport
from poolscope_exporter.core.fleet.retention import TOTALS_RETENTION_S
from poolscope_exporter.core.judging.assessment import assess
from poolscope_exporter.core.judging.diagnosis_window import DiagnosisWindows
from poolscope_exporter.core.judging.held_idle import HeldIdle
from poolscope_exporter.core.judging.situation import Situation
from poolscope_exporter.core.judging.views import BouncerView, ServerView
from poolscope_exporter.core.linking.confirmation import Confirmations, Outcome, sure_until
from poolscope_exporter.core.linking.destination import Place, choose_place, choose_session_server
from poolscope_exporter.core.linking.link import Link, NoLink, Unlinked, link
from poolscope_exporter.core.linking.orphans import Orphans
from poolscope_exporter.core.linking.suspects import suspects
from poolscope_exporter.core.linking.through_pgbouncer import client_route, link_through
from poolscope_exporter.core.model.checkouts import Checkout
from poolscope_exporter.core.model.endpoints import Endpoint
from poolscope_exporter.core.model.pgbouncers import Bouncer, Bouncers, BouncerSample, socket_of
from poolscope_exporter.core.model.pushes import Push
from poolscope_exporter.core.model.servers import (
    Change,
    ConfiguredServer,
    LocatedServer,
    ServerIdentity,
    change_of,
)
from poolscope_exporter.core.model.sessions import Census, SessionSample


class Correlator:
    """All pushes and samples, and what is judged from both; times are one monotonic clock.

    Without `servers` nothing is ever sampled. `bouncers` are the configured PgBouncers, with the
    addresses by which they are configured. `proxy_idle_timeout_s` is the configured idle time-out
    of a proxy that cannot be asked, before every server. Configurations are checked by the
    `thresholds`.
    Not for several threads at once.
    """

    def __init__(
        self,
        servers: Sequence[ConfiguredServer],
        fleet: Fleet | None = None,
        bouncers: Mapping[str, frozenset[Endpoint]] | None = None,
        *,
        proxy_idle_timeout_s: float | None = None,
        thresholds: Thresholds = DEFAULTS,
    ) -> None:
        self.fleet = fleet or Fleet()
        self.confirmations = Confirmations()
        self.held_idle = HeldIdle()
        self.orphans = Orphans()
        self._configured = {server.server: server for server in servers}
        self._identities: dict[str, ServerIdentity] = {}
        self._down: set[str] = set()
        self._bouncers = Bouncers(bouncers or {})
        self._proxy_idle_timeout_s = proxy_idle_timeout_s
        self._checks = PoolChecks(thresholds)
        self._windows = DiagnosisWindows()

    def take_push(self, push: Push, now_s: float) -> PushResult:
        """Take a push in: it may confirm what servers said of the checkouts that it lists."""
        result = self.fleet.record_push(push, now_s)
        if result.restarted:
            self.confirmations.drop_instance(push.instance)
            self.held_idle.drop_process(push.instance)
            self.orphans.note_restart(push.instance, now_s)
        if result.accepted:
            for held in self.fleet.held_by(push.instance, now_s):
                if held.reported_at_s == now_s:
                    self._confirm(held, now_s)
        return result

    def server_up(self, identity: ServerIdentity) -> Change | None:
        """Note who a server is, before it is asked for suspects; return what became of it.

        What another server said before at the same address is thrown away.
        """
        change = change_of(self._identities.get(identity.server), identity)
        if change:
            self.confirmations.forget_server(identity.server)
        if change is Change.REPLACED:
            self.confirmations.link_history.break_links(identity.server)
        self._identities[identity.server] = identity
        self._down.discard(identity.server)
        return change

    def server_down(self, server: str) -> None:
        """Note that a server does not answer; who it was is remembered."""
        self._down.add(server)

    def take_sample(self, sample: SessionSample, identity: ServerIdentity, now_s: float) -> None:
        """Take a server's answer in: link each checkout of it that was asked about."""
        self.server_up(identity)
        held = self.fleet.held(now_s)
        for reported in held:
            place = self._place(reported.checkout)
            if isinstance(place, Bouncer):
                self._link_through_bouncer(place, reported, sample)
            elif not isinstance(place, NoLink) and place.server == sample.server:
                self._link_directly(reported, sample)
        self._drop_returned(held, now_s)

    def take_bouncer_sample(self, sample: BouncerSample, now_s: float) -> None:
        """Take a bouncer's answer in: note each checkout that it gives no server connection.

        Those that have one are linked by the next answer of the server, and not without it.
        """
        held = self.fleet.held(now_s)
        sockets = {
            socket_of(reported.checkout.local) for reported in held if reported.checkout.local
        }
        self._bouncers.record_sockets(sample, sockets)
        for reported in held:
            place = self._place(reported.checkout)
            if isinstance(place, Bouncer) and place.name == sample.bouncer:
                self._record_unserved(place, reported, sample)
        self._drop_returned(held, now_s)

    def bouncer_added(self, bouncer: str, addresses: frozenset[Endpoint]) -> None:
        """Note a bouncer that was found, and the addresses by which it is known."""
        self._bouncers.add_bouncer(bouncer, addresses)

    def bouncer_removed(self, bouncer: str) -> None:
        """Note that a bouncer is none of ours any more."""
        self._bouncers.remove_bouncer(bouncer)

    def bouncer_down(self, bouncer: str) -> None:
        """Note that a bouncer does not answer."""
        self._bouncers.mark_down(bouncer)

    def take_census(self, census: Census, now_s: float) -> None:
        """Take in which sessions a server has from `orphans.addresses`."""
        pids, states = self.fleet.live_backend_pids(now_s), self.fleet.instances(now_s)
        self.orphans.record_census(census, pids, states, now_s)

    def suspects(self, now_s: float, limit: int = 200) -> dict[str, list[int]]:
        """Return the backend pids to look up next, by server, at most `limit` each."""
        return suspects(self.fleet, self._servers(), now_s, limit, self._bouncers.known())

    def has_checkouts_through(self, bouncer: str, now_s: float) -> bool:
        """Return whether anybody holds a connection that goes through the bouncer."""
        places = (self._place(reported.checkout) for reported in self.fleet.held(now_s))
        return any(isinstance(place, Bouncer) and place.name == bouncer for place in places)

    def situation(
        self, now_s: float, servers: Sequence[ServerView], bouncers: Sequence[BouncerView] = ()
    ) -> Situation:
        """Judge everything, as of now; the views say how each configured server and bouncer is."""
        self.fleet.tick(now_s)
        self.held_idle.totals.expire_pools(now_s - TOTALS_RETENTION_S)
        polled = {view.server: view for view in servers}
        silent = {
            name: ServerView(name, up=False, reason="not polled yet") for name in self._configured
        }
        views = [self._completed(view) for view in (silent | polled).values()]
        between = self._bouncer_views(bouncers)
        return assess(
            self.fleet,
            self.confirmations,
            views,
            now_s,
            between,
            proxy_idle_timeout_s=self._proxy_idle_timeout_s,
            checks=self._checks,
            windows=self._windows,
        )

    def _confirm(self, held: CheckoutReport, now_s: float) -> None:
        self.confirmations.confirm_held(held.checkout.key, now_s, held.interval_s)
        until_s = sure_until(now_s, held.interval_s)
        self.held_idle.count_confirmed(held.checkout, until_s, now_s)

    def _servers(self) -> list[LocatedServer]:
        """Return where each server is: as it says itself, or as configured until it was reached."""
        found: dict[str, LocatedServer] = {**self._configured, **self._identities}
        return list(found.values())

    def _place(self, checkout: Checkout) -> Place:
        return choose_place(checkout, self._servers(), self._bouncers.known())

    def _bouncer_views(self, views: Sequence[BouncerView]) -> list[BouncerView]:
        polled = {view.bouncer: view for view in views}
        found = []
        for known in self._bouncers.known():
            view = polled.get(known.name) or BouncerView(known.name, False, "not polled yet")
            is_up = view.up and known.sample is not None
            found.append(replace(view, up=is_up, known=known))
        return found

    def _completed(self, view: ServerView) -> ServerView:
        identity = view.identity or self._identities.get(view.server)
        up = view.up and view.server not in self._down
        orphans = self.orphans.count_by_service(view.server) if up else None
        configured = self._configured.get(view.server)
        return replace(view, identity=identity, up=up, orphans=orphans, configured=configured)

    def _link_directly(self, reported: CheckoutReport, sample: SessionSample) -> None:
        if not _had_begun(reported, sample):
            return
        self._record_outcome(reported, self._outcome(reported, sample), sample)

    def _outcome(self, reported: CheckoutReport, sample: SessionSample) -> Outcome:
        checkout, link_history = reported.checkout, self.confirmations.link_history
        if link_history.is_broken(checkout):
            return NoLink(Unlinked.SERVER_CHANGED, sample.server)
        session_start_s = link_history.first_session_start_s(checkout)
        return link(
            checkout,
            reported.reported_at_s,
            sample,
            server=sample.server,
            session_start_s=session_start_s,
        )

    def _link_through_bouncer(
        self, bouncer: Bouncer, reported: CheckoutReport, sample: SessionSample
    ) -> None:
        route, via = client_route(reported.checkout, bouncer), bouncer.sample
        if isinstance(route, NoLink) or via is None or not _had_begun(reported, via):
            return
        server = choose_session_server(route, bouncer.name, self._servers())
        if isinstance(server, NoLink) or server.server != sample.server:
            return
        # The server was asked last, so only what is still held after that is confirmed.
        self._record_outcome(reported, link_through(route, via, sample), sample)

    def _record_unserved(
        self, bouncer: Bouncer, reported: CheckoutReport, via: BouncerSample
    ) -> None:
        route = client_route(reported.checkout, bouncer)
        if isinstance(route, NoLink) and _had_begun(reported, via):
            self._record_outcome(reported, route, via)

    def _record_outcome(
        self, reported: CheckoutReport, outcome: Outcome, sample: SessionSample | BouncerSample
    ) -> None:
        if isinstance(outcome, NoLink) and outcome.reason is Unlinked.NOT_SAMPLED:
            return
        checkout = reported.checkout
        if isinstance(outcome, Link) and isinstance(sample, SessionSample):
            self.confirmations.link_history.record_link(checkout, outcome)
            self.orphans.note_session(checkout.pool, outcome)
            self.held_idle.record_idle(reported, outcome, sample.took_s)
        self.confirmations.record_outcome(checkout.key, outcome, sample.taken_at_s)

    def _drop_returned(self, held: Sequence[CheckoutReport], now_s: float) -> None:
        checkouts = [reported.checkout for reported in held]
        keys = {checkout.key for checkout in checkouts}
        self.confirmations.keep_only(keys)
        self.held_idle.keep_held(keys)
        instances = [state.instance for state in self.fleet.instances(now_s) if state.is_live]
        self.confirmations.link_history.expire_links(checkouts, instances)


def _had_begun(reported: CheckoutReport, sample: SessionSample | BouncerSample) -> bool:
    # Before it, the connection served whoever held the connection then.
    return sample.taken_at_s >= reported.reported_at_s - reported.checkout.age_s
