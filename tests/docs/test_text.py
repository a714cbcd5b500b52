"""Links lead somewhere, and what the pages list is what there is."""

from __future__ import annotations

import re
from typing import Any

import pytest

import localtune
from tests.contracts import LOGGERS, SCHEDULERS, SEARCHERS, STOPPERS
from tests.docs.pages import DOCS, PAGES, ROOT, anchors_of, links_of


@pytest.mark.parametrize("name", PAGES)
def test_each_link_within_the_repository_leads_to_something(name: str) -> None:
    page = PAGES[name]
    broken = []
    for link in links_of(page):
        if "://" in link:
            continue
        target, _, anchor = link.partition("#")
        path = (page.parent / target).resolve() if target else page
        if not path.exists() or (anchor and anchor not in anchors_of(path)):
            broken.append(link)

    assert broken == []


def test_the_index_leads_to_each_page() -> None:
    pages = {str(path.relative_to(DOCS)) for path in PAGES.values() if DOCS in path.parents}
    pages -= {"index.md"}

    assert pages - set(links_of(DOCS / "index.md")) == set()


def test_each_public_name_is_in_the_table_of_names() -> None:
    text = (DOCS / "migrate-from-ray-tune.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(\w+)`", text))

    assert set(localtune.__all__) - named == {"__version__"}


@pytest.mark.parametrize(
    ("page", "found"),
    [
        ("choose.md", SCHEDULERS),
        ("search-algorithms.md", SEARCHERS),
        ("run.md", STOPPERS),
        ("run.md", LOGGERS),
    ],
    ids=["schedulers", "searchers", "stoppers", "loggers"],
)
def test_each_class_has_a_row_in_the_table_of_its_page(page: str, found: Any) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    named = set(re.findall(r"`(\w+)[`(]", "".join(re.findall(r"^\|.*$", text, re.MULTILINE))))

    assert {cls.__name__ for cls in found.values()} - named == set()


def test_the_layout_names_each_folder_and_file_at_the_top_of_the_package() -> None:
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    names = {
        f"{path.name}/" if path.is_dir() else path.name
        for path in (ROOT / "localtune").iterdir()
        if (path.suffix == ".py" or any(path.glob("*.py")))
        and path.name not in ("__init__.py", "_version.py")
    }

    assert {name for name in names if name not in text} == set()
