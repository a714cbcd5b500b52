"""Scripts in the styles of Ray Tune's users run unchanged, and after ``localtune migrate``.

Each script prints its result as JSON in its last line. Where the original gives the same values at
each run, ``EXPECTED`` holds what it gave.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from localtune.tools.cli.main import main
from tests.heavy import IS_HEAVY, long_but

ROOT = Path(__file__).parents[2]
FOLDER = Path(__file__).parent / "scripts"
# These load large libraries, or show what another script shows, too.
WITH_HEAVY = {
    "hyperopt_space",
    "mlflow_logger",
    "nested_space",
    "optuna_define_by_run",
    "random_space",
    "sync_and_extra_cpu",
    "wandb_logger",
}
NAMES = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in WITH_HEAVY or IS_HEAVY)
EXPECTED: dict[str, dict[str, Any]] = json.loads(
    (FOLDER / "expected.json").read_text(encoding="utf-8")
)

# What `localtune migrate` leaves to be changed by hand, and says so.
BY_HAND = {
    "old_class": "Experiment(checkpoint_freq=): write",
    "ray_core": "ray.remote: write",
}


def result_of(arguments: list[str], folder: Path) -> dict[str, Any]:
    """Runs a script in a folder of its own, which is also its home, and returns its result."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "HOME": str(folder), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def copy_of(name: str, folder: Path) -> Path:
    folder.mkdir()
    return Path(shutil.copy(FOLDER / f"{name}.py", folder))


def test_each_script_has_expected_values() -> None:
    assert set(EXPECTED) == {*NAMES, *WITH_HEAVY} and all(EXPECTED.values())
    assert set(BY_HAND) < set(NAMES)


@pytest.mark.slow
@pytest.mark.parametrize("name", long_but(["pbt_class", "ray_core", "old_class"], NAMES))
def test_a_script_gives_the_same_unchanged_and_migrated(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = copy_of(name, tmp_path / "unchanged")
    unchanged = result_of(["-m", "localtune.compat", script.name], script.parent)
    assert unchanged | EXPECTED[name] == unchanged

    script = copy_of(name, tmp_path / "migrated")
    exit_code = main(["migrate", "--write", str(script)])
    said = capsys.readouterr().err
    if name in BY_HAND:
        assert exit_code == 1 and BY_HAND[name] in said
        return
    assert exit_code == 0, said
    assert result_of([script.name], script.parent) == unchanged
