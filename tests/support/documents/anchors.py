"""Find the links of a document, and the anchors that a heading of a document has."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt

_LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]*))?\)")
_CODE = re.compile(r"(?s)```.*?```")


@dataclass(frozen=True, slots=True)
class DocumentLink:
    """A link between documents; `anchor` is "" where the link has none."""

    target: Path
    anchor: str

    def __str__(self) -> str:
        return f"{self.target.name}#{self.anchor}" if self.anchor else self.target.name

    @property
    def leads_somewhere(self) -> bool:
        """Tell whether the file exists, and with an anchor, also the heading."""
        if not self.anchor:
            return self.target.exists()
        return self.target.is_file() and self.anchor in anchors(self.target)


def document_links(text: str, document: Path) -> list[DocumentLink]:
    """Return the links of a text of `document`, web addresses left out."""
    return [
        DocumentLink(document.parent / target if target else document, anchor)
        for target, anchor in _LINK.findall(_CODE.sub("", text))
    ]


@cache
def anchors(document: Path) -> frozenset[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    tokens = MarkdownIt().parse(document.read_text())
    titles = (tokens[n + 1].content for n, each in enumerate(tokens) if each.type == "heading_open")
    return frozenset(
        re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles
    )
