"""The views: some of them ask the database, others let Celery do it."""

from celery import current_app
from django.http import HttpRequest, HttpResponse

from orders import queries


def read_stock(request: HttpRequest, item: int) -> HttpResponse:
    return HttpResponse(queries.amount_of(item))


def report(request: HttpRequest) -> HttpResponse:
    return HttpResponse(queries.sleep_on_server())


def export(request: HttpRequest) -> HttpResponse:
    return HttpResponse(queries.leak())


def send_task(request: HttpRequest, task: str, item: int = 0) -> HttpResponse:
    current_app.send_task(f"orders.tasks.{task}", args=[item] if task == "read_stock" else [])
    return HttpResponse("sent")
