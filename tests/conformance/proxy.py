"""A way to the database that can break: refuse, cut off and hold connections, and count them."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from poolscope_generators.ports import held_port


class Proxy:
    """Forwards a TCP port of loopback to a server, in threads of its own.

    `open` counts the connections that neither end has closed: the truth that no pool can bend.
    """

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.port = held_port()
        self.held = 0
        self.links: set[Link] = set()
        self.passing = threading.Event()
        self.passing.set()
        self._listener: socket.socket | None = None
        self._accepting: threading.Thread | None = None

    @property
    def open(self) -> int:
        return len(self.links)

    def accept(self) -> None:
        """Listen, each time on the same port."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._accepting = threading.Thread(target=self._serve, args=(self._listener,))
        self._accepting.start()

    def refuse(self) -> None:
        """Listen no more; what is open stays so."""
        if self._listener is None or self._accepting is None:
            return
        self._listener.shutdown(socket.SHUT_RDWR)  # closing alone does not wake accept()
        self._accepting.join()
        self._listener.close()
        self._listener = None

    def cut(self) -> None:
        """End every connection, as a server does that stops."""
        for link in list(self.links):
            link.end()

    def hold(self) -> None:
        """Accept new connections and say nothing to them; `held` counts them."""
        self.passing.clear()

    def release(self) -> None:
        """Serve what is held, and all that comes."""
        self.passing.set()

    def stop(self) -> None:
        self.release()
        self.refuse()
        self.cut()

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self.held += not self.passing.is_set()
            link = Link(self, client)
            self.links.add(link)
            threading.Thread(target=link.run).start()


class Link:
    """One connection through the proxy, until either end of it closes."""

    def __init__(self, proxy: Proxy, client: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._far = socket.socket()

    def run(self) -> None:
        self._proxy.passing.wait()
        with self._client, self._far, contextlib.suppress(OSError):
            # To another destination, the kernel may give the port that the client has: then the
            # server would see the client's own address, as if nothing translated it. A port that
            # is bound first is nobody else's.
            self._far.bind(("127.0.0.1", 0))
            self._far.connect(("127.0.0.1", self._proxy.target_port))
            back = threading.Thread(target=self._pump, args=(self._far, self._client))
            back.start()
            self._pump(self._client, self._far)
            back.join()
        self._proxy.links.discard(self)

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        self.end()

    def end(self) -> None:
        """Tell both ends, and our threads; they close the sockets."""
        self._proxy.links.discard(self)
        for end in (self._client, self._far):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextmanager
def a_proxy(target_port: int) -> Iterator[Proxy]:
    proxy = Proxy(target_port)
    proxy.accept()
    try:
        yield proxy
    finally:
        proxy.stop()
