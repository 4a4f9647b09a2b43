"""Document the answer of the occupancy profile field by field."""

from pydantic import BaseModel, Field

from poolscope_exporter.web.api_answers import CommonAnswer


class ProfileLineRow(BaseModel):
    """One way in which connections of a service's pool were out; null is unknown."""

    service: str = Field(description="`service.name`.")
    service_namespace: str = Field(description="`service.namespace`; empty if there is none.")
    pool: str = Field(description="Name of the pool.")
    route: str | None = Field(description="HTTP route that took the connections.")
    taken_at: str | None = Field(description="Line that took them, as `file:line`.")
    now_at: str | None = Field(description="Line at which their owners were, as `file:line`.")
    call: str | None = Field(description="Function of a library that was called there.")
    doing: str = Field(
        description="database, application, unknown, other, or the call that the owner waited in."
    )
    seconds: float = Field(description="Time of all these connections together.")
    share: float = Field(description="Share of this time in the whole profile, 0 to 1.")


class ProfileAnswer(CommonAnswer):
    """The use of the connections that were out, by samples; the longest time first."""

    profile: list[ProfileLineRow]
    window_s: float = Field(description="Seconds that the profile covers.")
    connection_seconds: float = Field(description="Time of all connections that were out.")
    database_share: float | None = Field(
        description="Share of this time in which the owner waited for the database; null if no"
        " connection was out."
    )
