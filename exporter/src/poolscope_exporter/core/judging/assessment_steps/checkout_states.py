"""Find the state of the session of each held checkout, and judge the checkout by it."""

from collections.abc import Mapping, Sequence

from poolscope_exporter.core.blocking.lock_parties import SessionAt
from poolscope_exporter.core.fleet.fleet import Fleet, oldest_first
from poolscope_exporter.core.fleet.held_list import CheckoutReport
from poolscope_exporter.core.judging.assessment_steps.view_finder import ViewFinder
from poolscope_exporter.core.judging.verdicts import Judgement, judge
from poolscope_exporter.core.judging.views import BouncerView
from poolscope_exporter.core.linking.confirmation import (
    Confirmations,
    Confirmed,
    Pending,
    State,
    Unseen,
)
from poolscope_exporter.core.linking.contested import contested
from poolscope_exporter.core.linking.link import Link, NoLink, Unlinked, pid_defect
from poolscope_exporter.core.linking.through_pgbouncer import client_route
from poolscope_exporter.core.model.checkouts import Checkout
from poolscope_exporter.core.model.pgbouncers import BouncerServer


def judge_all(
    fleet: Fleet, confirmations: Confirmations, finder: ViewFinder, now_s: float
) -> tuple[list[Judgement], Mapping[SessionAt, Checkout]]:
    """Return the judgement of each held checkout, and the checkouts behind linked sessions."""
    held = oldest_first(fleet, now_s)
    states = _undisputed(held, [_state(each.checkout, confirmations, finder) for each in held])
    holders = _holders(held, states)
    judgements = [
        judge(
            reported,
            state,
            now_s,
            confirmations.link_history.is_proven(reported.checkout.pool),
            holders,
        )
        for reported, state in zip(held, states, strict=True)
    ]
    return judgements, holders


def _undisputed(
    held: Sequence[CheckoutReport], states: Sequence[State | NoLink]
) -> list[State | NoLink]:
    """Return the states without the links that another connection disproves."""
    links = [
        (reported.checkout, state.outcome)
        for reported, state in zip(held, states, strict=True)
        if isinstance(state, Confirmed | Pending) and isinstance(state.outcome, Link)
    ]
    disputed = contested(links)
    return [
        NoLink(Unlinked.CONTESTED, state.outcome.server)
        if reported.checkout.key in disputed and isinstance(state, Confirmed | Pending)
        else state
        for reported, state in zip(held, states, strict=True)
    ]


def _state(checkout: Checkout, confirmations: Confirmations, finder: ViewFinder) -> State | NoLink:
    """Return the state of the checkout's session, or why no server can be queried."""
    view = finder.view_of(checkout)
    if isinstance(view, NoLink):
        return view
    if isinstance(view, BouncerView):
        return _state_behind(view, checkout, confirmations, finder)
    if defect := pid_defect(checkout.backend_pid):
        return NoLink(defect, view.server)
    # An answer from before the server went down may no longer be true.
    if not view.up:
        return NoLink(Unlinked.SERVER_DOWN, view.server)
    state = confirmations.confirmed_or_waiting(checkout.key)
    return NoLink(Unlinked.NOT_SAMPLED, view.server) if isinstance(state, Unseen) else state


def _state_behind(
    view: BouncerView, checkout: Checkout, confirmations: Confirmations, finder: ViewFinder
) -> State | NoLink:
    """Return the state of a checkout behind a PgBouncer, or why it is unknown."""
    if not view.up or view.known is None:
        return NoLink(Unlinked.POOLER_DOWN, None, view.bouncer)
    route = client_route(checkout, view.known)
    if isinstance(route, BouncerServer):
        server = finder.behind(route, view.bouncer)
        if isinstance(server, NoLink):
            return server
        if not server.up:
            return NoLink(Unlinked.SERVER_DOWN, server.server, view.bouncer)
    state = confirmations.confirmed_or_waiting(checkout.key)
    if isinstance(state, Unseen):
        return NoLink(Unlinked.NOT_SAMPLED, None, view.bouncer)
    if not finder.is_up(state.outcome.server):
        return NoLink(Unlinked.SERVER_DOWN, state.outcome.server, view.bouncer)
    return state


def _holders(
    held: Sequence[CheckoutReport], states: Sequence[State | NoLink]
) -> dict[SessionAt, Checkout]:
    links = [
        (reported.checkout, state.outcome)
        for reported, state in zip(held, states, strict=True)
        if isinstance(state, Confirmed) and isinstance(state.outcome, Link)
    ]
    return {(link.server, link.session.pid): checkout for checkout, link in links}
