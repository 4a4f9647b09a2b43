"""Versions and hashes are read from the lock file."""

import pytest

from poolscope_peers.folders import LOCK, ROOT
from poolscope_peers.locked import NotLockedError, locked_entry, locked_version
from poolscope_peers.suites import PSYCOPG, SUITES, Suite

A_LOCK = """\
# made by uv
starlette==1.2.3 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
    # via fastapi
uvloop==0.1 ; sys_platform != 'win32' \\
    --hash=sha256:cc
django==5.2 ; python_full_version < '3' \\
    --hash=sha256:dd
django==6.1 ; python_full_version >= '3' \\
    --hash=sha256:ee
"""


def test_entry_has_version_and_hashes_but_no_comment() -> None:
    expected = "starlette==1.2.3 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb"
    assert locked_entry(A_LOCK, "starlette") == expected
    assert locked_version(A_LOCK, "starlette") == "1.2.3"


def test_marker_is_not_part_of_the_version() -> None:
    assert locked_version(A_LOCK, "uvloop") == "0.1"


def test_entry_of_another_python_is_not_taken() -> None:
    assert locked_version(A_LOCK, "django") == "6.1"
    assert "sha256:dd" not in locked_entry(A_LOCK, "django")


def test_distribution_that_is_not_locked_is_an_error_with_the_cure() -> None:
    with pytest.raises(NotLockedError, match="make lock"):
        locked_version(A_LOCK, "star")


@pytest.mark.parametrize("suite", [*SUITES, PSYCOPG], ids=lambda suite: suite.name)
def test_suites_run_in_the_versions_of_our_own_tests(suite: Suite) -> None:
    distribution = suite.distribution
    ours = (ROOT / "requirements" / "dev.txt").read_text()
    if f"\n{distribution}==" in ours:
        assert locked_version(LOCK.read_text(), distribution) == locked_version(ours, distribution)
