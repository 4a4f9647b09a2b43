"""The WSGI application of the project."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orders.settings")
if os.environ.get("ADOPTION_LINE"):
    import poolscope

    poolscope.instrument()

application = get_wsgi_application()
