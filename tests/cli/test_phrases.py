"""Errors of the command line name its options, not arguments of Python functions."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from localtune.cli.phrases import in_options
from tests.cli.command import localtune, write_script

OF_PYTHON = re.compile(r"\w+=(True|False|None|-?\d+\b|['\"])|Config\(|Tuner|tune\.|\w\(\)")
RUN = ["run", "job.py:train", "--param", "x=uniform(0,1)", "--verbose", "0"]


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        ([*RUN, "--scheduler", "asha"], "--metric loss --mode min"),
        ([*RUN, "--resources", "cpu=1000"], "(--resources)"),
        ([*RUN, "--storage", "job.py"], "--storage must"),
        ([*RUN, "--samples", "0"], "--samples"),
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
            "go on whatever fails.",
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
