"""Get the password of a server again for each connect, from a file or a command."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from poolscope_exporter.polling.errors import Reason, ServerUnavailableError
from poolscope_exporter.threads.daemon_threads import DaemonThreads

DEADLINE_S = 10.0
END_S = 2.0


class Passwords(Protocol):
    """A source of the password for the next connection."""

    async def fetch(self) -> str:
        """Return the current password; raise ServerUnavailableError if there is none."""


class PasswordFile:
    """A file with the password in its first line, read again at each connect."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._threads = DaemonThreads("password-file")

    async def fetch(self) -> str:
        """Return the first line; the file may be on a slow volume, so a thread reads it."""
        try:
            async with asyncio.timeout(DEADLINE_S):
                text = await self._threads.run(self._read)
        except TimeoutError:
            raise _missing(f"the password file was not read within {DEADLINE_S:g} s") from None
        except OSError as exc:
            raise _missing(f"the password file cannot be read: {exc.strerror or exc}") from exc
        except UnicodeDecodeError:
            raise _missing("the password file is not UTF-8 text") from None
        return _first_line(text) or _refuse("the first line of the password file is empty")

    def _read(self) -> str:
        return self._path.read_text(encoding="utf-8")


class PasswordCommand:
    """A program that prints the password in its first line, such as a token of IAM or Entra.

    It runs without a shell. Its standard error is dropped because that may contain a secret.
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        self._arguments = tuple(arguments)

    async def fetch(self) -> str:
        """Run the command for at most 10 s and return its first line."""
        try:
            process = await asyncio.create_subprocess_exec(
                *self._arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                start_new_session=True,  # so that its children end with it
            )
        except (OSError, ValueError) as exc:
            why = getattr(exc, "strerror", None) or "wrong arguments"
            raise _missing(f"the password command cannot be run: {why}") from exc
        try:
            async with asyncio.timeout(DEADLINE_S):
                return await _password_of(process)
        except TimeoutError:
            raise _missing(f"the password command did not end within {DEADLINE_S:g} s") from None
        finally:
            await _end(process)


def passwords_of(file: Path | None, command: Sequence[str] | None) -> Passwords | None:
    """Return the source of passwords; with None, libpq takes the password from the DSN."""
    if command:
        return PasswordCommand(command)
    return PasswordFile(file) if file else None


async def _password_of(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    try:
        line = await process.stdout.readline()
        while await process.stdout.read(4096):
            pass  # a full pipe would block the command
    except ValueError:
        raise _missing("the password command's first line is too long") from None
    if status := await process.wait():
        raise _missing(f"the password command ended with status {status}; run it by hand")
    return _first_line(line.decode("utf-8", "replace")) or _refuse(
        "the password command printed no password"
    )


async def _end(process: asyncio.subprocess.Process) -> None:
    """End the command and everything that it started.

    Its output is read to the end because asyncio waits for that too. A reader with a full buffer
    has stopped reading.
    """
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    try:
        async with asyncio.timeout(END_S):
            await process.communicate()
    except TimeoutError:  # a child outside the group may keep it open
        transport: asyncio.SubprocessTransport = process._transport  # type: ignore[attr-defined]  # noqa: SLF001 - a process has no `close`
        transport.close()


def _first_line(text: str) -> str:
    return text.partition("\n")[0].removesuffix("\r")


def _refuse(message: str) -> str:
    raise _missing(message)


def _missing(message: str) -> ServerUnavailableError:
    return ServerUnavailableError(Reason.CREDENTIALS, message)
