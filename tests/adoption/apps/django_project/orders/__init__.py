"""A Django project."""

import os

if os.environ.get("ADOPTION_BROKER"):
    from orders.celery import app as celery_app

    __all__ = ("celery_app",)
