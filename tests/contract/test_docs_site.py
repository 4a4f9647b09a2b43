"""The site of the documentation has every document, by need, and no asset of another host."""

from pathlib import Path

import pytest

from poolscope_generators import site

NAVIGATION = site.navigation()


def test_every_page_of_docs_is_in_the_navigation() -> None:
    listed = {page for section in NAVIGATION for pages in section.values() for page in pages}
    pages = {str(path) for path in site.documents() if path.parent == Path("docs")}
    assert pages - {each for each in pages if not each.endswith(".md")} - listed == {
        "docs/README.md"
    }


def test_sections_are_needs_of_a_reader() -> None:
    names = [name for section in NAVIGATION for name in section]
    assert names[:3] == ["poolscope", "Start here", "Add it to your app"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[a](quickstart.md)", "[a](quickstart.md)"),
        ("[a](../alerts/runbooks)", "[a](../alerts/runbooks/README.md)"),
        ("[a](../Makefile)", f"[a]({site.REPOSITORY}/blob/main/Makefile)"),
        ("[a](../tests)", f"[a]({site.REPOSITORY}/tree/main/tests)"),
        ("[a](https://example.org)", "[a](https://example.org)"),
        ("```python\n[a](../Makefile)\n```", "```python\n[a](../Makefile)\n```"),
    ],
)
def test_link_that_leaves_the_site_leads_to_the_repository(text: str, expected: str) -> None:
    assert site.with_links(text, Path("docs/page.md")) == expected


def test_site_loads_nothing_from_other_hosts(tmp_path: Path) -> None:
    settings = site.settings(tmp_path, tmp_path)
    assert settings["theme"]["font"] is False
    assert "repo_url" not in settings, "Material asks its host for the number of stars"
    assert settings["strict"] is True
