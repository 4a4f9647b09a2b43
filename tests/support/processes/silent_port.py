"""A port of this machine that answers nothing: connecting to it hangs, as behind a firewall."""

import socket
from types import TracebackType
from typing import Self

from poolscope_exporter.demo.ports import HOST


class SilentPort:
    """Listens with a full queue and accepts nobody, so that the kernel drops every SYN."""

    def __init__(self, port: int) -> None:
        self._address = (HOST, port)

    def __enter__(self) -> Self:
        self._listener = socket.create_server(self._address, backlog=0)
        self._filler = socket.create_connection(self._address)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._filler.close()
        self._listener.close()
