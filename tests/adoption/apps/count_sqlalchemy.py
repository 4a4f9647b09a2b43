"""Count each checkout of SQLAlchemy, by its own event: for applications that cannot be changed."""

from sqlalchemy import event
from sqlalchemy.pool import Pool
from truth import count_checkout


def count_pools() -> None:
    """Count the checkouts of all pools, present and future; Python runs a .pth file twice."""
    if not event.contains(Pool, "checkout", _count):
        event.listen(Pool, "checkout", _count)


def _count(*_: object) -> None:
    count_checkout()
