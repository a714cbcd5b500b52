"""``localtune check`` as a person types it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tools.cli.command import for_json, localtune, write_script

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_script(tmp_path)
    return tmp_path


def test_a_right_trainable_gives_exit_code_0_and_a_text(folder: Path) -> None:
    options = ["--param", "x=uniform(3, 4)", "--metric", "loss"]
    done = localtune(folder, "check", "job.py:train", *options)

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("Check of train: 0 failures")
    assert "training with" not in done.stdout


def test_a_failure_gives_exit_code_1_and_json(folder: Path) -> None:
    report = for_json(folder, "check", "job:silent", code=1)

    assert report["ok"] is False
    (failed,) = [each for each in report["findings"] if each["verdict"] == "failure"]
    assert failed["check"] == "step"


def test_a_sweep_file_says_what_is_checked(folder: Path) -> None:
    (folder / "sweep.yaml").write_text(
        "trainable: job.py:train\nmetric: los\nmode: min\nparam_space: {x: 3}\n"
    )

    report = for_json(folder, "check", "sweep.yaml", code=1)

    assert [each["check"] for each in report["findings"] if each["verdict"] == "failure"] == [
        "metric"
    ]


def test_a_program_that_fails_is_spoken_of_as_a_program(folder: Path) -> None:
    command = ["--command", "sh -c 'echo words; exit 3'", "--metric", "loss", "--mode", "min"]

    done = localtune(folder, "check", *command)

    assert done.returncode == 1
    assert "FAILURE  step    The program ended with exit code 3: words" in done.stdout
    assert "The command was: " in done.stdout
    assert "raised" not in done.stdout and "traceback" not in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["job.py:trian"],
        ["job.py:NOT_CALLABLE"],
        ["job.py:train", "--param", "x=unifrom(0, 1)"],
        ["job.py:train", "--timeout", "soon"],
        ["job.py:train", "--params", "x=1"],
        [],
    ],
)
def test_a_command_line_that_makes_no_sense_gives_exit_code_2(
    folder: Path, arguments: list[str]
) -> None:
    done = localtune(folder, "check", *arguments)

    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
