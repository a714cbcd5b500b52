"""Each command line of ``localtune`` in the documentation parses."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from localtune.cli.main import COMMANDS, make_parser
from tests.docs.pages import PAGES

# What ends a command in a shell.
_ENDS = {"|", ">", "&&", ";", "&"}


def commands_of(page: Path) -> Iterator[list[str]]:
    """The arguments of each ``localtune`` in the shell blocks of a page."""
    is_shell = False
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    for line in text.splitlines():
        if line.startswith("```"):
            is_shell = line.strip() in ("```sh", "```bash")
        elif is_shell and line.strip().startswith("localtune "):
            words = shlex.split(line, comments=True)[1:]
            end = next((place for place, word in enumerate(words) if word in _ENDS), len(words))
            yield words[:end]


LINES = [
    pytest.param(arguments, id=f"{name}: {shlex.join(arguments)}")
    for name, page in PAGES.items()
    for arguments in commands_of(page)
]


@pytest.mark.parametrize("arguments", LINES)
def test_it_parses(arguments: list[str]) -> None:
    assert arguments[0] in COMMANDS

    make_parser([arguments[0]]).parse_args(arguments)


def test_lines_are_found() -> None:
    assert len(LINES) > 15
