"""Document the sessions of a server field by field, as schemas that are not run on answers."""

from typing import Annotated

from pydantic import BaseModel, Field

Sessions = Annotated[int, Field(description="Number of client sessions.")]
Others = Annotated[
    int, Field(description="All further client sessions, with the sessions that may not be shown.")
]


class OwnerRow(BaseModel):
    """The sessions of one role in one database; a name is null if it is unknown."""

    role: str | None = Field(description="Role that the sessions log in as.")
    database: str | None = Field(description="Database of the sessions.")
    sessions: Sessions


class SessionGroupRow(OwnerRow):
    """The sessions of one role, database, program and client; null is unknown."""

    application_name: str | None = Field(description="Name that the program gave itself.")
    client_address: str | None = Field(
        description='Address of the client, "[local]" for a Unix socket; null if the exporter\'s'
        " role may not see it."
    )


class OwnerSessionsRow(BaseModel):
    """The roles and databases with most sessions, at most 10, the largest first."""

    owners: list[OwnerRow]
    others: Others


class SessionGroupsRow(BaseModel):
    """The largest groups of sessions by program and client, at most 10, the largest first."""

    groups: list[SessionGroupRow]
    others: Others
    hidden: int = Field(
        description="Sessions with a client that the exporter's role may not see; the groups"
        " count them too."
    )
