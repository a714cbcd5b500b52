"""The digits example, run as its reader runs it. More of that is in test_digits_again.py."""

from __future__ import annotations

import dataclasses
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from localtune.examples import digits

ROOT = Path(__file__).parents[2]
# Some trials wait to run when the first ones end.
SAMPLES = (os.cpu_count() or 1) + 2
COMMAND = [sys.executable, "-m", "localtune.examples.digits"]
ENVIRONMENT = {**os.environ, "PYTHONWARNINGS": ""}


def run_example(
    *arguments: str | Path, stdin: int = subprocess.DEVNULL
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=ROOT,
        env=ENVIRONMENT,
        stdin=stdin,
        capture_output=True,
        text=True,
        timeout=100,
    )


def runs_in(storage_path: Path) -> list[Path]:
    return [path for path in storage_path.iterdir() if (path / "tuner.pkl").exists()]


def trials_in(run: Path) -> list[Path]:
    return [path for path in run.iterdir() if path.is_dir()]


def accuracies_in(output: str) -> dict[str, float]:
    """{"Validation": per cent, "Test": per cent}"""
    return {
        kind: float(value)
        for kind, value in re.findall(r"^(\w+) accuracy:\s+([\d.]+)%", output, re.MULTILINE)
    }


def test_smoke_form_shows_the_winner_and_leaves_no_files() -> None:
    done = run_example("--smoke")

    assert done.returncode == 0, done.stdout + done.stderr
    for name in digits.SEARCH_SPACE:
        assert re.search(rf"^  {name} +[\d.e-]+$", done.stdout, re.MULTILINE), done.stdout
    accuracies = accuracies_in(done.stdout)
    # Guessing gets 10 %.
    assert accuracies.keys() == {"Validation", "Test"}
    assert all(30 < value <= 100 for value in accuracies.values()), accuracies
    results = re.search(r"^Results: +(\S+)$", done.stdout, re.MULTILINE)
    assert results is not None, done.stdout
    assert not Path(results[1]).exists()


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Storage path with one finished run."""
    storage_path = tmp_path_factory.mktemp("digits")
    done = run_example("--storage", storage_path, "--samples", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    return storage_path


@pytest.mark.long
def test_continuing_a_finished_run_shows_its_results_again(finished_run: Path) -> None:
    (run,) = runs_in(finished_run)
    before = trials_in(run)

    done = run_example("--storage", finished_run, "--continue")

    assert done.returncode == 0, done.stdout + done.stderr
    assert str(run) in done.stdout
    assert accuracies_in(done.stdout).keys() == {"Validation", "Test"}
    assert trials_in(run) == before


def end_after_first_trial(storage_path: Path, how: signal.Signals) -> tuple[int, str]:
    """Starts a run and signals it when one trial has ended; (exit code, stderr)."""
    process = subprocess.Popen(
        [*COMMAND, "--storage", str(storage_path), "--samples", str(SAMPLES)],
        cwd=ROOT,
        env={**ENVIRONMENT, "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if f" finished 1/{SAMPLES} " in line:
            process.send_signal(how)
            break
    _, errors = process.communicate(timeout=60)
    return process.returncode, errors


@pytest.mark.long
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_unfinished_run_goes_on_without_a_terminal(tmp_path: Path, how: signal.Signals) -> None:
    exit_code, errors = end_after_first_trial(tmp_path, how)
    assert exit_code == (1 if how is signal.SIGINT else -how)
    assert ("--continue" in errors) == (how is signal.SIGINT)
    (run,) = runs_in(tmp_path)
    assert not digits.is_finished(run)

    done = run_example("--storage", tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "Found an unfinished run" in done.stdout
    assert "Going on with it" in done.stdout
    assert runs_in(tmp_path) == [run]
    assert len(trials_in(run)) == SAMPLES
    assert digits.is_finished(run)


def test_new_and_continue_exclude_each_other() -> None:
    done = run_example("--new", "--continue")

    assert done.returncode == 2
    assert "not allowed with" in done.stderr


def test_a_failed_trial_makes_the_program_fail(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Learning rates that are no numbers make each step fail.
    tuner = digits.make_tuner(tmp_path, samples=1, iterations=1)
    space = {**digits.SEARCH_SPACE, "learning_rate": float("nan")}
    tuner._spec = dataclasses.replace(tuner._spec, param_space=space)

    assert digits.run_to_end(tuner) == 1
    assert "--continue" in capsys.readouterr().err


def test_the_network_survives_a_checkpoint(tmp_path: Path) -> None:
    config = {"learning_rate": 0.01, "width": 16, "regularisation": 1e-4, "batch_size": 64}
    trainable = digits.DigitsClassifier.__new__(digits.DigitsClassifier)
    trainable.setup(config)
    accuracy = trainable.step()["accuracy"]
    trainable.save_checkpoint(str(tmp_path))

    restored = digits.DigitsClassifier.__new__(digits.DigitsClassifier)
    restored.setup(config)
    restored.load_checkpoint(str(tmp_path))

    assert restored.model.score(*restored.valid_data) == pytest.approx(accuracy)


def test_data_is_split_without_overlap() -> None:
    splits = digits.load_splits()

    sizes = [len(split.digits) for split in splits]
    assert sum(sizes) == 1797
    assert sizes[0] > sizes[1] and abs(sizes[1] - sizes[2]) <= 1
    assert all(set(split.digits) == set(range(10)) for split in splits)
