"""Following docs/extend.md works: its files are written into a copy, and tested there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT

pytestmark = pytest.mark.slow

TEXT = PAGES["docs/extend.md"].read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## Add (.+?)\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL))
# A row of the table that the new row goes to.
NEIGHBOURS = {
    "a scheduler": "| `HyperBandScheduler` |",
    "a searcher": "| `OptunaSearch` |",
    "a stopper": "| `NoopStopper()` |",
    "a logger": "| `CSVLoggerCallback` |",
    "a command": "| `localtune ls ",
}
# What the copy needs beside the package.
COPIED = ("localtune", "tests", "docs", "setup.cfg", "pyproject.toml")
COPIED_PAGES = ("CONTRIBUTING.md", "README.md", "CHANGELOG.md")
# Tests that find new things by themselves.
TESTS = (
    "tests/schedulers/test_contract.py",
    "tests/docs/test_changes.py",
    "tests/docs/test_text.py::test_each_class_has_a_row_in_the_table_of_its_page",
    "tests/tools/cli/test_main.py::test_help_fits_the_screen_and_has_an_example",
    "tests/tools/cli/test_main.py::test_the_page_on_the_command_line_names_each_command",
)


def blocks_of(section: str) -> Iterator[tuple[bool, str, str]]:
    """Each block that belongs into a file: (whether it is a row, path, text)."""
    pattern = r"^(The row of )?`([\w./+-]+)`:\n\n```\w+\n(.*?)^```$"
    for row, path, text in re.findall(pattern, section, re.MULTILINE | re.DOTALL):
        yield bool(row), path, text


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository in which all that the page adds has been added."""
    copy = tmp_path_factory.mktemp("extended")
    for name in (*COPIED, *COPIED_PAGES):
        if (ROOT / name).is_dir():
            # Times are kept: what was compiled is valid there, too.
            shutil.copytree(ROOT / name, copy / name)
        else:
            shutil.copy2(ROOT / name, copy)
    for title, section in SECTIONS.items():
        for is_row, path, text in blocks_of(section):
            if is_row:
                page = (copy / path).read_text(encoding="utf-8")
                assert page.count(f"\n{NEIGHBOURS[title]}") >= 1
                page = page.replace(f"\n{NEIGHBOURS[title]}", f"\n{text}{NEIGHBOURS[title]}", 1)
                (copy / path).write_text(page, encoding="utf-8")
            else:
                assert not (copy / path).exists()
                (copy / path).write_text(text, encoding="utf-8")
    return copy


def test_the_page_has_a_part_for_each_kind() -> None:
    assert SECTIONS.keys() == NEIGHBOURS.keys()


@pytest.mark.parametrize("title", NEIGHBOURS)
def test_a_part_lists_the_four_files_that_it_shows(title: str) -> None:
    listed = re.findall(r"^\| `([\w.+-]+/[\w./+-]+)` \| ", SECTIONS[title], re.MULTILINE)

    assert listed == [path for _, path, _ in blocks_of(SECTIONS[title])]
    assert len(listed) == 4


@pytest.mark.long
def test_what_is_added_is_found_and_tested(copy: Path) -> None:
    added = [path for section in SECTIONS.values() for _, path, _ in blocks_of(section)]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            *(path for path in added if path.startswith("tests/")),
            *TESTS,
        ],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_rows_that_are_forgotten_are_missed(copy: Path) -> None:
    complete = {}
    for title in ("a scheduler", "a command"):
        ((path, row),) = [(path, row) for is_row, path, row in blocks_of(SECTIONS[title]) if is_row]
        complete[path] = (copy / path).read_text(encoding="utf-8")
        (copy / path).write_text(complete[path].replace(row, ""), encoding="utf-8")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "page"),
            *("tests/docs/test_text.py", "tests/tools/cli/test_main.py"),
        ],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
    )
    for path, text in complete.items():
        (copy / path).write_text(text, encoding="utf-8")

    assert done.returncode == 1
    missed = re.findall(r"^FAILED (\S+?)::.*", done.stdout, re.MULTILINE)
    assert set(missed) == {"tests/docs/test_text.py", "tests/tools/cli/test_main.py"}
    assert "StopWorseHalf" in done.stdout and "where" in done.stdout
