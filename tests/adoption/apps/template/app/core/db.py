"""The engine, as the full-stack FastAPI template makes it: SQLAlchemy's defaults."""

import os

from sqlmodel import Field, Session, SQLModel, create_engine, select

engine = create_engine(os.environ["ADOPTION_URL"])


class Item(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    title: str
    amount: int = 0


def init_db(session: Session) -> None:
    SQLModel.metadata.create_all(engine)
    if session.exec(select(Item)).first() is None:
        session.add_all([Item(title=f"item {number}") for number in range(9)])
        session.commit()
