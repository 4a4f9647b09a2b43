"""Read what an exporter's pages show: the start page, and the page of each pool that it links."""

import re
from collections.abc import Callable
from html import unescape

POOL_LINK = re.compile(r'href="(/pool/[^"]*)"')


def pool_paths(start_page: str) -> list[str]:
    """Return the addresses of the pools' pages in the order of the start page, the worst first."""
    return [unescape(each) for each in dict.fromkeys(POOL_LINK.findall(start_page))]


def shown_on_pages(read: Callable[[str], str]) -> str:
    """Return the text of all pages; `read` gets the path of a page."""
    start = read("/")
    return "\n".join([start, *map(read, pool_paths(start))])
