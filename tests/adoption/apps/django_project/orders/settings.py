"""The settings of a Django project with its pool, and with Celery."""

import os

SECRET_KEY = "not a secret"
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "orders.urls"
WSGI_APPLICATION = "orders.wsgi.application"
USE_TZ = True
INSTALLED_APPS = ["orders"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": "127.0.0.1",
        "PORT": os.environ["ADOPTION_PG_PORT"],
        "NAME": "postgres",
        "USER": "app",
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            "connect_timeout": 5,
            "pool": {"min_size": 1, "max_size": 5, "timeout": 10},
        },
    }
}
if broker := os.environ.get("ADOPTION_BROKER"):
    CELERY_BROKER_URL = broker
