"""Pools and held checkouts as the exporter's API reports them.

An older exporter sends fewer fields: one with a default is not needed. None is unknown.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReportedNow:
    """Where the owner of a checkout is now; None for values that the exporter does not have."""

    summary: str
    code_file: str | None
    code_line: int | None
    call: str | None


@dataclass(frozen=True, slots=True)
class ReportedCheckout:
    """One held checkout with its verdict; None for values that the exporter does not have."""

    verdict: str
    evidence: str | None
    service: str
    service_instance_id: str
    pool: str
    checkout_id: int
    route: str | None
    code_file: str | None
    code_line: int | None
    age_s: float
    backend_pid: int | None
    server_state: str | None
    link: str
    now: ReportedNow | None = None
    code_function: str | None = None
    reason: str | None = None
    service_namespace: str = ""
    process: str = ""
    db_namespace: str = ""
    server_address: str = ""
    server_port: int | None = None


@dataclass(frozen=True, slots=True)
class ReportedWaiters:
    """Callers that wait for the same thing at one line for one route."""

    phase: str
    route: str | None
    code_file: str | None
    code_line: int | None
    code_function: str | None
    age_s: float
    count: int
    now: ReportedNow | None = None


@dataclass(frozen=True, slots=True)
class ReportedPool:
    """One pool of one process with its diagnosis; None for values that the exporter lacks."""

    service: str
    pool: str
    diagnosis: str
    reasons: tuple[str, ...]
    used: int | None
    max: int | None
    pending: int | None
    service_namespace: str = ""
    service_instance_id: str = ""
    process: str = ""
    db_namespace: str = ""
    server_address: str = ""
    server_port: int | None = None
    is_probable: bool = False
    diagnosis_age_s: float | None = None
    idle: int | None = None
    overflow: int | None = None
    failures_per_minute: float | None = None
    waiters: tuple[ReportedWaiters, ...] | None = None
    waiters_waiting: int | None = None
    waiters_listed: int | None = None
