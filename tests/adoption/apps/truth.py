"""Count what an application takes from its pools, in a file of one byte for each checkout.

It needs nothing of poolscope and survives forks, restarts and kills.
"""

import os

FILE = "ADOPTION_TRUTH"


def count_checkout() -> None:
    """Add one to the application's own count of checkouts."""
    out = os.open(os.environ[FILE], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(out, b".")
    os.close(out)
