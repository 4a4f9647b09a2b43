"""Render the live pages of a situation, as the exporter does for a request."""

import re

from poolscope_exporter.core.judging.overview.last_words import NO_SILENCE, Silence
from poolscope_exporter.core.judging.situation import Situation
from poolscope_exporter.core.judging.visibility import Role
from poolscope_exporter.web.console.look import Look, PoolDetails
from poolscope_exporter.web.console.page_parts import render_view
from poolscope_exporter.web.console.page_query import PageQuery
from poolscope_exporter.web.console.pool_view import find_pool, pool_view
from poolscope_exporter.web.console.start_view import start_view

EVERYTHING = PageQuery()
NAMED_SCRIPT = re.compile(r'<script src="([^"]*)" defer></script>')


def scripts_of(page: str) -> list[str]:
    """Return the addresses of the scripts of a page, and each script that is in it as a text."""
    inline = NAMED_SCRIPT.sub("", page).split("<script")[1:]
    return NAMED_SCRIPT.findall(page) + inline


def start_page(
    situation: Situation,
    query: PageQuery = EVERYTHING,
    *,
    role: Role = Role.STANDALONE,
    silence: Silence = NO_SILENCE,
) -> str:
    look = Look(situation, "now", silence=silence, role=role)
    return render_view(start_view(look, query), query, "/live")


def pool_page(
    situation: Situation,
    query: PageQuery = EVERYTHING,
    *,
    service: str = "shop",
    pool: str = "orders",
    details: PoolDetails | None = None,
    trace_url: str | None = None,
) -> str:
    look = Look(situation, "now", trace_url=trace_url)
    states = find_pool(look, service, pool, query)
    view = pool_view(look, states, details or PoolDetails(), query)
    return render_view(view, query, "/live/pool/shop/orders")
