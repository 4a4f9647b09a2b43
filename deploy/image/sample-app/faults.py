"""Break things under the shop, over and over: a row that stays locked, then sessions that die.

It logs in as the shop's own role, which may end the sessions of that role and no others.
"""

import os
import time
from pathlib import Path

import psycopg

LOCKED_S = float(os.environ.get("FAULTS_LOCKED_S", "20"))
PAUSE_S = float(os.environ.get("FAULTS_PAUSE_S", "40"))

LOCK = "UPDATE poolscope_demo.orders SET state = 'locked' WHERE id <= 10"
END_SESSIONS = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE usename = current_user AND pid <> pg_backend_pid()
"""


def main() -> None:
    """Go through the faults for ever; `FAULTS_DSN` is libpq's, without a password."""
    password = Path(os.environ["DEMO_PASSWORD_FILE"]).read_text(encoding="utf-8").strip()
    with psycopg.connect(os.environ["FAULTS_DSN"], password=password) as connection:
        while True:
            time.sleep(PAUSE_S)
            _say("locking ten orders: payments of them are blocked")
            connection.execute(LOCK)
            time.sleep(LOCKED_S)
            connection.rollback()
            time.sleep(PAUSE_S)
            _say("ending every session of the shop: its pool holds stale sockets")
            connection.execute(END_SESSIONS)
            connection.commit()


def _say(what: str) -> None:
    print(what, flush=True)  # noqa: T201 - the container's log


if __name__ == "__main__":
    main()
