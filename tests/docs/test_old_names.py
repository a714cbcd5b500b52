"""docs/old-names.md lists the table of old names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby

import pytest

from localtune.old_names.row import OldName
from localtune.old_names.rows import modules, results, running, trainables
from tests.docs.pages import DOCS

PAGE = DOCS / "old-names.md"
TABLES = {
    "Runs": running.ROWS,
    "Trainables": trainables.ROWS,
    "Results": results.ROWS,
    "Modules": modules.ROWS,
}


def table_of(rows: Sequence[OldName]) -> str:
    """The table of a page; rows with the same words share a line."""
    lines = ["| old form | what it does | write today |", "|---|---|---|"]
    for (does, write), same in groupby(rows, key=lambda row: (row.does, row.write)):
        names = " ".join(f"`{row.name}`" for row in same)
        lines.append(f"| {names} | {_cell(does)} | {_cell(write)} |")
    return "\n".join(lines)


def _cell(text: str) -> str:
    parts = text.split("`")
    parts[::2] = [re.sub(r"([_*\[\]])", r"\\\1", part) for part in parts[::2]]
    return "`".join(parts)


@pytest.mark.parametrize("title", TABLES)
def test_each_table_is_that_of_the_package(title: str) -> None:
    sections = dict(re.findall(r"^## (.*?)\n\n(.*?)\n*(?=^## |\Z)", _text(), re.M | re.S))

    assert sections[title] == table_of(TABLES[title])


def _text() -> str:
    return PAGE.read_text(encoding="utf-8")
