"""Every Python block of the documentation runs."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, script_of
from tests.heavy import IS_HEAVY, long_but

pytestmark = pytest.mark.slow

SCRIPTS = {name: script_of(path) for name, path in PAGES.items()}
# Pages about libraries that the environment may not be made for: see scripts/test --extra.
NEEDS = {
    "docs/integrations-deep-learning.md": ("keras", "lightning"),
    "docs/hydra.md": ("hydra",),
}
# Their libraries take long to load. Each has tests of its own that run everywhere.
LONG = {"docs/integrations.md", "docs/scikit-learn.md"}
WITH_CODE = sorted(
    name
    for name, script in SCRIPTS.items()
    if script.strip()
    and all(find_spec(library) for library in NEEDS.get(name, ()))
    and (IS_HEAVY or name not in LONG)
)


# Of a library, a test of its own runs each time.
FIRST = ("README.md", "docs/quick-start.md", "docs/key-ideas.md", "docs/run.md", "docs/resume.md")


@pytest.mark.parametrize("name", long_but(FIRST, WITH_CODE))
def test_blocks_run_from_the_top_of_the_page_to_its_end(name: str, tmp_path: Path) -> None:
    # A reader pastes the blocks into a script, without a guard for __main__, and runs it.
    directory = tmp_path / "work"
    directory.mkdir()
    script = directory / "page.py"
    script.write_text(SCRIPTS[name], encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment["TORCHINDUCTOR_CACHE_DIR"] = str(tmp_path / "torch")
    for variable in ("HOME", "TMPDIR"):
        (tmp_path / variable).mkdir()
        environment[variable] = str(tmp_path / variable)

    # These libraries use what others call deprecated.
    warnings = [] if name in NEEDS else ["-W", "error"]
    done = subprocess.run(
        [sys.executable, *warnings, str(script)],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=110,
    )

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", sorted({*NEEDS, *LONG}))
def test_blocks_that_run_in_some_environments_only_are_valid_everywhere(name: str) -> None:
    script = SCRIPTS[name]
    assert script.strip()
    compile(script, name, "exec")


def test_examples_are_found() -> None:
    assert "README.md" in WITH_CODE
    assert len(WITH_CODE) > 8
