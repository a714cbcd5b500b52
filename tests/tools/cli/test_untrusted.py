"""No command reads an experiment that another user could have written, unless it is told to."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest

from localtune.tools.cli.main import main
from tests.small_runs import fit, reporting


class Bomb:
    """Makes a directory where it is unpickled."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (self._path,))


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    """An experiment that all may write into, with a pickle that somebody has put there."""
    path = Path(fit(reporting, tmp_path / "s", name="a").experiment_path)
    (path / "tuner.pkl").write_bytes(pickle.dumps(Bomb(str(tmp_path / "exploded"))))
    path.chmod(0o1777)
    return path


@pytest.mark.parametrize(
    "command",
    [
        ["show", "{}"],
        ["show", "{}", "0"],
        ["best", "{}", "--metric", "score", "--mode", "min"],
        ["tail", "{}", "0"],
        ["export", "{}", "--to", "csv", "-o", "{}.csv"],
        ["report", "{}", "-o", "{}.html"],
        ["resume", "{}"],
        ["resume", "{}", "json:loads"],
        ["retry", "{}"],
        ["stop", "{}"],
    ],
    ids=" ".join,
)
def test_a_command_reads_no_experiment_of_others_unless_it_is_told_to(
    experiment: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    words = [each.replace("{}", str(experiment)) for each in command]
    before = sorted(experiment.parent.rglob("*"))
    assert main(words) == 1
    assert "every user may write into it" in capsys.readouterr().err
    assert sorted(experiment.parent.rglob("*")) == before
    assert not (experiment.parents[1] / "exploded").exists()
    main([*words, "--trust"])
    assert "every user may write into it" not in capsys.readouterr().err


def test_ls_and_clean_tell_of_experiments_of_others_and_read_none(
    experiment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ls", str(experiment.parent)]) == 0
    assert "untrusted" in capsys.readouterr().out
    assert main(["clean", str(experiment.parent), "--yes"]) == 0
    assert "another user could have written it" in capsys.readouterr().err
    assert experiment.exists()
    assert not (experiment.parents[1] / "exploded").exists()
