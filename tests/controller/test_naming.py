"""Names of trials, of their directories, and of experiments."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.config.run import check_experiment_name
from localtune.controller.naming import name_trial
from localtune.error import TuneError
from localtune.trial.trial import Trial
from tests.small_runs import fit, reporting

DATE = "2030-12-31_23-59-59"


def named(
    *,
    name: str = "train",
    tag: str = "0",
    config: dict[str, Any] | None = None,
    name_creator: Callable[[Trial], Any] | None = None,
    dirname_creator: Callable[[Trial], Any] | None = None,
    date: str = DATE,
) -> Trial:
    trial = Trial(name, trial_id="abc12_00000", config=config or {}, experiment_tag=tag)
    name_trial(trial, name_creator=name_creator, dirname_creator=dirname_creator, date_text=date)
    return trial


def test_the_default_names() -> None:
    trial = named(tag="0_lr=0.1000")
    assert str(trial) == "train_abc12_00000"
    assert trial.dirname == f"train_abc12_00000_0_lr=0.1000_{DATE}"
    assert named(date="").dirname == "train_abc12_00000_0"


def test_an_env_is_part_of_the_name() -> None:
    assert str(named(config={"env": "ns/Pole-v1"})) == "train_ns_Pole-v1_abc12_00000"


def test_names_of_the_user_are_taken_as_they_are() -> None:
    trial = named(name_creator=lambda t: f"mine/{t.trial_id}")
    assert str(trial) == "mine/abc12_00000"
    assert trial.dirname == f"mine_abc12_00000_0_{DATE}"
    assert named(dirname_creator=lambda t: f"d {t}(1)").dirname == "d_train_abc12_00000_1_"


@pytest.mark.parametrize("char", list('/()<>:"\\|?* \n\0'))
def test_characters_that_are_unsafe_in_a_directory_are_replaced(char: str) -> None:
    assert named(tag=f"0_a{char}b").dirname == f"train_abc12_00000_0_a_b_{DATE}"


def test_a_long_name_is_cut_before_the_date(monkeypatch: pytest.MonkeyPatch) -> None:
    dirname = named(tag="0_" + "x" * 500).dirname
    assert len(dirname) == 130 + len(f"_{DATE}")
    assert dirname.endswith(f"x_{DATE}")
    monkeypatch.setenv("TUNE_MAX_LEN_IDENTIFIER", "20")
    assert named(tag="0_" + "x" * 500).dirname == f"train_abc12_00000_0__{DATE}"


@pytest.mark.parametrize("limit", ["130", "1000"])
def test_a_name_never_exceeds_the_limit_of_a_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setenv("TUNE_MAX_LEN_IDENTIFIER", limit)
    dirname = named(tag="0_" + "ä€🎛" * 200).dirname
    assert dirname.endswith(f"_{DATE}")
    (tmp_path / f"{dirname}_beef").mkdir()


@pytest.mark.parametrize("creator", ["name_creator", "dirname_creator"])
@pytest.mark.parametrize("value", ["", None, 3, "x" * 251])
def test_a_creator_must_return_a_name(creator: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"trial_{creator} must return a(t most| name)"):
        named(**{creator: lambda trial: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["a/b", ".", ".."])
def test_a_directory_must_stay_where_it_is(value: str) -> None:
    with pytest.raises(ValueError, match="trial_dirname_creator must"):
        named(dirname_creator=lambda trial: value)


@pytest.mark.parametrize("creator", ["name_creator", "dirname_creator"])
def test_a_creator_that_raises_is_named(creator: str) -> None:
    def create(trial: Trial) -> str:
        return str(trial.config["gone"])

    with pytest.raises(TuneError, match=rf"trial_{creator} raised KeyError: 'gone'[\s\S]*create"):
        named(**{creator: create})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["run", "a b", "ä", "...", "x" * 255])
def test_good_names_of_experiments(name: str) -> None:
    assert check_experiment_name(name) == name


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", "a\0b", "x" * 256, "ä" * 128, 5])
def test_bad_names_of_experiments(name: Any) -> None:
    with pytest.raises(ValueError, match="name must be"):
        check_experiment_name(name)


# -- in a run -----------------------------------------------------------------------------------


def test_equal_directory_names_get_an_ending(tmp_path: Path) -> None:
    grid = fit(reporting, tmp_path, num_samples=3, trial_dirname_creator=lambda trial: "same")
    names = [Path(result.path).name for result in grid]
    assert names[0] == "same"
    assert len(set(names)) == 3
    assert all(len(name) == len("same_beef") for name in names[1:])
    assert all(result.metrics["score"] == 1 for result in grid)


def test_creators_see_the_resolved_trial(tmp_path: Path) -> None:
    grid = fit(
        reporting,
        tmp_path,
        {"x": tune.grid_search([1, 2])},
        trial_name_creator=lambda trial: f"x-{trial.config['x']}",
    )
    trials = grid._experiment_analysis.trials
    assert [str(trial) for trial in trials] == ["x-1", "x-2"]
    assert [Path(result.path).name[:6] for result in grid] == ["x-1_0_", "x-2_1_"]


def test_a_bad_directory_name_ends_the_run_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="trial_dirname_creator must return the name"):
        fit(reporting, tmp_path, trial_dirname_creator=lambda trial: "a/b")
    assert list(tmp_path.iterdir()) == []


class NoText:
    def __str__(self) -> str:
        raise RuntimeError("no text")

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("no attribute")


def test_an_env_without_a_text_is_named_by_its_class() -> None:
    assert "NoText: its text cannot be made" in str(named(config={"env": NoText()}))


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb"])
def test_what_no_file_system_can_store_is_replaced(text: str) -> None:
    kept = text.replace("\ud800", "_").replace("\udfff", "_")
    assert named(tag=text, date="").dirname == f"train_abc12_00000_{kept}"
    assert named(dirname_creator=lambda trial: text).dirname == kept
    os.fsencode(named(name_creator=lambda trial: text).dirname)
