"""Document the answer that compares the versions of a service."""

from pydantic import BaseModel, Field

from poolscope_exporter.web.api_answers import CommonAnswer


class ReleaseRow(BaseModel):
    """One version of a service and one of its pools, over all processes; null is unknown."""

    service: str = Field(description="`service.name`.")
    service_namespace: str = Field(description="`service.namespace`; empty if there is none.")
    pool: str = Field(description="Name of the pool.")
    db_namespace: str = Field(description="Database of the pool.")
    server_address: str = Field(description="Address to which the pool connects.")
    server_port: int | None = Field(description="Port to which the pool connects.")
    version: str = Field(description="`service.version` of its processes.")
    processes: int = Field(description="Processes of this version, with the ended ones.")
    live: int = Field(description="Processes of this version that push now.")
    first_seen_age_s: float = Field(
        description="Seconds since the exporter received the first push of this version."
    )
    checkouts: int | None = Field(description="Connections that were taken.")
    wait_p95_s: float | None = Field(
        description="Seconds within which 95 % of the callers got a connection."
    )
    timeouts: int | None = Field(description="Callers that gave up.")
    failures: int | None = Field(description="Callers that got an error.")
    leaks: int | None = Field(description="Connections that leaked.")
    failed_share: float | None = Field(
        description="Share of the callers that gave up or got an error, 0 to 1."
    )
    leaked_share: float | None = Field(description="Leaks per caller, 0 to 1.")


class ReleasesAnswer(CommonAnswer):
    """The versions of each service, the newest version first, to compare two releases."""

    releases: list[ReleaseRow]
    matching: int = Field(description="Number of rows.")
