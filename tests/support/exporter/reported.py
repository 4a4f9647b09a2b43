"""Builders of what the demo and `top` read from the API; a test names only what it is about."""

from typing import Any

from poolscope_exporter.terminal.reported import ReportedCheckout, ReportedPool


def a_reported_checkout(**changes: Any) -> ReportedCheckout:
    """Return a leaked checkout with everything known of it, but for `changes`."""
    values: dict[str, Any] = {
        "verdict": "leaked",
        "evidence": "request_finished",
        "service": "shop",
        "service_instance_id": "a1",
        "pool": "orders",
        "checkout_id": 7,
        "route": "/orders/{order_id}/export",
        "code_file": "shop/app.py",
        "code_line": 12,
        "age_s": 3.25,
        "backend_pid": 4242,
        "server_state": "idle in transaction",
        "link": "address",
    }
    return ReportedCheckout(**{**values, **changes})


def a_reported_pool(**changes: Any) -> ReportedPool:
    """Return a leaking pool under pressure, but for `changes`."""
    values: dict[str, Any] = {
        "service": "shop",
        "pool": "orders",
        "diagnosis": "leaking",
        "reasons": ("3 of 10 connections have leaked",),
        "used": 9,
        "max": 10,
        "pending": 4,
    }
    return ReportedPool(**{**values, **changes})
