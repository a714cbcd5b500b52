"""``localtune tail``: what trials print, as it comes."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest

from localtune.storage.experiment_db import ExperimentDB
from localtune.storage.locks import experiment_locked
from localtune.tools.cli.main import main
from localtune.trial.status import Status
from localtune.trial.trial import Trial
from tests.runs.lifecycle.programs import running, wait_until
from tests.small_runs import fit, reporting
from tests.tools.cli.command import PROGRAM, localtune, write_script


def test_it_follows_until_the_trial_ends(tmp_path: Path) -> None:
    write_script(tmp_path)
    go, watch = tmp_path / "go", tmp_path / "watch"
    watch.mkdir()
    args = ["run", "job.py:Counts", "--storage", "s", "--name", "a", "--log-to-file"]
    with running([*PROGRAM, *args, "--param", f"go={go}"], tmp_path) as program:
        wait_until(lambda: any(tmp_path.glob("s/a/*/result.json")), "the first result")
        tail = ["tail", str(tmp_path / "s" / "a"), "0", "--follow", "-n", "1000000"]
        with running([*PROGRAM, *tail], watch) as follower:
            shown = watch / "output"
            wait_until(lambda: "step" in shown.read_text(), "something is shown")
            go.touch()
            assert follower.wait(60) == 0
            text = shown.read_text()
        assert program.wait(60) == 0

    (printed,) = tmp_path.glob("s/a/*/stdout")
    lines = [line for line in text.splitlines() if line.startswith("step ")]
    assert lines == printed.read_text().splitlines()


def test_a_trial_that_waits_is_followed_from_its_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, watch = tmp_path / "a", tmp_path / "watch"
    path.mkdir(mode=0o700)
    watch.mkdir()
    trial = Trial("job", trial_id="1a_00000", experiment_path=str(path), log_to_file=("out", None))
    with contextlib.closing(ExperimentDB(str(path))) as db:
        db.save([trial])
        # Nobody runs it: it will not start.
        assert main(["tail", str(path), "0", "-f"]) == 0
        assert "has not started" in capsys.readouterr().err

        with (
            experiment_locked(str(path)),
            running([*PROGRAM, "tail", str(path), "0", "-f"], watch) as follower,
        ):
            shown = watch / "output"
            wait_until(lambda: "has not started" in shown.read_text(), "it waits")
            (path / "first").mkdir()
            trial.dirname = "first"
            trial.set_status(Status.RUNNING)
            db.save([trial])
            (path / "first" / "out").write_text("one\n")
            wait_until(lambda: "one" in shown.read_text(), "what there is is shown")
            (path / "first" / "out").write_text("one\ntwo\n")
            trial.set_status(Status.TERMINATED)
            db.save([trial])
            assert follower.wait(60) == 0

    assert shown.read_text().splitlines()[1:] == ["one", "two"]


def test_it_shows_the_last_lines_of_both_files(tmp_path: Path) -> None:
    write_script(tmp_path)
    args = ["--storage", "s", "--name", "a", "--log-to-file", "--verbose", "0"]
    assert localtune(tmp_path, "run", "job.py:train", "--param", "x=1", *args).returncode == 0

    done = localtune(tmp_path, "tail", "s/a", "0", "-n", "1")

    assert done.stdout.splitlines() == ["==> stdout <==", "training with 1", "==> stderr <=="]


def test_without_files_it_says_what_to_do_and_shows_results(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fit(reporting, tmp_path, {"steps": 5})

    assert main(["tail", str(tmp_path / "run"), "0", "-n", "2", "-f"]) == 0

    shown = capsys.readouterr()
    assert "give --log-to-file" in shown.err
    assert [json.loads(line)["step"] for line in shown.out.splitlines()] == [4, 5]
