"""The versions and hashes of a lock file that `make lock` wrote."""

import re

from packaging.markers import Marker


class NotLockedError(LookupError):
    """A distribution without an entry in the lock file."""


def locked_entry(lock: str, distribution: str) -> str:
    """Return the lines of a distribution with its version and hashes, as pip reads them."""
    pattern = rf"^{re.escape(distribution)}==\S+[^\n]*(?:\n +--hash=[^\n]*)*"
    entries = [found[0] for found in re.finditer(pattern, lock, re.MULTILINE)]
    # A lock for several Pythons may have a version for each: that of this Python is installed.
    found = next(filter(_applies, entries), None)
    if found is None:
        raise NotLockedError(f"{distribution} is not locked: add it to peers.in, run make lock")
    return found.removesuffix(" \\")


def _applies(entry: str) -> bool:
    marker = entry.splitlines()[0].removesuffix(" \\").partition(" ; ")[2]
    return not marker or Marker(marker).evaluate()


def locked_version(lock: str, distribution: str) -> str:
    """Return the version of a distribution."""
    return locked_entry(lock, distribution).split()[0].partition("==")[2]
