"""What a reader of the page on programs pastes into a terminal runs, from its top to its end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from localtune.analysis.reader import read_saved
from localtune.trial.trial import Trial
from tests.docs.pages import PAGES, script_of
from tests.runs.lifecycle.programs import environment

pytestmark = pytest.mark.slow


def test_the_command_lines_of_the_page_run_in_an_empty_directory(tmp_path: Path) -> None:
    folder, programs, storage = (tmp_path / name for name in ("work", "bin", "localtune_results"))
    for path in (folder, programs):
        path.mkdir()
    for name, start in (("python", ""), ("localtune", "-m localtune ")):
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec {sys.executable} {start}"$@"\n')
        program.chmod(0o755)
    variables = environment(HOME=str(tmp_path))
    variables["PATH"] = f"{programs}:{variables['PATH']}"

    done = subprocess.run(
        ["sh", "-euc", script_of(PAGES["docs/programs.md"], "sh")],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        timeout=110,
    )

    assert done.returncode == 0, done.stdout + done.stderr

    assert len(trials(storage / "first")) == 4
    assert f"command      {programs / 'python'} {folder / 'train.py'} --lr 0." in done.stdout
    # One for each way in which results come back, two of the first.
    for name, results in (("lines", 3), ("text", 3), ("file", 3), ("final", 1), ("report", 3)):
        (experiment,) = storage.glob(f"{name}_*")
        for each in trials(experiment):
            assert (each.result_count, each.last_result["loss"]) == (results, each.config["x"] / 3)
    assert [each.result_count for each in trials(folder / "results" / "from_file")] == [5, 5]
    (counting,) = trials(storage / "counting")
    assert (counting.last_result["count"], counting.result_count) == (4, 4)
    assert counting.num_failures == 1


def trials(path: Path) -> list[Trial]:
    return read_saved(str(path)).trials
