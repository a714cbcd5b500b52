"""Each short example, run as its reader runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import localtune.examples
from tests.heavy import IS_HEAVY, long_but

ROOT = Path(__file__).parents[2]
FOLDER = Path(localtune.examples.__file__).parent

# What tells that it has done what it is there for.
SAYS = {
    "first_sweep": "Best accuracy 0.",
    "early_stopping": "without ASHA 162.",
    "checkpoints": "Its latest checkpoint is",
    "population": "Best loss 0.",
    "optuna_search": "Your guess: 0.",
    "nested_space": "neighbours  0.",
    "shared_resource": "4 trials, at most ",
    "watch_a_run": "3 event files: tensorboard --logdir ",
    "simulate": "HyperBand",
    "search_cv": "Rounds of training: ",
    "debug": "max_depth=0 failed:",
}

# Each loads scikit-learn anew, and shows what has tests of its own.
WITH_HEAVY = {
    "checkpoints",
    "early_stopping",
    "nested_space",
    "population",
    "search_cv",
    "watch_a_run",
}


NAMES = [name for name in SAYS if name not in WITH_HEAVY or IS_HEAVY]


@pytest.mark.parametrize("name", long_but(NAMES[:2], NAMES))
def test_it_shows_its_feature(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", f"localtune.examples.{name}", "--smoke"],
        cwd=ROOT,
        env={**os.environ, "PYTHONWARNINGS": ""},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert SAYS[name] in done.stdout, done.stdout
    assert "Traceback" not in done.stderr, done.stderr


def test_all_examples_are_listed_and_short() -> None:
    names = {path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_")}
    assert names == {*SAYS, "digits"} and set(SAYS) > WITH_HEAVY
    assert all(f"``{name}``" in (localtune.examples.__doc__ or "") for name in names)
    page = (ROOT / "docs" / "examples.md").read_text(encoding="utf-8")
    assert all(f"localtune/examples/{name}.py" in page for name in names)
    for name in SAYS:
        assert len((FOLDER / f"{name}.py").read_text(encoding="utf-8").splitlines()) < 90, name
