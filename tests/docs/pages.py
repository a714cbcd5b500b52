"""The pages for users and contributors, and what stands in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
# Fragments of the next release's section of the changelog: no pages.
CHANGES = DOCS / "changes"
PAGES = {
    str(path.relative_to(ROOT)): path
    for path in (
        ROOT / "README.md",
        ROOT / "CHANGELOG.md",
        ROOT / "CONTRIBUTING.md",
        *sorted(set(DOCS.rglob("*.md")) - set(CHANGES.iterdir())),
    )
}

_FENCE = re.compile(r"```(\w*)")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


def script_of(page: Path, language: str = "python") -> str:
    """All blocks in a language of a page as one script; lines keep their numbers."""
    lines = []
    of_block = None
    for line in page.read_text(encoding="utf-8").splitlines():
        fence = _FENCE.match(line)
        if fence:
            of_block = fence[1] if of_block is None else None
        lines.append(line if of_block == language and not fence else "")
    return "\n".join(lines) + "\n"


def prose_of(page: Path) -> Iterator[str]:
    """The lines of a page that stand outside of code blocks."""
    is_code = False
    for line in page.read_text(encoding="utf-8").splitlines():
        if _FENCE.match(line):
            is_code = not is_code
        elif not is_code:
            yield line


def links_of(page: Path) -> list[str]:
    """Targets of the links of a page."""
    return [target for line in prose_of(page) for target in _LINK.findall(line)]


def anchors_of(page: Path) -> set[str]:
    """Anchors of the headings of a page."""
    titles = [line.lstrip("#").strip() for line in prose_of(page) if line.startswith("#")]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
