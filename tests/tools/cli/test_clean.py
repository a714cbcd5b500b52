"""``localtune clean`` removes experiments, and nothing else."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from localtune.storage.locks import experiment_locked
from localtune.tools.cli.main import main
from tests.small_runs import fit, reporting


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    """A storage with the experiments one and two, and things that are none."""
    folder = tmp_path / "s"
    fit(reporting, folder, name="one")
    shutil.copytree(folder / "one", folder / "two")
    (folder / "photos").mkdir()
    (folder / "photos" / "beach.jpg").write_text("sea")
    (folder / "notes.txt").write_text("mine")
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_without_yes_it_only_tells(storage: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(storage.rglob("*"))

    assert main(["clean", str(storage)]) == 0

    shown = capsys.readouterr()
    assert [Path(line.split()[2]).name for line in shown.out.splitlines()] == ["one", "two"]
    assert "add --yes" in shown.err
    assert sorted(storage.rglob("*")) == before


def test_with_yes_only_experiments_go(storage: Path) -> None:
    assert main(["clean", str(storage), "--yes"]) == 0

    assert names(storage) == ["notes.txt", "photos"]
    assert (storage / "photos" / "beach.jpg").read_text() == "sea"


def test_programs_are_told_what_went_and_what_stays(
    storage: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (storage / "two" / ".validate_storage_marker").unlink()

    assert main(["clean", str(storage), "--json"]) == 0
    before = json.loads(capsys.readouterr().out)
    assert main(["clean", str(storage), "--yes", "--json"]) == 0
    one, two = json.loads(capsys.readouterr().out)

    assert [each["removed"] for each in before] == [False, False]
    assert (one["path"], one["removed"], one["problem"]) == (str(storage / "one"), True, None)
    assert one["size_bytes"] == before[0]["size_bytes"] > 0
    assert (two["removed"], "does not have the files" in two["problem"]) == (False, True)


def test_a_name_and_an_age_choose(storage: Path) -> None:
    for path in [*(storage / "two").rglob("*"), storage / "two"]:
        os.utime(path, (1e9, 1e9))

    assert main(["clean", str(storage), "--name", "o*", "--older-than", "1d", "--yes"]) == 0
    assert {"one", "two"} < set(names(storage))
    assert main(["clean", str(storage), "--older-than", "1d", "--yes"]) == 0
    assert "two" not in names(storage)
    assert main(["clean", str(storage), "--name", "o*", "--yes"]) == 0
    assert names(storage) == ["notes.txt", "photos"]


def test_an_experiment_in_use_stays(storage: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with experiment_locked(str(storage / "one")):
        assert main(["clean", str(storage), "--yes"]) == 0

    assert "one" in names(storage) and "two" not in names(storage)
    assert "is running it" in capsys.readouterr().err


def test_a_lock_of_an_unnamed_process_is_respected(
    storage: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with experiment_locked(str(storage / "one")):
        (storage / "one" / ".lock_owner.json").unlink()

        assert main(["clean", str(storage), "--yes"]) == 1

    assert "one" in names(storage)
    assert "it is being run" in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["experiment.db", ".validate_storage_marker"])
def test_what_lacks_a_file_of_an_experiment_stays(missing: str, storage: Path) -> None:
    (storage / "one" / missing).unlink()

    assert main(["clean", str(storage), "--yes"]) == 0

    assert "one" in names(storage)


def test_links_are_neither_removed_nor_followed(storage: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (storage / "two").rename(elsewhere)
    (storage / "link").symlink_to(elsewhere)
    (storage / "one" / "photos").symlink_to(storage / "photos")

    assert main(["clean", str(storage), "--yes"]) == 0

    assert names(storage) == ["link", "notes.txt", "photos"]
    assert (elsewhere / "experiment.db").exists()
    assert (storage / "photos" / "beach.jpg").exists()


def test_an_experiment_around_another_one_stays(storage: Path) -> None:
    (storage / "two").rename(storage / "one" / "two")

    assert main(["clean", str(storage), "--yes"]) == 0

    assert (storage / "one" / "two" / "experiment.db").exists()


def test_an_experiment_that_others_may_write_stays(storage: Path) -> None:
    (storage / "one").chmod(0o777)

    assert main(["clean", str(storage), "--yes"]) == 0

    assert "one" in names(storage) and "two" not in names(storage)


def test_an_experiment_itself_is_no_storage(storage: Path) -> None:
    before = sorted(storage.rglob("*"))

    assert main(["clean", str(storage / "one"), "--yes"]) == 0

    assert sorted(storage.rglob("*")) == before
