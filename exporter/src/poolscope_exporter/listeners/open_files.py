"""Make room for connections: a process may often open 1,024 files unless it asks for more."""

import resource

OTHERS = 128
"""Files that are open beside connections: sockets to servers, logs, the event loop's own."""


def raise_file_limit(connections: int) -> int:
    """Raise the limit on open files as far as so many connections need; return for how many it is.

    That is fewer where the system's hard limit is lower.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + OTHERS
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY:
        return connections
    return max(1, min(connections, soft - OTHERS))
