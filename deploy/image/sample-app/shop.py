"""Run the demo's shop, with the database's password from a file.

`DEMO_DATABASE_URL` is SQLAlchemy's, without a password; `DEMO_PASSWORD_FILE` has that.
"""

import os
from pathlib import Path

import uvicorn
from sqlalchemy import make_url

HOST, PORT = os.environ.get("SHOP_LISTEN", "0.0.0.0:8000").rsplit(":", 1)


def main() -> None:
    """Serve until a signal comes."""
    url = make_url(os.environ["DEMO_DATABASE_URL"])
    if file := os.environ.get("DEMO_PASSWORD_FILE"):
        url = url.set(password=Path(file).read_text(encoding="utf-8").strip())
    os.environ["DEMO_DATABASE_URL"] = url.render_as_string(hide_password=False)
    uvicorn.run(
        "poolscope_exporter.demo.sample_app:app",
        host=HOST,
        port=int(PORT),
        log_level="warning",
        timeout_graceful_shutdown=5,
    )


if __name__ == "__main__":
    main()
