"""Each command line of ``localtune`` in the documentation parses."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from localtune.tools.cli.main import main
from localtune.tools.commands.registry import COMMANDS, make_parser
from tests.docs.pages import PAGES, script_of

# What ends a command in a shell.
_ENDS = {"|", "||", ">", "&&", ";", "&"}


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


def test_the_sweep_file_of_the_documentation_runs(tmp_path: Path) -> None:
    page = PAGES["docs/command-line.md"]
    (tmp_path / "train.py").write_text(script_of(page), encoding="utf-8")
    (tmp_path / "sweep.toml").write_text(script_of(page, "toml"), encoding="utf-8")

    # The machine may have no GPU.
    arguments = ["run", str(tmp_path / "sweep.toml"), "--smoke", "--resources", "cpu=1"]
    assert main(arguments) == 0


@pytest.mark.parametrize(
    "name", [name for name, page in PAGES.items() if "```yaml" in page.read_text()]
)
def test_workflows_are_valid(name: str) -> None:
    blocks = script_of(PAGES[name], "yaml")
    # Blocks are apart by lines that are empty here and hold prose there.
    documents = [each for each in blocks.split("\n\n\n") if each.strip()]
    assert all(yaml.safe_load(each) for each in documents)
