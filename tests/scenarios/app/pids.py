"""Have the kernel give out a process id again, as happens by itself on a busy machine."""

import os
from pathlib import Path
from typing import Any

import psycopg

LAST_PID = Path("/proc/sys/kernel/ns_last_pid")


def may_choose_pids() -> bool:
    """Tell whether this process may say which pid comes next."""
    return os.geteuid() == 0 and os.access(LAST_PID, os.W_OK)


async def a_session_with(pid: int, dsn: str) -> psycopg.AsyncConnection[Any]:
    """Open connections until one's session has that pid, which must be free."""
    while True:
        LAST_PID.write_text(str(pid - 1))  # noqa: ASYNC240 - the kernel's, which does not block
        connection = await psycopg.AsyncConnection.connect(dsn, autocommit=True)
        if connection.info.backend_pid == pid:
            return connection
        await connection.close()
