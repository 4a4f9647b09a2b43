"""Get the password of a server anew for each connect, where it changes: a file, or a command."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from poolscope_exporter.polling.errors import Reason, ServerUnavailableError

COMMAND_DEADLINE_S = 10.0


class Passwords(Protocol):
    """Where the password of the next connection comes from."""

    async def fetch(self) -> str:
        """Return the password of this moment; raises ServerUnavailableError without it."""


class PasswordFile:
    """A file whose first line is the password, read again at each connect."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def fetch(self) -> str:
        """Return the first line; the file may lie on a slow volume, so a thread reads it."""
        try:
            text = await asyncio.to_thread(self._path.read_text, encoding="utf-8")
        except OSError as exc:
            raise _missing(f"the password file cannot be read: {exc.strerror or exc}") from exc
        except UnicodeDecodeError:
            raise _missing("the password file is not UTF-8 text") from None
        return _first_line(text) or _refuse("the first line of the password file is empty")


class PasswordCommand:
    """A program whose first line of output is the password: a token of IAM or Entra, say.

    It is run without a shell. What it writes to standard error is dropped: that may hold a secret.
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        self._arguments = tuple(arguments)

    async def fetch(self) -> str:
        """Run the command, for 10 s at most."""
        try:
            process = await asyncio.create_subprocess_exec(
                *self._arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                start_new_session=True,  # what it starts is ended with it
            )
        except (OSError, ValueError) as exc:
            why = getattr(exc, "strerror", None) or "wrong arguments"
            raise _missing(f"the password command cannot be run: {why}") from exc
        try:
            async with asyncio.timeout(COMMAND_DEADLINE_S):
                return await _password_of(process)
        except TimeoutError:
            raise _missing(
                f"the password command did not end within {COMMAND_DEADLINE_S:g} s"
            ) from None
        finally:
            await _end(process)


def passwords_of(file: Path | None, command: Sequence[str] | None) -> Passwords | None:
    """Return where passwords come from; None leaves it to libpq and the DSN."""
    if command:
        return PasswordCommand(command)
    return PasswordFile(file) if file else None


async def _password_of(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    try:
        line = await process.stdout.readline()
        while await process.stdout.read(4096):
            pass  # a full pipe would keep the command from ending
    except ValueError:
        raise _missing("the password command's first line is too long") from None
    if status := await process.wait():
        raise _missing(f"the password command ended with status {status}; run it by hand to see")
    return _first_line(line.decode("utf-8", "replace")) or _refuse(
        "the password command printed no password"
    )


async def _end(process: asyncio.subprocess.Process) -> None:
    """End the command and everything that it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


def _first_line(text: str) -> str:
    return text.partition("\n")[0].removesuffix("\r")


def _refuse(message: str) -> str:
    raise _missing(message)


def _missing(message: str) -> ServerUnavailableError:
    return ServerUnavailableError(Reason.CREDENTIALS, message)
