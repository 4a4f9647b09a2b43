"""The tasks of the project."""

from celery import shared_task

from orders import queries


@shared_task
def read_stock(item: int) -> int:
    return queries.amount_of(item)


@shared_task
def report() -> str:
    return queries.sleep_on_server()


@shared_task
def export() -> str:
    return queries.leak()
