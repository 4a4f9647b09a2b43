"""A server is ready when it says so itself, in its own data directory."""

from pathlib import Path

import pytest

from poolscope_exporter.demo.postgres_data import is_ready

# As PostgreSQL writes it: process id, data, start, port, socket folder, address, key, status.
FILE = "{pid}\n/data\n1700000000\n5432\n\n127.0.0.1\n  12345  1\n{status}\n"


@pytest.mark.parametrize(
    ("text", "ready"),
    [
        (FILE.format(pid=42, status="ready   "), True),
        (FILE.format(pid=42, status="starting"), False),
        (FILE.format(pid=41, status="ready   "), False),
        ("42\n/data\n", False),
        ("", False),
        (None, False),
    ],
    ids=["ready", "starting", "left by a crashed server", "half written", "empty", "absent"],
)
def test_ready_is_what_this_very_server_says(tmp_path: Path, text: str | None, ready: bool) -> None:
    if text is not None:
        (tmp_path / "postmaster.pid").write_text(text)
    assert is_ready(tmp_path, 42) is ready
