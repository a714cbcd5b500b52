"""Directories that others could have written are not unpickled unless the caller says so."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

import localtune as tune
from localtune.error import UntrustedDirectoryError
from localtune.storage.trust import check_trusted
from tests.runs import Counting, fit, make_tuner


def test_an_experiment_is_its_users_alone(tmp_path: Path) -> None:
    grid = fit(Counting, tmp_path)
    assert stat.S_IMODE(os.stat(grid.experiment_path).st_mode) == 0o700


def test_a_directory_that_all_may_write_into_is_refused(tmp_path: Path) -> None:
    grid = fit(Counting, tmp_path)
    os.chmod(grid.experiment_path, 0o777)
    path, trial_path = grid.experiment_path, grid[0].path
    for read in (
        lambda **trust: tune.Tuner.restore(path, Counting, **trust),
        lambda **trust: tune.ExperimentAnalysis(path, **trust),
        lambda **trust: tune.Result.from_path(trial_path, **trust),
    ):
        with pytest.raises(UntrustedDirectoryError, match=r"every user may write .* trust=True"):
            read()
        read(trust=True)
    os.chmod(path, 0o755)
    assert len(tune.ExperimentAnalysis(path).trials) == 1


def test_a_directory_of_another_user_is_refused(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        with pytest.raises(UntrustedDirectoryError, match="belongs to root"):
            check_trusted("/")
        return
    os.chown(tmp_path, 12345, 12345)
    with pytest.raises(UntrustedDirectoryError, match="belongs to the user 12345, not to root"):
        check_trusted(str(tmp_path))
    os.chown(tmp_path, 0, 0)


def test_a_changed_trainable_or_space_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tuner = make_tuner(Counting, tmp_path, {"steps": tune.randint(1, 3)})
    path = tuner.fit().experiment_path
    tune.Tuner.restore(path, Counting, param_space={"steps": tune.randint(1, 3)})
    assert caplog.messages == []

    class Counting_(Counting):
        changed = True

    Counting_.__name__ = "Counting"
    tune.Tuner.restore(path, Counting_, param_space={"steps": tune.randint(1, 9)})
    assert "The code of Counting is not what it was" in caplog.messages[0]
    assert "param_space is not what it was" in caplog.messages[1]
