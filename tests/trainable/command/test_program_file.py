"""Programs and scripts are found from the original directory."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from localtune.trainable.command.program_file import (
    add_module_path,
    check_script,
    find_program,
    found_arguments,
    runs_module,
)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name in ("train.py", "config.yaml", "data", "sub/prog"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
    (tmp_path / "sub" / "prog").chmod(0o755)
    return tmp_path


def found(place: Path, *arguments: str) -> list[str]:
    """The arguments that have changed are written with a leading ``+``."""
    result = found_arguments(arguments, str(place), dict(os.environ))
    return [
        f"+{os.path.relpath(new, place)}" if new != old else new
        for old, new in zip(arguments, result, strict=True)
    ][1:]


@pytest.mark.parametrize(
    ("arguments", "changed"),
    [
        (["train.py", "--data", "data"], ["+train.py", "--data", "data"]),
        (["-u", "train.py"], ["-u", "+train.py"]),
        (["--cfg", "config.yaml", "train.py"], ["--cfg", "config.yaml", "+train.py"]),
        (["data", "other"], ["+data", "other"]),
        (["other", "data"], ["other", "data"]),
        (["-c", "print(1)", "data"], ["-c", "print(1)", "data"]),
        (["/train.py", "data"], ["/train.py", "data"]),
    ],
)
def test_the_script_of_an_interpreter_is_found(
    place: Path, arguments: list[str], changed: list[str]
) -> None:
    assert found(place, sys.executable, *arguments) == changed


def test_arguments_of_a_program_by_path_are_left_alone(place: Path) -> None:
    assert found(place, "sub/prog", "train.py") == ["train.py"]
    assert find_program("./sub/prog", str(place), {}) == str(place / "sub" / "prog")


@pytest.mark.parametrize(
    ("program", "error", "text"),
    [
        ("no-such-program", FileNotFoundError, "was not found in any directory of PATH"),
        ("train.py", FileNotFoundError, r"write \./train\.py"),
        ("./nothing", FileNotFoundError, "There is no program"),
        ("./train.py", PermissionError, "not executable"),
        ("./sub", PermissionError, "is a directory"),
    ],
)
def test_a_program_that_cannot_be_run_is_an_error(
    place: Path, program: str, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        find_program(program, str(place), {"PATH": str(place / "sub")})


@pytest.mark.parametrize(
    "words",
    [
        ["python3", "train.py", "no.py"],
        ["python", "-u", "train.py"],
        ["sh", "prog"],
        ["sh", "no-suffix"],
        ["python", "-m", "no.py"],
        ["python", "-c", "no.py"],
        ["python", None, "no.py"],
        ["python"],
        ["torchrun", "no.py"],
        ["./python.sh", "no.py"],
    ],
)
def test_what_may_be_no_script_is_not_checked(place: Path, words: list[str]) -> None:
    check_script(words[0], words[1:], [str(place)])


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["python3.12", "-u", "trian.py"], r"no script 'trian\.py' in .*Did you mean 'train\.py'"),
        (["/usr/bin/Rscript", "no/such.R"], r"no script 'no/such\.R'"),
        (["sh", "/no/such.sh"], r"no script '/no/such\.sh'"),
    ],
)
def test_a_script_that_does_not_exist_is_an_error(place: Path, words: list[str], text: str) -> None:
    with pytest.raises(FileNotFoundError, match=text):
        check_script(words[0], words[1:], [str(place), str(place / "sub")])


def test_modules_are_found_from_the_original_directory() -> None:
    assert runs_module(["/usr/bin/python3.11", "-m", "train"])
    assert runs_module(["python", "-u", "-c", "import train"])
    assert not runs_module(["python", "train.py", "-m", "x"])
    assert not runs_module(["ruby", "-m", "x"])
    environment = {"PYTHONPATH": "other"}
    add_module_path(environment, "here")
    assert environment == {"PYTHONPATH": f"here{os.pathsep}other"}
