"""The lifespan of an application: the last push leaves before the server sees the end."""

from collections.abc import Callable
from typing import Any

import pytest

from poolscope.units.lifespan import run_lifespan


class Server:
    """Sends the messages of a lifespan, and notes what happens, in order."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self._messages = iter(["lifespan.startup", "lifespan.shutdown"])

    async def receive(self) -> Any:
        return {"type": next(self._messages)}

    async def send(self, message: Any) -> None:
        self.events.append(message["type"])

    def on_activity(self) -> None:
        self.events.append("active")

    def on_shutdown(self) -> None:
        self.events.append("pushed")

    def contain(self, error: Exception) -> None:
        self.events.append(repr(error))

    async def run(self, app: Any, scope: dict[str, Any] | None = None) -> list[str]:
        lifespan = {"type": "lifespan"} if scope is None else scope
        await run_lifespan(app, lifespan, self.receive, self.send, self)
        return self.events


ALL = ["active", "lifespan.startup.complete", "pushed", "lifespan.shutdown.complete"]


async def supporting(scope: Any, receive: Any, send: Any) -> None:
    for phase in ("startup", "shutdown"):
        assert (await receive())["type"] == f"lifespan.{phase}"
        await send({"type": f"lifespan.{phase}.complete"})


async def raising(scope: Any, receive: Any, send: Any) -> None:
    raise ValueError("Django can only handle ASGI/HTTP connections, not lifespan.")


async def returning(scope: Any, receive: Any, send: Any) -> None:
    return


@pytest.mark.parametrize("app", [supporting, raising, returning])
async def test_the_server_gets_all_answers_and_the_last_push_comes_before_the_end(
    app: Callable[..., Any],
) -> None:
    assert await Server().run(app) == ALL


async def test_an_application_inside_another_one_says_good_bye_once() -> None:
    server = Server()

    async def outer(scope: Any, receive: Any, send: Any) -> None:
        await run_lifespan(supporting, scope, receive, send, server)

    assert await server.run(outer) == ALL


async def test_an_application_that_fails_to_start_fails() -> None:
    async def failing(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        raise OSError("no such host")

    with pytest.raises(OSError, match="no such host"):
        await Server().run(failing)


async def test_an_error_of_another_scope_is_the_servers() -> None:
    with pytest.raises(ValueError, match="Django"):
        await Server().run(raising, {"type": "other"})
