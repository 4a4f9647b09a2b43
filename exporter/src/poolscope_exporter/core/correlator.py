"""Correlate the pushes of applications with the samples of servers, and choose what to poll."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from poolscope_exporter.core.admission.points import Refusal
from poolscope_exporter.core.admission.shared_instances import Separated, SharedInstances
from poolscope_exporter.core.capacity.largest_fleet import AS_SEEN, LargestFleet
from poolscope_exporter.core.checks.rules import PoolChecks
from poolscope_exporter.core.checks.thresholds import DEFAULTS, Thresholds
from poolscope_exporter.core.fleet.fleet import Fleet, PushResult
from poolscope_exporter.core.fleet.held_list import CheckoutReport
from poolscope_exporter.core.fleet.retention import TOTALS_RETENTION_S
from poolscope_exporter.core.judging.assessment import assess
from poolscope_exporter.core.judging.diagnosis_window import DiagnosisWindows
from poolscope_exporter.core.judging.ended_verdicts import EndedVerdicts
from poolscope_exporter.core.judging.held_time import HeldTime
from poolscope_exporter.core.judging.refuted_leaks import RefutedLeaks
from poolscope_exporter.core.judging.server_load import LoadHistory
from poolscope_exporter.core.judging.situation import Situation
from poolscope_exporter.core.judging.verdicts import judge
from poolscope_exporter.core.judging.views import BouncerView, ServerView
from poolscope_exporter.core.linking.confirmation import Confirmations, Outcome, sure_until
from poolscope_exporter.core.linking.destination import Place, choose_place, choose_session_server
from poolscope_exporter.core.linking.link import Link, NoLink, Unlinked, link
from poolscope_exporter.core.linking.orphans import Orphans
from poolscope_exporter.core.linking.suspects import Suspects
from poolscope_exporter.core.linking.through_pgbouncer import client_route, link_through
from poolscope_exporter.core.model.checkouts import Checkout, Instance
from poolscope_exporter.core.model.endpoints import Endpoint
from poolscope_exporter.core.model.idle_timeouts import IdleTimeout
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
    """The state from all pushes and samples, and its judging; times are one monotonic clock.

    Without `servers`, no session is ever sampled. The configured PgBouncers and their addresses are
    in `bouncers`. The idle time-outs of a proxy and a NAT in front of every server are in
    `configured_idle`. They come from the settings, because the exporter cannot query these. The
    checks of pool settings use the `thresholds`, and the `largest` fleet that is expected.

    Not thread-safe.
    """

    def __init__(
        self,
        servers: Sequence[ConfiguredServer],
        fleet: Fleet | None = None,
        bouncers: Mapping[str, frozenset[Endpoint]] | None = None,
        *,
        configured_idle: tuple[IdleTimeout, ...] = (),
        thresholds: Thresholds = DEFAULTS,
        largest: LargestFleet = AS_SEEN,
    ) -> None:
        self.fleet = fleet or Fleet()
        self.confirmations = Confirmations()
        self.held_time = HeldTime()
        self.refuted_leaks = RefutedLeaks()
        self.orphans = Orphans()
        self._configured = {server.server: server for server in servers}
        self._identities: dict[str, ServerIdentity] = {}
        self._down: set[str] = set()
        self._bouncers = Bouncers(bouncers or {})
        self._configured_idle = configured_idle
        self._checks = PoolChecks(thresholds)
        self._largest = largest
        self._windows = DiagnosisWindows()
        self._loads = LoadHistory()
        self._ended = EndedVerdicts()
        self._suspects = Suspects()
        self._shared = SharedInstances()

    def use_thresholds(self, thresholds: Thresholds) -> None:
        """Replace the thresholds of the configuration checks."""
        self._checks = PoolChecks(thresholds)

    def take_push(self, push: Push, now_s: float) -> PushResult:
        """Record a push; it may confirm earlier samples of the checkouts that it lists."""
        separated = self._shared.separate(push)
        if separated.is_late:
            return self.fleet.refuse_push(push, Refusal.OUT_OF_ORDER)
        if separated.is_news:
            self.fleet.forget_instance(push.instance)
            self._drop_process(push.instance)
        if separated.warning:
            self.fleet.refused[Refusal.SHARED_INSTANCE] += 1
        result = self._take_own_push(separated, now_s)
        return replace(result, instance=separated.push.instance, warning=separated.warning)

    def _take_own_push(self, separated: Separated, now_s: float) -> PushResult:
        push = separated.push
        ended = self._listed_before(push, now_s)
        result = self.fleet.record_push(push, now_s, was_counted=separated.warning is not None)
        if result.accepted and not result.restarted:
            self._judge_ended(ended, push, now_s)
        if result.restarted:
            self._drop_process(push.instance)
            self.orphans.note_restart(push.instance, now_s)
        if result.accepted:
            for held in self.fleet.held_by(push.instance, now_s):
                if held.reported_at_s == now_s:
                    self._confirm(held, now_s)
        return result

    def _drop_process(self, instance: Instance) -> None:
        self.confirmations.drop_instance(instance)
        self.held_time.drop_process(instance)
        self.refuted_leaks.drop_refuted(instance)

    def server_up(self, identity: ServerIdentity) -> Change | None:
        """Record the identity of a server; return the change since the last one, if any.

        Call this before the server is polled for suspects. Samples of another server at the same
        address are discarded.
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
        """Record that a server does not answer; its identity is kept."""
        self._down.add(server)

    def take_sample(self, sample: SessionSample, identity: ServerIdentity, now_s: float) -> None:
        """Record a sample of a server's sessions, and link the checkouts of this server."""
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
        """Record a sample of a PgBouncer, and the checkouts without a server connection.

        A checkout with a server connection is linked later, by the next sample of the server.
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
        """Record a PgBouncer that was found, with its addresses."""
        self._bouncers.add_bouncer(bouncer, addresses)

    def bouncer_removed(self, bouncer: str) -> None:
        """Remove a PgBouncer that is no longer polled."""
        self._bouncers.remove_bouncer(bouncer)

    def bouncer_down(self, bouncer: str) -> None:
        """Record that a PgBouncer does not answer."""
        self._bouncers.mark_down(bouncer)

    def take_census(self, census: Census, now_s: float) -> None:
        """Record which sessions a server has from `orphans.addresses`."""
        pids, states = self.fleet.live_backend_pids(now_s), self.fleet.instances(now_s)
        self.orphans.record_census(census, pids, states, now_s)

    def suspects(self, server: str, now_s: float) -> list[int]:
        """Return the backend PIDs to look up on a server in its next poll."""
        return self._suspects.choose_pids(
            server,
            self.fleet,
            self._servers(),
            now_s,
            bouncers=self._bouncers.known(),
            is_missing=self.confirmations.is_missing,
        )

    def has_checkouts_through(self, bouncer: str, now_s: float) -> bool:
        """Return whether any held checkout goes through the PgBouncer."""
        places = (self._place(reported.checkout) for reported in self.fleet.held(now_s))
        return any(isinstance(place, Bouncer) and place.name == bouncer for place in places)

    def situation(
        self, now_s: float, servers: Sequence[ServerView], bouncers: Sequence[BouncerView] = ()
    ) -> Situation:
        """Judge everything, as of now; the views have the state of each server and PgBouncer."""
        self.fleet.tick(now_s)
        for counted in (self.held_time, self.refuted_leaks):
            counted.totals.expire_pools(now_s - TOTALS_RETENTION_S)
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
            configured_idle=self._configured_idle,
            checks=self._checks,
            windows=self._windows,
            loads=self._loads,
            ended=self._ended,
            largest=self._largest,
        )

    def _listed_before(self, push: Push, now_s: float) -> list[CheckoutReport]:
        """Return the checkouts that ended with this push, as earlier pushes listed them."""
        if not push.ended:
            return []
        listed = self.fleet.held_by(push.instance, now_s)
        return [reported for reported in listed if reported.checkout.id in push.ended]

    def _judge_ended(self, ended: Sequence[CheckoutReport], push: Push, now_s: float) -> None:
        """Confirm the samples of ended checkouts by the end times, and record their verdicts."""
        for reported in ended:
            checkout = reported.checkout
            ended_s = push.ended[checkout.id]
            known = self.confirmations.confirmed_by_end(checkout.key, ended_s, now_s)
            if known is not None:
                is_proven = self.confirmations.link_history.is_proven(checkout.pool)
                found = judge(reported, known, known.taken_at_s, is_proven, {})
                self._ended.record_verdict(checkout.pool, found.verdict, now_s)

    def _confirm(self, held: CheckoutReport, now_s: float) -> None:
        self.confirmations.confirm_held(held.checkout.key, now_s, held.interval_s)
        until_s = sure_until(now_s, held.interval_s)
        self.held_time.count_confirmed(held.checkout, until_s, now_s)
        state = self.confirmations.confirmed_or_waiting(held.checkout.key)
        self.refuted_leaks.count_refuted(held, state, now_s)

    def _servers(self) -> list[LocatedServer]:
        """Return where each server is: its own report, or its settings before the first poll."""
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
        left_out = self._suspects.left_out(view.server) if up else None
        return replace(
            view,
            identity=identity,
            up=up,
            orphans=orphans,
            configured=configured,
            left_out=left_out,
        )

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
        # The server was polled last, so only a checkout that is held after that is confirmed.
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
            self.held_time.record_session(reported, outcome, sample.took_s)
        if isinstance(outcome, NoLink):
            self.held_time.record_no_session(reported, outcome, sample.taken_at_s)
        self.confirmations.record_outcome(checkout.key, outcome, sample.taken_at_s)

    def _drop_returned(self, held: Sequence[CheckoutReport], now_s: float) -> None:
        checkouts = [reported.checkout for reported in held]
        keys = {checkout.key for checkout in checkouts}
        self.confirmations.keep_only(keys)
        self.held_time.keep_held(keys)
        self.refuted_leaks.keep_refuted(keys)
        states = self.fleet.instances(now_s)
        live = [state.instance for state in states if state.is_live]
        silent = [state.instance for state in states if not state.is_live and not state.ended]
        self.confirmations.link_history.expire_links(checkouts, live, silent)


def _had_begun(reported: CheckoutReport, sample: SessionSample | BouncerSample) -> bool:
    # A sample from before the checkout shows the activity of an earlier holder.
    return sample.taken_at_s >= reported.reported_at_s - reported.checkout.age_s
