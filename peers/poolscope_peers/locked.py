"""The versions and hashes of a lock file that `make lock` wrote."""

import re


class NotLockedError(LookupError):
    """A distribution without an entry in the lock file."""


def locked_entry(lock: str, distribution: str) -> str:
    """Return the lines of a distribution with its version and hashes, as pip reads them."""
    pattern = rf"^{re.escape(distribution)}==\S+[^\n]*(?:\n +--hash=[^\n]*)*"
    found = re.search(pattern, lock, re.MULTILINE)
    if found is None:
        raise NotLockedError(f"{distribution} is not locked: add it to peers.in, run make lock")
    return found[0].removesuffix(" \\")


def locked_version(lock: str, distribution: str) -> str:
    """Return the version of a distribution."""
    return locked_entry(lock, distribution).split()[0].partition("==")[2]
