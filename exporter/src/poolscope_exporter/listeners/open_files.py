"""Raise the limit on open files: many systems permit 1,024 unless a process raises it."""

import resource

OTHERS = 128
"""Open files other than connections: sockets to servers, logs and the event loop's files."""


def raise_file_limit(connections: int) -> int:
    """Raise the limit on open files for this many connections; return how many it permits.

    The result is smaller if the system's hard limit is lower.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + OTHERS
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY:
        return connections
    return max(1, min(connections, soft - OTHERS))
