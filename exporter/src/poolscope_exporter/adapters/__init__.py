"""Translate between the core and the world: PostgreSQL, OTLP, Prometheus, HTTP. Decide nothing."""
