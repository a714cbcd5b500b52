"""Errors of the command line name its options, not arguments of Python functions."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from localtune.tools.cli.phrases import in_options
from tests.tools.cli.command import localtune, write_script

pytestmark = pytest.mark.slow

OF_PYTHON = re.compile(
    r"\b[a-z]\w*=(True|False|None|-?\d+\b|['\"])|Config\b|Tuner|tune\.|\w\(\)|storage_path|if_exists"
)
RUN = ["run", "job.py:train", "--param", "x=uniform(0,1)", "--verbose", "0"]


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        ([*RUN, "--scheduler", "asha"], "--metric loss --mode min"),
        ([*RUN, "--resources", "cpu=1000"], "(--resources)"),
        ([*RUN, "--storage", "job.py"], "--storage must"),
        ([*RUN, "--samples", "0"], "--samples"),
        ([*RUN, "--name", "../x"], "Put the path into --storage"),
        ([*RUN, "--name", "x" * 300], "--name must be at most 255 bytes long"),
        (
            [*RUN, "--scheduler", "asha(metric='a', mode='min')", "--metric", "b", "--mode", "min"],
            "metric and mode are given twice",
        ),
        ([*RUN, "--metric", "los", "--mode", "min", "--storage", "s"], "another one with --metric"),
    ],
)
def test_a_refused_sweep_names_the_option(
    tmp_path: Path, arguments: list[str], remedy: str
) -> None:
    write_script(tmp_path)

    done = localtune(tmp_path, *arguments)

    assert done.returncode != 0
    assert remedy in done.stderr
    assert not OF_PYTHON.search(done.stderr), done.stderr


def test_what_is_there_already_is_spoken_of_in_options(tmp_path: Path) -> None:
    write_script(tmp_path)
    there = [*RUN, "--storage", "results", "--name", "a"]
    assert localtune(tmp_path, *there).returncode == 0

    other = localtune(tmp_path, *there, "--resume", "--param", "y=1")
    assert "--resume cannot go on with" in other.stderr and "(--add)" in other.stderr
    added = localtune(tmp_path, *there, "--add")
    assert added.returncode == 0 and "To go on with what is there instead: --resume" in added.stderr
    changed = localtune(tmp_path, *there, "--resume", "--samples", "2")
    assert "num_samples was 1 and is 2" in changed.stderr
    for done in (other, added, changed):
        assert not OF_PYTHON.search(done.stderr), done.stderr


def test_a_metric_without_a_mode_is_refused_before_the_sweep(tmp_path: Path) -> None:
    write_script(tmp_path)
    storage = ["--storage", "results"]

    done = localtune(tmp_path, *RUN, *storage, "--metric", "loss")

    assert done.returncode == 2
    assert "--metric loss needs a mode: add --mode min or --mode max." in done.stderr
    assert not (tmp_path / "results").exists()

    assert localtune(tmp_path, *RUN, *storage, "--name", "a").returncode == 0
    done = localtune(tmp_path, "best", "results/a", "--metric", "loss")
    assert done.returncode == 2
    assert "The mode is missing: add --mode min or --mode max" in done.stderr


def test_a_sweep_without_a_goal_names_the_options(tmp_path: Path) -> None:
    write_script(tmp_path)

    done = localtune(tmp_path, "run", "job.py:train", "--param", "x=1", "--storage", "results")

    assert "No best trial: name what to optimise with --metric loss --mode min" in done.stdout


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("pass trust=True, or make the directory", "give --trust, or make the directory"),
        (
            "Mend it and resume the run with resume_errored=True; max_failed_trials=-1 lets a run "
            "go on after any number of failures.",
            "Mend it and run 'localtune retry'.",
        ),
        (
            "go on on this machine: Tuner.restore('/results/sweep', trainable).fit()",
            "go on on this machine: localtune resume /results/sweep",
        ),
        ("There is no trial 'num_samples must'", "There is no trial 'num_samples must'"),
    ],
)
def test_a_remedy_of_the_python_api_becomes_an_option(message: str, shown: str) -> None:
    assert in_options(message) == shown
