"""Find the server or PgBouncer that a connection reaches, with its present data."""

from collections.abc import Sequence

from poolscope_exporter.core.judging.server_load import LoadHistory
from poolscope_exporter.core.judging.verdicts import Judgement
from poolscope_exporter.core.judging.views import BouncerView, ServerView
from poolscope_exporter.core.linking.destination import choose_place, choose_session_server
from poolscope_exporter.core.linking.link import Link, NoLink, Unlinked
from poolscope_exporter.core.model.checkouts import Checkout, Pool
from poolscope_exporter.core.model.pgbouncers import Bouncer, BouncerServer
from poolscope_exporter.core.model.servers import ConfiguredServer, LocatedServer

View = ServerView | BouncerView | NoLink


class ViewFinder:
    """The configured servers and PgBouncers, found by a checkout's connection."""

    def __init__(self, servers: Sequence[ServerView], bouncers: Sequence[BouncerView]) -> None:
        self._views = {view.server: view for view in servers}
        self._was_reached = any(view.identity for view in servers)
        self._servers = [_located(view) for view in servers]
        self._bouncers = {view.bouncer: view for view in bouncers}
        self._known = [view.known for view in bouncers if view.known]

    def view_of(self, checkout: Checkout) -> View:
        """Return the server or PgBouncer of a checkout, or why it has none."""
        place = choose_place(checkout, self._servers, self._known)
        if isinstance(place, Bouncer):
            return self._bouncers[place.name]
        return self._view_of(place)

    def view_of_pool(self, pool: Pool, judgements: Sequence[Judgement], last: Link | None) -> View:
        """Return the first stop of a pool's connections, or why it is unknown."""
        checkouts = [judgement.checkout for judgement in judgements if judgement.checkout.peer]
        if checkouts:
            return self.view_of(checkouts[0])
        # Without a held connection, the pool's address determines the server, else the last link.
        view = self.view_of(Checkout(pool, id=0, age_s=0.0))
        return self._by_name(last) or view if isinstance(view, NoLink) and last else view

    def behind(self, connection: BouncerServer, bouncer: str) -> ServerView | NoLink:
        """Return the server to which a PgBouncer's connection leads, or why none can be queried."""
        return self._view_of(choose_session_server(connection, bouncer, self._servers))

    def named(self, server: str | None) -> ServerView | None:
        """Return a configured server, or None."""
        return self._views.get(server) if server is not None else None

    @property
    def servers(self) -> set[str]:
        """Return the names of the configured servers."""
        return set(self._views)

    def note_loads(self, loads: LoadHistory) -> None:
        """Record how busy the servers were at their last survey."""
        for view in self._views.values():
            loads.note_on_cpu(view.server, view.active_on_cpu, view.surveyed_at_s)

    def is_up(self, server: str | None) -> bool:
        """Return whether a server answers; True for None, which depends on no server."""
        return server is None or (server in self._views and self._views[server].up)

    def _by_name(self, link: Link) -> ServerView | BouncerView | None:
        """Return the first stop of a link; None if it is no longer configured."""
        if link.bouncer:
            return self._bouncers.get(link.bouncer)
        return self._views.get(link.server)

    def _view_of(self, place: LocatedServer | NoLink) -> ServerView | NoLink:
        if not isinstance(place, NoLink):
            return self._views[place.server]
        return self._never_reached() if self._views and not self._was_reached else place

    def _never_reached(self) -> ServerView | NoLink:
        # The server of a checkout is unknown until one answers; a single server is the only
        # candidate.
        views = list(self._views.values())
        return views[0] if len(views) == 1 else NoLink(Unlinked.SERVER_DOWN, None)


def _located(view: ServerView) -> LocatedServer:
    return view.identity or view.configured or ConfiguredServer(view.server)
