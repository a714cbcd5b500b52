"""``localtune run``: exit codes, and what is printed where."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from localtune.tools.cli.main import main
from tests.runs.lifecycle.programs import running, wait_until
from tests.tools.cli.command import PROGRAM, for_json, localtune, write_script

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_script(tmp_path)
    return tmp_path


def test_a_sweep_ends_with_0_and_says_what_was_best(folder: Path) -> None:
    options = ["--metric", "loss", "--mode", "min", "--storage", "s", "--name", "a", "--seed", "1"]

    outcome = for_json(
        folder,
        "run",
        "job.py:train",
        "--param",
        "x=grid_search([1, 3])",
        "--samples",
        "2",
        *options,
    )

    assert outcome["experiment"] == str(folder / "s" / "a")
    assert (outcome["trials"], outcome["interrupted"]) == ({"TERMINATED": 4}, False)
    assert outcome["best"]["config"] == {"x": 1}
    assert outcome["best"]["result"]["loss"] == pytest.approx(1 / 3)


def test_failed_trials_end_it_with_1(folder: Path) -> None:
    args = ["run", "job:train", "--param", "x=grid_search([1, 2])", "--storage", "s"]

    outcome = for_json(folder, *args, code=1)

    assert outcome["trials"] == {"TERMINATED": 1, "ERROR": 1}
    assert outcome["best"] is None


def test_a_sweep_file_says_all(folder: Path) -> None:
    (folder / "files").mkdir()
    write_script(folder / "files", "inner")
    (folder / "files" / "sweep.toml").write_text(
        'trainable = "inner.py:train"\nstorage = "s"\nname = "b"\nlog_to_file = true\nverbose = 0\n'
        'samples = 3\n[param_space]\nx = "uniform(0, 1)"\n[resources]\ncpu = 0.5\n'
    )

    done = localtune(folder, "run", "files/sweep.toml", "--samples", "2")

    assert (done.returncode, done.stderr) == (0, "")
    outputs = list((folder / "files" / "s" / "b").glob("*/stdout"))
    assert len(outputs) == 2
    assert all(path.read_text().startswith("training with 0.") for path in outputs)


@pytest.mark.parametrize(
    ("trainable", "code", "says"),
    [
        ("train", 0, "The smoke run went well"),
        ("silent", 1, "ended without a result"),
    ],
)
def test_a_smoke_run_keeps_nothing_and_judges(
    trainable: str, code: int, says: str, folder: Path
) -> None:
    args = ["run", f"job.py:{trainable}", "--param", "x=grid_search([5, 6, 7])", "--smoke"]

    done = localtune(folder, *args, "--storage", str(folder / "s"))

    assert done.returncode == code, done.stdout + done.stderr
    assert says in done.stderr
    assert "2/2  1 iteration" in done.stdout or code
    assert not (folder / "s").exists()
    kept = next(line for line in done.stdout.splitlines() if line.startswith("Results in "))
    assert not os.path.exists(kept.removeprefix("Results in "))


def test_a_failing_smoke_run_shows_the_traceback(folder: Path) -> None:
    (folder / "job.py").write_text("def train(config):\n    raise KeyError('width')\n")

    done = localtune(folder, "run", "job.py:train", "--smoke")

    assert done.returncode == 1
    assert "raise KeyError('width')" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["job.py"], "For example: job.py:Counts"),
        (["job.py:tarin"], "Did you mean 'train'?"),
        (["job.py:NOT_CALLABLE"], "is no trainable, but a int"),
        (["none.py:train"], "There is no file"),
        (["none:train"], "There is no module 'none'"),
        (["job.py:train", "--param", "x=3", "--mode", "max", "--name", "a/b"], "a/b"),
        (["broken.py:train"], "ZeroDivisionError"),
        (["needy:train"], "not_there"),
        (["ends.py:train"], "it ended the program"),
        (["reads.py:train"], "FileNotFoundError"),
        (["needy.py:train"], "No module named 'not_there'"),
        (["odd/json.py:train"], "another module is named 'json'"),
    ],
)
def test_what_cannot_be_run_ends_it_with_2(
    arguments: list[str],
    says: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (folder / "broken.py").write_text("1 / 0\n")
    (folder / "ends.py").write_text("raise SystemExit(0)\n")
    (folder / "reads.py").write_text("open('no such file')\n")
    (folder / "needy.py").write_text("import not_there\n")
    (folder / "odd").mkdir()
    (folder / "odd" / "json.py").write_text("def train(config): pass\n")
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "job", raising=False)

    code = main(["run", *arguments, "--storage", str(folder / "s")])

    sys.modules.pop("job", None)
    assert (code, says in capsys.readouterr().err) == (2, True)
    assert not (folder / "s").exists()


def test_an_interrupted_run_ends_with_130(folder: Path) -> None:
    args = ["run", "job.py:Counts", "--param", "go=never", "--storage", "s", "--name", "a"]

    with running([*PROGRAM, *args], folder) as program:
        wait_until(lambda: any(folder.glob("s/a/*/result.json")), "the first result")
        os.killpg(program.pid, signal.SIGINT)
        assert program.wait(60) == 130, (folder / "output").read_text()

    assert [each["state"] for each in for_json(folder, "ls", "s")] == ["interrupted"]
