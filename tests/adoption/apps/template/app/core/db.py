"""The engine of the full-stack FastAPI template, and the two settings that it lacks.

The template has SQLAlchemy's defaults. The checks C5 and C14 warn of them, with reason: without
these settings, a restart of PostgreSQL fails a request for each idle connection, and an attempt to
reach a lost server waits for minutes.
"""

import os

from sqlmodel import Field, Session, SQLModel, create_engine, select

engine = create_engine(
    os.environ["ADOPTION_URL"], pool_pre_ping=True, connect_args={"connect_timeout": 5}
)


class Item(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    title: str
    amount: int = 0


def init_db(session: Session) -> None:
    SQLModel.metadata.create_all(engine)
    if session.exec(select(Item)).first() is None:
        session.add_all([Item(title=f"item {number}") for number in range(9)])
        session.commit()
