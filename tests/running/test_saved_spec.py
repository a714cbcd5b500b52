from __future__ import annotations

from pathlib import Path

import pytest

import localtune as tune
from localtune.progress_reporter.summary import resume_line
from tests.small_runs import reporting


def test_an_experiment_of_tune_run_says_how_to_go_on_with_it(tmp_path: Path) -> None:
    tune.run(reporting, name="mine", storage_path=tmp_path, verbose=0)

    with pytest.raises(FileNotFoundError, match=r"tune\.run\(\.\.\., name='mine', .*resume=True"):
        tune.Tuner.restore(str(tmp_path / "mine"), reporting)
    _, (call, _) = resume_line(str(tmp_path / "mine"))
    assert call == f'tune.run(..., name="mine", storage_path="{tmp_path}", resume=True)'


def test_a_directory_without_an_experiment_is_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no experiment .* it has no tuner\.pkl"):
        tune.Tuner.restore(str(tmp_path), reporting)
