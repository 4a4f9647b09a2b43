"""The applications that adopt poolscope, and what must be shown of each incident in them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from poolscope_generators.adoption.record import Phase

Call = tuple[str, str]
"""A method and a path."""

STOCK: Final = "stock"
HOST_AND_PORT: Final = ("--host", "127.0.0.1", "--port", "{port}")
NO_CODE: Final = ("opentelemetry-instrument",)
GUNICORN: Final = (
    "gunicorn", "--bind", "127.0.0.1:{port}", "--worker-class", "gthread", "--log-level", "error",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class App:
    """One application: how it starts, what its clients call, and how it is hurt.

    The first of `commands` is instrumented, and reports the pools; the last one answers HTTP.
    `table` is locked, and calls of `reads` need it. If no call of the application is slow by
    itself, reads of `slow_table` are slowed in the database. `reports_per_s` is at least 1.5 times
    the number of slow calls that the pools can serve. `missing` has the reason for each incident
    that cannot be played, `also` the further right words in this application.
    If it `stays_stuck` after an incident, its processes are replaced. With `needs_extensions`, the
    server has PostgreSQL's own extensions, which the wheel has not. With `needs_broker`, a Redis
    carries its tasks.
    """

    name: str
    title: str
    pool: str
    adopted_by: str
    environment: str
    folder: str
    commands: tuple[tuple[str, ...], ...]
    reads: tuple[Call, ...]
    table: str = STOCK
    leak: Call | None = None
    report: Call | None = None
    slow_table: str | None = None
    reports_per_s: float = 12.0
    uses_no_code: bool = False
    has_equal_answers: bool = True
    needs_extensions: bool = False
    needs_broker: bool = False
    variables: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    missing: Mapping[Phase, str] = field(default_factory=lambda: MappingProxyType({}))
    also: Mapping[Phase, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    stays_stuck: bool = False


NO_LEAK: Final = "its code cannot be changed"

APPS: Final = (
    App(
        "django", "Django under gunicorn", "Django's pool (psycopg_pool), at most 5",
        "one line in wsgi.py", "django", "django_project",
        ((*GUNICORN, "--workers", "2", "--threads", "24", "orders.wsgi"),),
        tuple(("GET", f"/stock/{item}/") for item in (1, 2, 3)),
        leak=("GET", "/export/"), report=("GET", "/report/"),
    ),
    App(
        "celery", "Celery with Django", "Django's pool, a new one for each task",
        "one line in celery.py", "django", "django_project",
        (
            ("celery", "-A", "orders", "worker", "--concurrency", "2", "--loglevel", "WARNING",
             "--without-mingle", "--without-gossip", "--without-heartbeat"),
            (*GUNICORN, "--workers", "1", "--threads", "4", "orders.wsgi"),
        ),
        tuple(("GET", f"/tasks/read_stock/{item}/") for item in (1, 2, 3)),
        leak=("GET", "/tasks/export/"), needs_broker=True,
        missing={Phase.EXHAUSTION: "a child has one task and so takes one connection"},
    ),
    App(
        "litestar", "Litestar", "SQLAlchemy with asyncpg, 5 + 3",
        "one line, and PoolscopeMiddleware", "litestar", ".",
        (("uvicorn", "litestar_shop:app", *HOST_AND_PORT, "--log-level", "warning"),),
        tuple(("GET", f"/shop/stock/{item}") for item in (1, 2, 3)),
        leak=("GET", "/shop/export"), report=("GET", "/shop/report"),
    ),
    App(
        "aiohttp", "aiohttp", "asyncpg's pool, at most 7", "one line", "aiohttp", ".",
        (("python", "aiohttp_shop.py"),),
        tuple(("GET", f"/stock/{item}") for item in (1, 2, 3)),
        leak=("GET", "/export"), report=("GET", "/report"),
    ),
    App(
        "template", "the shape of the full-stack FastAPI template",
        "SQLModel with psycopg, 5 + 10 by default", "one line in main.py", "template", "template",
        (("fastapi", "run", *HOST_AND_PORT, "app/main.py"),),
        (("GET", "/api/v1/items/"), ("GET", "/api/v1/items/1"), ("GET", "/api/v1/items/2")),
        table="item", leak=("GET", "/api/v1/items/export"), report=("GET", "/api/v1/items/report"),
        reports_per_s=20.0,
        also={Phase.EXHAUSTION: ("threads_exhausted",)},
        stays_stuck=True,
    ),
    App(
        "prefect", "Prefect's server", "SQLAlchemy with asyncpg, 5 + 10",
        "opentelemetry-instrument prefect server start", "prefect", ".",
        (("prefect", "server", "start", *HOST_AND_PORT),),
        (("POST", "/api/flow_runs/count"), ("POST", "/api/flows/count"),
         ("POST", "/api/flow_runs/filter")),
        table="flow_run", report=("POST", "/api/flows/count"), slow_table="flow",
        reports_per_s=20.0,
        uses_no_code=True, has_equal_answers=False, needs_extensions=True,
        variables={
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": "{url}",
            "PREFECT_HOME": "{home}",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
        },
        missing={Phase.LEAK: NO_LEAK},
    ),
    App(
        "mlflow", "MLflow's server", "SQLAlchemy with psycopg2, 5 + 2 in each of its processes",
        "opentelemetry-instrument mlflow server, a push every 2 s", "mlflow", ".",
        (("mlflow", "server", *HOST_AND_PORT, "--workers", "1", "--backend-store-uri",
          "{url}?connect_timeout=5", "--artifacts-destination", "{home}"),),
        (("GET", "/api/2.0/mlflow/experiments/get?experiment_id=0"),
         ("GET", "/api/2.0/mlflow/experiments/search?max_results=10")),
        table="experiments", report=("GET", "/api/2.0/mlflow/experiments/get?experiment_id=0"),
        slow_table="experiments", uses_no_code=True, has_equal_answers=False,
        variables={
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "DO_NOT_TRACK": "1",
            # It makes 6 pools. By SQLAlchemy's default, they may open 90 of 100 connections.
            "MLFLOW_SQLALCHEMYSTORE_POOL_SIZE": "5",
            "MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW": "2",
            # Two processes end without a last push, and are dropped when three are missing.
            "POOLSCOPE_PUSH_INTERVAL_S": "2",
        },
        missing={Phase.LEAK: NO_LEAK},
    ),
)  # fmt: skip

DRIVERS: Final = {
    "litestar": "postgresql+asyncpg",
    "template": "postgresql+psycopg",
    "prefect": "postgresql+asyncpg",
    "mlflow": "postgresql+psycopg2",
}
BY_NAME: Final = {app.name: app for app in APPS}
OF_CI: Final = ("django", "celery", "litestar")
