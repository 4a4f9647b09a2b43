"""The application, in the shape of the full-stack FastAPI template."""

import os

import count_sqlalchemy
from fastapi import FastAPI
from sqlmodel import Session

from app.api.main import api_router
from app.core.db import engine, init_db

if os.environ.get("ADOPTION_LINE"):
    import poolscope

    poolscope.instrument()

count_sqlalchemy.count_pools()

with Session(engine) as first:
    init_db(first)

app = FastAPI(title="template")
app.include_router(api_router, prefix="/api/v1")
