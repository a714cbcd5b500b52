"""What is an experiment, and where."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from localtune.analysis.experiment_paths import (
    experiments_in,
    find_experiment,
    folders_with_experiments,
    is_complete_experiment,
    storage_directory,
)
from localtune.error import UsageError


def make(path: Path, *names: str) -> Path:
    path.mkdir(parents=True)
    for name in names or ("experiment.db", ".validate_storage_marker", "tuner.pkl"):
        (path / name).touch()
    return path


def test_experiments_are_found_among_other_things(tmp_path: Path) -> None:
    make(tmp_path / "b")
    make(tmp_path / "a", "tuner.pkl")
    make(tmp_path / "photos", "beach.jpg")
    (tmp_path / "file").touch()

    assert experiments_in(str(tmp_path)) == [str(tmp_path / "a"), str(tmp_path / "b")]


def test_an_experiment_is_complete_with_database_and_marker(tmp_path: Path) -> None:
    whole = make(tmp_path / "whole")
    (tmp_path / "link").symlink_to(whole)
    fake = make(tmp_path / "fake", ".validate_storage_marker")
    (fake / "experiment.db").symlink_to(whole / "experiment.db")

    names = ["whole", "link", "fake", "none"]
    assert [is_complete_experiment(str(tmp_path / each)) for each in names] == [
        True,
        False,
        False,
        False,
    ]


def test_a_name_is_looked_for_in_the_storage_and_a_path_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = make(tmp_path / "s" / "a")
    monkeypatch.chdir(tmp_path)

    assert find_experiment("a", "s") == str(inside)
    assert find_experiment("s/a", None) == str(inside)
    assert find_experiment(str(inside), "elsewhere") == str(inside)


def test_the_storage_that_was_given_comes_before_the_current_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, inside = make(tmp_path / "a"), make(tmp_path / "s" / "a")
    monkeypatch.chdir(tmp_path)

    assert find_experiment("a", "s") == str(inside)
    assert find_experiment("a", None) == str(here)


def test_the_default_storage_is_in_the_home_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    there = make(tmp_path / "localtune_results" / "sweep")

    assert storage_directory(None) == str(there.parent)
    assert find_experiment("sweep", None) == str(there)


def test_what_is_no_experiment_is_refused_with_the_near_miss(tmp_path: Path) -> None:
    make(tmp_path / "sweep_1")
    make(tmp_path / "photos", "beach.jpg")

    with pytest.raises(UsageError, match="Did you mean 'sweep_1'"):
        find_experiment("sweep1", str(tmp_path))
    with pytest.raises(UsageError, match="There is no experiment"):
        find_experiment(os.fspath(tmp_path / "photos"), None)


def test_the_start_of_a_name_is_enough_if_it_means_one(tmp_path: Path) -> None:
    make(tmp_path / "train_1")
    make(tmp_path / "train_2")
    make(tmp_path / "digits_2030-01-31")

    assert find_experiment("dig", str(tmp_path)) == str(tmp_path / "digits_2030-01-31")
    with pytest.raises(UsageError, match=r"start of 2 experiments .*: train_1, train_2"):
        find_experiment("train", str(tmp_path))


def test_folders_with_experiments_are_found_one_level_below(tmp_path: Path) -> None:
    make(tmp_path / "a")
    make(tmp_path / "digits" / "b")
    make(tmp_path / "photos", "beach.jpg")
    (tmp_path / "link").symlink_to(tmp_path / "digits")

    assert folders_with_experiments(str(tmp_path)) == [str(tmp_path / "digits")]
    assert folders_with_experiments(str(tmp_path / "none")) == []
