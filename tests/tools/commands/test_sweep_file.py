"""Sweep files, whole and broken."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from localtune.error import UsageError
from localtune.search.sample import Categorical, Float, Integer, grid_search
from localtune.tools.commands.settings import CHECKS
from localtune.tools.commands.sweep import make_small, sweep_of
from localtune.tools.commands.sweep_file import line_of, read_sweep_file

TOML = """\
trainable = "job.py:train"
metric = "loss"
mode = "min"
samples = 5
storage = "results"
scheduler = "asha(max_t=9)"
stop = { training_iteration = 9 }

[param_space]
lr = "loguniform(1e-4, 1e-1)"
act = "relu"

[param_space.model]
width = "randint(1, 9)"

[resources]
cpu = 2
"""

YAML = """\
trainable: job.py:train
metric: loss
mode: min
samples: 5
storage: results
scheduler: asha(max_t=9)
stop:
  training_iteration: 9
param_space:
  lr: loguniform(1e-4, 1e-1)
  act: relu
  model:
    width: randint(1, 9)
resources:
  cpu: 2
"""


def write(folder: Path, text: str, suffix: str = "toml") -> str:
    path = folder / f"sweep.{suffix}"
    path.write_text(text)
    return str(path)


def arguments(target: str, **given: Any) -> Namespace:
    """What argparse makes of a command line."""
    defaults: dict[str, Any] = dict.fromkeys(CHECKS)
    return Namespace(**{**defaults, "target": target, "params": [], "bounds": [], **given})


@pytest.mark.parametrize(("text", "suffix"), [(TOML, "toml"), (YAML, "yaml"), (YAML, "yml")])
def test_both_formats_say_the_same(text: str, suffix: str, tmp_path: Path) -> None:
    sweep = sweep_of(arguments(write(tmp_path, text, suffix)))

    assert (sweep.trainable, sweep.directory) == ("job.py:train", str(tmp_path))
    assert (sweep.metric, sweep.mode, sweep.samples) == ("loss", "min", 5)
    assert sweep.storage == str(tmp_path / "results")
    assert (sweep.scheduler, sweep.stop) == ("asha(max_t=9)", {"training_iteration": 9})
    assert sweep.resources == {"CPU": 2.0}
    assert isinstance(sweep.param_space["lr"], Float) and sweep.param_space["act"] == "relu"
    assert isinstance(sweep.param_space["model"]["width"], Integer)


def test_options_win_over_the_file(tmp_path: Path) -> None:
    args = arguments(
        write(tmp_path, TOML),
        samples=7,
        storage="/elsewhere",
        bounds=[{"loss": 0.1}],
        params=[(["act"], "tanh"), (["model", "depth"], 3)],
    )

    sweep = sweep_of(args)

    assert (sweep.samples, sweep.mode, sweep.storage) == (7, "min", "/elsewhere")
    assert sweep.stop == {"training_iteration": 9, "loss": 0.1}
    assert sweep.param_space["act"] == "tanh"
    assert sorted(sweep.param_space["model"]) == ["depth", "width"]


@pytest.mark.parametrize(
    ("text", "suffix", "parts"),
    [
        ("metric = 'a'\nmode = \n", "toml", ["line 2", "'mode'"]),
        ("metric = 'a'\nmetric = 'b'\n", "toml", ["line 2", "'metric'"]),
        ("metric: a\nstop:\n  - b: [1\nmode: min\n", "yaml", ["line 4", "'mode'"]),
        ("metric: [a\nmode: min\n", "yaml", ["line 2", "which began in line 1"]),
        ("metric: a\nmetric: b\n", "yaml", ["line 2", "'metric' is there twice"]),
        ("metric: a\n\tmode: min\n", "yaml", ["line 2", "'mode'"]),
        ("- a\n", "yaml", ["must hold 'key: value' lines"]),
        ("", "yaml", ["must hold 'key: value' lines"]),
        (TOML.replace("samples", "sampels"), "toml", ["line 4", "'sampels'", "'samples'"]),
        (YAML.replace("9\npar", "soon\npar"), "yaml", ["line 8", "'stop/training_iteration'"]),
        (TOML.replace("randint(1", "randinf(1"), "toml", ["line 14", "model/width", "'randint'"]),
        (YAML.replace("loguni", "logumi"), "yaml", ["line 10", "'param_space/lr'", "'loguniform'"]),
        (TOML.replace("asha", "asah"), "toml", ["line 6", "'scheduler'", "Did you mean 'asha'?"]),
        (TOML.replace("samples = 5", "samples = 0"), "toml", ["line 4", "at least 1"]),
        ("metric = 'a'\n", "toml", ["must name its trainable"]),
    ],
)
def test_a_broken_file_is_refused_with_line_and_key(
    text: str, suffix: str, parts: list[str], tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as caught:
        sweep_of(arguments(write(tmp_path, text, suffix)))

    message = str(caught.value)
    assert [part for part in [str(tmp_path), *parts] if part not in message] == [], message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.toml.*No such file"):
        read_sweep_file(str(tmp_path / "none.toml"))


def test_numbers_of_yaml_need_no_dot(tmp_path: Path) -> None:
    file = read_sweep_file(write(tmp_path, "a: 1e-4\nb: 2.5E+3\nc: 12\nd: 1e\n", "yaml"))

    assert file.values == {"a": 1e-4, "b": 2500.0, "c": 12, "d": "1e"}


def test_the_line_of_a_key_is_that_of_its_own_table() -> None:
    text = "[a]\nx = 1\n[b]\nx = 2\n[b.c]\ny = 3\n"

    assert [line_of(text, key) for key in ("a/x", "b/x", "b/c/y", "z")] == [2, 4, 6, None]


def test_the_smallest_form_has_two_trials_of_one_iteration(tmp_path: Path) -> None:
    sweep = sweep_of(arguments(write(tmp_path, TOML)))
    sweep.param_space["layers"] = {"n": grid_search([1, 2, 3])}

    make_small(sweep, "/tmp/x")

    assert (sweep.samples, sweep.stop, sweep.storage) == (2, {"training_iteration": 1}, "/tmp/x")
    layers = sweep.param_space["layers"]["n"]
    assert isinstance(layers, Categorical) and layers.categories == [1, 2, 3]
