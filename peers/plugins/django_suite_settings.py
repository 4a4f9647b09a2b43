"""Settings for Django's own tests on PostgreSQL; with a pool if `PEERS_DJANGO_POOL` is set."""

import os
from typing import Any

SERVER: dict[str, Any] = {
    "ENGINE": "django.db.backends.postgresql",
    "HOST": "127.0.0.1",
    "PORT": os.environ["PEERS_DJANGO_PORT"],
    "USER": "postgres",
    "OPTIONS": {"pool": {"max_size": 10}} if os.environ.get("PEERS_DJANGO_POOL") else {},
}
DATABASES = {name: SERVER | {"NAME": f"django_{name}"} for name in ("default", "other")}

SECRET_KEY = "django_tests_secret_key"  # noqa: S105 - the name that Django's own settings have
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
USE_TZ = False
