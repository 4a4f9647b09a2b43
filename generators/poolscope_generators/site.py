"""Write the source of the documentation's site: every document, with a navigation by need.

`make docs-site` runs it with the folder to write, and builds the site. The documents keep their
places, so that links between them work. Links to other files lead to the repository.
"""

import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
REPOSITORY: Final = "https://github.com/poolscope/poolscope"
INDEX: Final = ROOT / "docs" / "README.md"
RUNBOOKS: Final = Path("alerts", "runbooks")
PATTERNS: Final = (
    "*.md",
    "docs/*.md",
    "docs/pictures/*.png",
    "docs/pictures/*.svg",
    "alerts/runbooks/*.md",
    "deploy/*/README.md",
)
_LINK: Final = re.compile(r"(?<=\]\()(?!https?:|mailto:|#)([^)#\s]+)")
_LISTED: Final = re.compile(r"\[[^\]]+\]\(([^)#\s]+)\)")
_FENCE: Final = re.compile(r"(?ms)^ *```.*?^ *```")

_THEME: Final = {
    "name": "material",
    "font": False,  # no asset of another host
    "features": ["navigation.tabs", "navigation.top", "search.highlight", "content.code.copy"],
}
_EXTENSIONS: Final[list[Any]] = [
    "tables",
    "md_in_html",
    "pymdownx.superfences",
    "pymdownx.highlight",
    {"toc": {"permalink": True, "slugify": "github"}},
]


def documents() -> list[Path]:
    """Return every file of the site, from the root of the project."""
    found = (path for pattern in PATTERNS for path in ROOT.glob(pattern))
    return sorted(path.relative_to(ROOT) for path in found)


def with_links(text: str, document: Path) -> str:
    """Return a document with the links that leave the site changed to the repository's."""
    known = {*documents(), RUNBOOKS / "README.md"}

    def changed(match: re.Match[str]) -> str:
        target = (ROOT / document.parent / match[1]).resolve().relative_to(ROOT)
        if target in known:
            return match[1]
        if target == RUNBOOKS:
            return f"{match[1]}/README.md"
        kind = "tree" if (ROOT / target).is_dir() else "blob"
        return f"{REPOSITORY}/{kind}/main/{target}"

    fences = _FENCE.findall(text)
    parts = (_LINK.sub(changed, part) for part in _FENCE.split(text))
    return "".join(part + fence for part, fence in zip(parts, [*fences, ""], strict=True))


def navigation() -> list[dict[str, Any]]:
    """Return the sections of docs/README.md with the documents that each links to."""
    sections: list[dict[str, Any]] = [{"poolscope": "README.md"}]
    for section in INDEX.read_text().split("\n## ")[1:]:
        pages = list(dict.fromkeys(_pages(section)))
        if pages:
            sections.append({section.partition("\n")[0]: pages})
    return sections


def _pages(section: str) -> Iterator[str]:
    for link in _LISTED.findall(section):
        target = (INDEX.parent / link).resolve().relative_to(ROOT)
        if target == RUNBOOKS:
            yield str(RUNBOOKS / "README.md")
        elif target.suffix == ".md":
            yield str(target)


def runbooks_index() -> str:
    """Return the page that lists the runbooks."""
    names = sorted(path.stem for path in (ROOT / RUNBOOKS).glob("*.md"))
    return "\n".join(["# Runbooks", "", *(f"- [{name}]({name}.md)" for name in names), ""])


def settings(source: Path, site: Path) -> dict[str, Any]:
    """Return the settings of MkDocs; JSON is YAML too."""
    return {
        "site_name": "poolscope",
        "docs_dir": str(source),
        "site_dir": str(site),
        "theme": _THEME,
        "nav": navigation(),
        "not_in_nav": "/alerts/runbooks/*\n/CHANGELOG.md\n/deploy/*\n",
        "markdown_extensions": _EXTENSIONS,
        "plugins": ["search"],
        "validation": {"anchors": "warn", "unrecognized_links": "warn"},
        "strict": True,
    }


def write(folder: Path) -> None:
    """Write source and settings into an empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    source = folder / "source"
    for document in documents():
        copy = source / document
        copy.parent.mkdir(parents=True, exist_ok=True)
        if document.suffix == ".md":
            copy.write_text(with_links((ROOT / document).read_text(), document))
        else:
            shutil.copyfile(ROOT / document, copy)
    (source / RUNBOOKS / "README.md").write_text(runbooks_index())
    text = json.dumps(settings(source.resolve(), (folder / "site").resolve()), indent=1)
    slugs = '"slugify": "github"'
    assert slugs in text
    text = text.replace(
        slugs, '"slugify": !!python/object/apply:pymdownx.slugs.slugify {"kwds": {"case": "lower"}}'
    )
    (folder / "mkdocs.yml").write_text(text)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
