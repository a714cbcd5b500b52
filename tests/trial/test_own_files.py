"""What the user's code puts under a name of localtune's is kept, and hinders no trial."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.trial.own_files import prepare_logs
from tests.records import trial_at

RESERVED = (
    "stdout",
    "stderr",
    "error.txt",
    "error.pkl",
    "result.json",
    "progress.csv",
    "params.json",
    "params.pkl",
)
MINE = "the user's own\n"


def put_file(path: Path, outside: Path) -> None:
    path.with_suffix(".new").write_text(MINE)
    os.replace(path.with_suffix(".new"), path)


def put_directory(path: Path, outside: Path) -> None:
    path.mkdir()
    (path / "mine").write_text(MINE)


KINDS: dict[str, Callable[[Path, Path], None]] = {
    "file": put_file,
    "directory": put_directory,
    "link": lambda path, outside: path.symlink_to(outside),
    "hard link": lambda path, outside: os.link(outside, path),
    "link to nothing": lambda path, outside: path.symlink_to("nothing"),
}


def spoils(config: dict[str, Any]) -> None:
    """At its first try it takes all names; each try prints, reports, and all but the last fail."""
    here = Path(str(tune.get_context().get_trial_dir()))
    number = int((here / "tries").read_text()) if (here / "tries").exists() else 0
    (here / "tries").write_text(str(number + 1))
    if config["kind"] and number == 0:
        for name in RESERVED:
            (here / name).unlink(missing_ok=True)
            KINDS[config["kind"]](here / name, Path(config["outside"]))
    os.write(1, b"printed %d\n" % number)
    os.write(2, b"complained %d\n" % number)
    tune.report({"loss": number})
    if number < 2:
        raise ValueError(f"try {number}")


def found_in(directory: Path, name: str) -> list[Path]:
    """What is there under a name, and what was set aside from it."""
    return [each for each in directory.iterdir() if each.name.startswith(name)]


@pytest.mark.parametrize("executor", ["template", "inprocess"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_taken_name_ends_no_trial_and_nothing_of_it_is_lost(
    tmp_path: Path, kind: str, executor: str
) -> None:
    outside = tmp_path / "outside"
    outside.write_text(MINE)
    space = {"kind": tune.grid_search([kind, ""]), "outside": str(outside)}
    run = tune.RunConfig(
        storage_path=tmp_path / "results",
        verbose=0,
        log_to_file=True,
        failure_config=tune.FailureConfig(max_failures=2),
    )
    grid = tune.Tuner(
        spoils,
        param_space=space,
        run_config=run,
        executor=executor if executor == "inprocess" else tune.ProcessExecutor(num_cpus=1),
    ).fit()

    assert [result.error for result in grid] == [None, None]
    assert outside.read_text() == MINE
    spoilt, sound = (Path(str(result.path)) for result in grid)
    for result in grid:
        assert result.metrics is not None and result.metrics["loss"] == 2
    for name in RESERVED:
        kept = found_in(spoilt, name)
        if kind in ("file", "hard link"):
            assert any(
                each.is_file() and each.read_text("utf-8", "replace") == MINE for each in kept
            )
        elif kind == "directory":
            assert any((each / "mine").is_file() for each in kept)
        else:
            assert any(each.is_symlink() for each in kept)
    assert found_in(sound, "stdout") == [sound / "stdout"]
    assert (sound / "stdout").read_text() == "printed 0\nprinted 1\nprinted 2\n"
    # What the first try printed after it had put the file away is gone with that.
    assert (spoilt / "stdout").read_text() == "printed 1\nprinted 2\n"
    assert (spoilt / "stderr").read_text() == "complained 1\ncomplained 2\n"
    assert "try 1" in (spoilt / "error.txt").read_text()


def test_logs_go_on_where_an_experiment_was_copied(tmp_path: Path) -> None:
    trial = trial_at(tmp_path / "sweep" / "trial")
    Path(trial.path).mkdir(parents=True)
    trial.log_to_file = ("log", "log")
    prepare_logs(trial)
    Path(trial.path, "log").write_text("printed")
    shutil.copytree(tmp_path / "sweep", tmp_path / "copy")
    trial.experiment_path = str(tmp_path / "copy")

    prepare_logs(trial)

    assert os.listdir(trial.path) == ["log"]
    assert Path(trial.path, "log").read_text() == "printed"


def test_a_log_elsewhere_is_what_the_user_named(tmp_path: Path) -> None:
    trial = trial_at(tmp_path / "sweep" / "trial")
    Path(trial.path).mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "all.log")
    trial.log_to_file = (str(tmp_path / "link"), None)

    prepare_logs(trial)

    assert (tmp_path / "link").is_symlink() and os.listdir(trial.path) == []
