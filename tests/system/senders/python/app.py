"""A SQLAlchemy pool that fills up, with OpenTelemetry's own instrumentation and no poolscope.

Usage: python app.py HOST PORT HOLDERS WAITERS; it runs until SIGTERM.
"""

import contextlib
import sys
import threading

import sqlalchemy
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
from opentelemetry.metrics import set_meter_provider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from sqlalchemy import Engine
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

TIMEOUT_S = 0.5


def wait(engine: Engine) -> None:
    while True:
        with contextlib.suppress(PoolTimeoutError), engine.connect():
            pass


def main(host: str, port: str, holders: str, waiters: str) -> None:
    reader = PeriodicExportingMetricReader(OTLPMetricExporter())
    set_meter_provider(MeterProvider([reader]))
    # It does not declare SQLAlchemy 2.1 yet, but runs with it.
    SQLAlchemyInstrumentor().instrument(skip_dep_check=True)
    url = f"postgresql+psycopg://postgres@{host}:{port}/postgres"
    # Not `from sqlalchemy import create_engine`: the instrumentation replaces the module's name.
    engine = sqlalchemy.create_engine(url, pool_size=5, max_overflow=0, pool_timeout=TIMEOUT_S)
    held = [engine.connect() for _ in range(int(holders))]
    for _ in range(int(waiters)):
        threading.Thread(target=wait, args=(engine,), daemon=True).start()
    threading.Event().wait()
    del held


if __name__ == "__main__":
    main(*sys.argv[1:])
