"""The fragments below docs/changes/ make a valid section of the changelog."""

from __future__ import annotations

import re
import sys

import pytest

from tests.docs.pages import CHANGES, PAGES, ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["towncrier"]
TYPES = [each["directory"] for each in SETTINGS["type"]]
NAME = re.compile(rf"\+[a-z0-9]+(-[a-z0-9]+)*\.({'|'.join(TYPES)})\.md")
FRAGMENTS = sorted(path.name for path in CHANGES.iterdir() if path.name != ".gitkeep")


def problems_of(name: str, text: str) -> list[str]:
    """What is wrong with a fragment."""
    found = []
    if not NAME.fullmatch(name):
        found.append(f"its name must be +WORDS-OF-IT.TYPE.md, with one of the types {TYPES}")
    if not text.strip():
        found.append("it is empty")
    if re.search(r"^(#|[-*] )", text, re.MULTILINE):
        found.append("it must be a text without headings and lists: it becomes one entry of a list")
    return found


@pytest.mark.parametrize("name", FRAGMENTS)
def test_a_fragment_has_a_valid_name_and_text(name: str) -> None:
    assert problems_of(name, (CHANGES / name).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("retries.added.md", "Retries.", "name must be"),
        ("+retries.new.md", "Retries.", "name must be"),
        ("+Retries.added.md", "Retries.", "name must be"),
        ("+retries.added.txt", "Retries.", "name must be"),
        ("+retries.added.md", "\n", "is empty"),
        ("+retries.added.md", "- Retries.", "headings and lists"),
        ("+retries.added.md", "# Retries", "headings and lists"),
    ],
)
def test_other_names_and_texts_are_refused(name: str, text: str, problem: str) -> None:
    (found,) = problems_of(name, text)
    assert problem in found


def test_a_good_one_is_not_refused() -> None:
    assert problems_of("+wait-between-retries.added.md", "`retry_wait_s`: a *pause*.\n") == []


def test_the_changelog_has_the_place_for_new_sections_once() -> None:
    assert PAGES["CHANGELOG.md"].read_text(encoding="utf-8").count(SETTINGS["start_string"]) == 1


def test_the_types_are_those_of_keep_a_changelog() -> None:
    assert TYPES == ["added", "changed", "deprecated", "removed", "fixed", "security"]
