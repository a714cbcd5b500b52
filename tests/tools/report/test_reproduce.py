"""What a report says on running the best trial again is true: it is run."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy
import pytest

from localtune.analysis import ExperimentAnalysis
from localtune.analysis.reader import SavedExperiment, read_saved
from localtune.resources import PlacementGroupFactory
from localtune.storage.reading import read_files
from localtune.tools.cli.main import main
from localtune.tools.commands.start_command import StartCommand, command_of
from localtune.tools.report.reproduce import recipe_of
from localtune.trial.trial import Trial
from tests.runs.lifecycle.programs import environment

SCRIPT = """
import random
import localtune as tune


def train(config):
    assert config["text"] == "it's a \\"text\\" $HOME"
    seed = tune.get_context().get_trial_seed()
    for step in range(config["model"]["steps"] + 2):
        tune.report({"loss": config["lr"] * random.random() / (step + 1), "seed": seed})
"""
TEXT = 'it\'s a "text" $HOME'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a script and a sweep that the command line ran."""
    folder = tmp_path_factory.mktemp("reproduce")
    (folder / "job.py").write_text(SCRIPT)
    options = ["--param", "lr=loguniform(1e-4,1e-1)", "--param", f"text={TEXT!r}"]
    options += ["--param", "model/steps=2", "--samples", "3", "--seed", "7", "--metric", "loss"]
    options += [
        "--mode",
        "min",
        "--stop",
        "training_iteration=3",
        "--storage",
        "s",
        "--name",
        "run",
    ]
    run([sys.executable, "-m", "localtune", "run", "job.py:train", *options], folder)
    return folder


def run(arguments: list[str], folder: Path, **variables: str) -> str:
    done = subprocess.run(
        arguments,
        cwd=folder,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def best_of(view: SavedExperiment) -> Trial:
    best = view.best()
    assert best is not None
    return best[0]


@pytest.fixture
def best(folder: Path) -> Trial:
    return best_of(read_saved(str(folder / "s" / "run")))


def test_the_script_repeats_the_trial(folder: Path, best: Trial) -> None:
    recipe = recipe_of(best, command_of(read_files(str(folder / "s" / "run"))), "loss", "min")
    assert recipe.notes == []
    script = recipe.python.replace(
        "print(results[0].metrics)",
        "import json; m = results[0].metrics;"
        "print(json.dumps([m['loss'], m['seed'], m['training_iteration']]))",
    )
    assert script != recipe.python

    printed = run([sys.executable, "-c", script], folder)

    last = best.last_result
    wanted = [last["loss"], last["seed"], last["training_iteration"]]
    assert json.loads(printed.splitlines()[-1]) == wanted


def test_the_command_line_repeats_the_trial(folder: Path, best: Trial) -> None:
    command = recipe_of(
        best, command_of(read_files(str(folder / "s" / "run"))), "loss", "min"
    ).command
    assert command is not None
    localtune = f"{sys.executable} -m localtune"

    run(["bash", "-ec", command.replace("localtune run", f"{localtune} run --storage o")], folder)

    (path,) = (folder / "o").iterdir()
    (again,) = ExperimentAnalysis(path).trials
    assert again.config == best.config
    assert again.last_result["loss"] == best.last_result["loss"]
    assert again.seed == best.seed == again.last_result["seed"]


# Prints what it gets, with the seed.
PRINTS = """
echo "{\\"loss\\": $1, \\"text\\": \\"$2\\", \\"width\\": $LOCALTUNE_PARAM_WIDTH, \\"seed\\": $3}"
exit $4
"""


def test_a_trial_of_a_program_is_repeated_by_its_command_and_as_a_trial(tmp_path: Path) -> None:
    (tmp_path / "job.sh").write_text(PRINTS)
    (tmp_path / "sweep.toml").write_text(
        'command = "sh job.sh {lr} {text} {seed} 1 || sh job.sh {lr} {text} {seed} 0"\n'
        'shell = true\ncwd = "."\nparams_by = "env"\nmetric = "loss"\nmode = "min"\n'
        'storage = "s"\nname = "run"\n[param_space]\nlr = "grid_search([3, 2])"\nwidth = 8\n'
        'text = "it\'s $HOME; now"\n'
    )
    run([sys.executable, "-m", "localtune", "run", "sweep.toml"], tmp_path)
    path = str(tmp_path / "s" / "run")
    best = best_of(read_saved(path))
    wanted = {key: best.last_result[key] for key in ("loss", "text", "width", "seed")}
    assert (wanted["text"], wanted["seed"]) == ("it's $HOME; now", best.seed)

    recipe = recipe_of(best, command_of(read_files(path)), "loss", "min")

    assert recipe.program is not None and recipe.command is not None
    printed = run(["sh", "-ec", recipe.program.script], tmp_path / "s")
    assert json.loads(printed.splitlines()[0]) == wanted
    # A person can paste the command line alone.
    width = {"LOCALTUNE_PARAM_WIDTH": "8"}
    printed = run(["sh", "-ec", recipe.program.line], tmp_path, **width)
    assert json.loads(printed.splitlines()[0]) == wanted
    localtune = f"{sys.executable} -m localtune run --storage o"
    run(["bash", "-ec", recipe.command.replace("localtune run", localtune)], tmp_path / "s")
    (again,) = ExperimentAnalysis(next((tmp_path / "o").iterdir())).trials
    script = recipe.python.replace(".metrics)", ".path)")
    made = Path(run([sys.executable, "-c", script], tmp_path / "s").splitlines()[-1])
    by_python = json.loads((made / "result.json").read_text().splitlines()[-1])
    for result in (again.last_result, by_python):
        assert {key: result[key] for key in wanted} == wanted


def trial(config: dict[Any, Any], **options: Any) -> Trial:
    return Trial("train", trial_id="a", config=config, **options)


COMMAND = StartCommand("pkg.job:Steps.inner", "/there")


def test_variables_of_a_program_may_be_secret_and_are_named_only() -> None:
    program = {"command": ["sh", "a b", "{x}"], "env": {"TOKEN": "hunter2"}, "lockstep": True}

    recipe = recipe_of(trial({"x": 1}), StartCommand("", "/d", {}, program), None, None)

    assert recipe.command is not None
    words = shlex.split(recipe.command.splitlines()[1])
    assert words[1:6] == ["localtune", "run", "--command", "sh 'a b' '{x}'", "--lockstep"]
    assert "tune.Command(['sh', 'a b', '{x}'], lockstep=True, directory='/d')" in recipe.python
    assert "hunter2" not in f"{recipe}" and "set TOKEN yourself" in recipe.notes[0]


def test_settings_without_an_option_leave_the_script() -> None:
    start = StartCommand("", "/d", {}, {"command": "sh", "final_file": "result.json"})

    recipe = recipe_of(trial({}), start, None, None)

    assert recipe.command is None
    assert "tune.Command('sh', final_file='result.json', directory='/d')" in recipe.python


def config_in(script: str) -> dict[str, Any]:
    start, end = script.index("config = {"), script.index("results = ")
    names: dict[str, Any] = {}
    exec(script[start:end], names)
    found: dict[str, Any] = names["config"]
    return found


def test_a_config_is_code_that_gives_it_back() -> None:
    config = {
        "a": [1, (2.5, None)],
        "b": {"c": "x" * 200, "d": {"e": True}},
        "n": numpy.float64(0.25),
        "inf": float("-inf"),
    }

    recipe = recipe_of(trial(config), COMMAND, None, None)

    assert config_in(recipe.python) == config
    assert "from pkg.job import Steps\n" in recipe.python
    assert "    Steps.inner,\n" in recipe.python
    # The command line has no literal for an infinity.
    assert recipe.command is None


def test_what_is_no_literal_is_named() -> None:
    recipe = recipe_of(trial({"lr": 0.1, "net": {"act": max}}), COMMAND, "loss", "min")

    assert config_in(recipe.python) == {"lr": 0.1, "net": {"act": ...}}
    assert any("net/act" in note for note in recipe.notes)
    assert recipe.command is None


@pytest.mark.parametrize("key", ["a=b", "a/b", " a", 1])
def test_keys_that_the_command_line_would_misread_are_not_given_to_it(key: Any) -> None:
    recipe = recipe_of(trial({key: 1}), COMMAND, None, None)

    assert recipe.command is None
    assert config_in(recipe.python) == {key: 1}


def test_resources_are_asked_for_again() -> None:
    factory = PlacementGroupFactory([{"CPU": 2, "GPU": 0.5}])

    recipe = recipe_of(trial({}, placement_group_factory=factory), COMMAND, None, None)

    assert "tune.with_resources(Steps.inner, {'CPU': 2.0, 'GPU': 0.5})" in recipe.python
    assert recipe.command is not None and "--resources cpu=2.0,gpu=0.5" in recipe.command


def test_a_perturbed_trial_is_said_to_be_one() -> None:
    recipe = recipe_of(trial({}, experiment_tag="1@perturbed[lr=1]"), COMMAND, None, None)

    assert any("changed this trial's configuration" in note for note in recipe.notes)


def test_without_a_command_the_import_is_left_to_the_user() -> None:
    recipe = recipe_of(trial({"x": 1}), None, None, None)

    assert "from my_module import train" in recipe.python
    assert recipe.command is None


@pytest.mark.parametrize("text", ["", "{}", '{"target": 1, "directory": ""}', "[]"])
def test_a_damaged_record_of_the_command_is_none(text: str) -> None:
    assert command_of({}) is None
    assert command_of({"command.json": text.encode()}) is None


def test_a_seed_that_is_none_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("LOCALTUNE_REPEAT_SEED", "-1")

    assert main(["run", "job.py:train", "--smoke"]) == 2
    assert "LOCALTUNE_REPEAT_SEED must be a whole number" in capsys.readouterr().err
    sys.modules.pop("job", None)
