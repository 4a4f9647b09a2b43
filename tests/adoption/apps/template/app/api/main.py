"""All routes."""

from app.api.routes import items
from fastapi import APIRouter

api_router = APIRouter()
api_router.include_router(items.router)
