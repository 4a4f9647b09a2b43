"""A plugin of pytest: every event loop that a test makes is uvloop's."""

import asyncio

import uvloop  # type: ignore[import-not-found] # it is in a folder of its own

asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())


def pytest_sessionstart() -> None:
    """Fail where this Python takes its loops from elsewhere: the tests would show nothing."""
    loop = asyncio.new_event_loop()
    assert isinstance(loop, uvloop.Loop)
    loop.close()
