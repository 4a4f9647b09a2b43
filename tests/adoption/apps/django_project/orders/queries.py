"""What views and tasks ask the database; Django's own signal counts each checkout."""

from django.db import connection
from django.db.backends.signals import connection_created
from truth import count_checkout

kept: list[object] = []


def count_connection(**_: object) -> None:
    count_checkout()


connection_created.connect(count_connection)


def amount_of(item: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT amount FROM stock WHERE id = %s", [item])
        return int(cursor.fetchone()[0])


def sleep_on_server() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(1.5)")
    return "done"


def leak() -> str:
    lost = connection.copy()
    with lost.cursor() as cursor:
        cursor.execute("SELECT 1")
    kept.append(lost)  # the leak: Django closes only the connections that it made itself
    return "exported"
