"""Tests of localtune.old_names.table: each row is refused, or translated with one note."""

from __future__ import annotations

import json
import os
import pkgutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from localtune.compat import translate
from localtune.old_names.table import OLD_NAMES, ROWS
from tests.old_names.cases import CASES, SLOW

_ROOT = Path(__file__).parents[2]


def outcomes(way: str, names: Iterable[str], directory: Path) -> tuple[dict[str, Any], str]:
    """Runs pieces in one process.

    Args:
        way: ``"with"`` or ``"without"`` the shim.
        names: Rows whose pieces are run.
        directory: Empty directory.

    Returns:
        {row: (what its piece raised, its notes)}, and what the process wrote to stderr.
    """
    done = subprocess.run(
        [sys.executable, "-m", "tests.old_names.run_cases", way, str(directory), *sorted(names)],
        cwd=_ROOT,
        env={**os.environ, "HOME": str(directory), "PYTHONPATH": str(_ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


def not_refused(names: Iterable[str], directory: Path) -> dict[str, Any]:
    """The rows that are not refused with what to write, and what happened."""
    found, _ = outcomes("without", names, directory)
    return {
        name: (error, notes)
        for name, (error, notes) in found.items()
        if notes
        or f"{name} is an old form" not in str(error)
        # The words follow the name, so that rows of one piece are told apart.
        or f"Write {OLD_NAMES[name].write}." not in str(error)
    }


def not_translated(names: Iterable[str], directory: Path) -> dict[str, Any]:
    """The rows that fail with the shim, or do not give their note exactly once."""
    found, stderr = outcomes("with", names, directory)
    return {
        name: (error, notes)
        for name, (error, notes) in found.items()
        if error is not None or not _has_its_note(name, notes, stderr)
    }


def _has_its_note(name: str, notes: list[str], stderr: str) -> bool:
    if OLD_NAMES[name].kind == "module":
        return True
    return name in notes and stderr.count(f"localtune.compat: {name} is an old form") == 1


def test_each_row_has_a_piece_of_a_script() -> None:
    assert CASES.keys() == OLD_NAMES.keys()
    assert len(ROWS) == len(OLD_NAMES)


def test_each_row_but_those_of_modules_has_a_translation() -> None:
    subjects = [each.name for each in pkgutil.iter_modules(translate.__path__)]
    translations = [name for each in subjects for name in translate.translations_of(each)]
    assert sorted(translations) == sorted(row.name for row in ROWS if row.kind != "module")
    assert all(translate.find_translation(name) for name in translations)


def test_without_the_shim_each_is_refused_with_what_to_write(tmp_path: Path) -> None:
    assert not_refused(OLD_NAMES.keys() - SLOW, tmp_path) == {}


def test_with_the_shim_each_works_and_gives_one_note(tmp_path: Path) -> None:
    assert not_translated(OLD_NAMES.keys() - SLOW, tmp_path) == {}


@pytest.mark.slow
@pytest.mark.long
def test_those_that_need_another_library(tmp_path: Path) -> None:
    for find in (not_refused, not_translated):
        (directory := tmp_path / find.__name__).mkdir()
        assert find(SLOW, directory) == {}


_ATTRIBUTES = """
import json, sys
import localtune
assert "localtune.old_names" not in sys.modules
found = {}
for path in json.load(sys.stdin):
    *parents, name = path.split(".")
    owner = localtune
    for each in parents:
        owner = getattr(owner, each)
    try:
        found[path] = repr(getattr(owner, name))
    except AttributeError as error:
        found[path] = str(error)
    assert not hasattr(owner, name)
print(json.dumps(found))
"""


def test_an_old_module_used_as_an_attribute_says_what_to_write() -> None:
    modules = {row.name: row.refusal() for row in ROWS if row.kind == "module"}
    done = subprocess.run(
        [sys.executable, "-c", _ATTRIBUTES],
        cwd=_ROOT,
        input=json.dumps(list(modules)),
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == modules
