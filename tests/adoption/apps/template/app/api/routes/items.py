"""The routes of items."""

from fastapi import APIRouter, HTTPException
from sqlmodel import Session, func, select, text

from app.api.deps import SessionDep
from app.core.db import Item, engine

router = APIRouter(prefix="/items", tags=["items"])
kept: list[Session] = []


@router.get("/")
def read_items(session: SessionDep, skip: int = 0, limit: int = 100) -> dict[str, object]:
    count = session.exec(select(func.count()).select_from(Item)).one()
    items = session.exec(select(Item).order_by(Item.id).offset(skip).limit(limit)).all()
    return {"data": [item.model_dump() for item in items], "count": count}


@router.get("/report")
def report(session: SessionDep) -> str:
    session.exec(text("SELECT pg_sleep(1.5)"))
    return "done"


@router.get("/export")
def export() -> str:
    session = Session(engine)
    session.exec(text("SELECT 1"))
    kept.append(session)  # the leak: nothing closes it
    return "exported"


@router.get("/{item}")
def read_item(session: SessionDep, item: int) -> Item:
    found = session.get(Item, item)
    if not found:
        raise HTTPException(status_code=404, detail="Item not found")
    return found
