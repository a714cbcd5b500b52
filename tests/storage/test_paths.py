from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from localtune.error import StorageError
from localtune.result import STORAGE_MARKER_FILE
from localtune.storage.paths import claim_experiment_dir, make_experiment_dir, make_trial_dir

ROOT = Path(__file__).parents[2]
FULL_DISK = """
import resource, sys
from localtune.error import StorageError
from localtune.storage.paths import make_experiment_dir
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
try:
    make_experiment_dir(sys.argv[1])
except StorageError as error:
    print(error)
"""


def test_an_experiment_directory_is_made_with_its_parents_and_an_empty_marker(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a" / "b" / "exp"

    make_experiment_dir(str(path))

    assert os.listdir(path) == [STORAGE_MARKER_FILE]
    assert (path / STORAGE_MARKER_FILE).read_bytes() == b""


def test_an_experiment_directory_that_exists_keeps_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "result.txt").write_text("kept")

    make_experiment_dir(str(tmp_path))
    make_experiment_dir(str(tmp_path))

    assert (tmp_path / "result.txt").read_text() == "kept"


def test_a_path_that_is_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "exp"
    path.write_text("")

    with pytest.raises(StorageError, match=f"{re.escape(str(path))}.*it is a file") as caught:
        make_experiment_dir(str(path))

    assert caught.value.errno == errno.EEXIST
    assert "Choose another storage_path" in str(caught.value)


@pytest.mark.parametrize(
    "make", [make_experiment_dir, lambda path: claim_experiment_dir(path, "e")]
)
def test_a_file_on_the_way_is_refused(make: Callable[[str], object], tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")

    with pytest.raises(StorageError, match="a part of it is a file"):
        make(str(file / "results" / "exp"))


def test_a_storage_path_that_is_a_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "results"
    file.write_text("")

    with pytest.raises(StorageError, match="results' is a file"):
        claim_experiment_dir(str(file), "exp")


def test_a_marker_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / STORAGE_MARKER_FILE).mkdir()

    with pytest.raises(StorageError, match=r"cannot be used: Is a directory\. Choose another"):
        make_experiment_dir(str(tmp_path))


def test_a_full_disk_is_told_and_the_marker_stays_empty(tmp_path: Path) -> None:
    path = tmp_path / "exp"

    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, path],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )

    assert "cannot be used: File too large. Choose another storage_path" in done.stdout
    assert (path / STORAGE_MARKER_FILE).read_bytes() == b""


def test_a_free_name_is_claimed_as_it_is(tmp_path: Path) -> None:
    storage_path = tmp_path / "results"

    assert claim_experiment_dir(str(storage_path), "exp") == "exp"
    assert os.listdir(storage_path) == ["exp"]


def test_a_taken_name_gets_the_next_number(tmp_path: Path) -> None:
    names = [claim_experiment_dir(str(tmp_path), "exp") for _ in range(3)]

    assert names == ["exp", "exp_2", "exp_3"]
    assert sorted(os.listdir(tmp_path)) == names


def test_a_name_that_no_directory_can_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="File name too long"):
        claim_experiment_dir(str(tmp_path), "x" * 300)


def test_a_trial_directory_gets_its_name(tmp_path: Path) -> None:
    assert make_trial_dir(str(tmp_path), "trial") == "trial"
    assert os.listdir(tmp_path) == ["trial"]


def test_a_taken_trial_directory_gets_a_random_ending(tmp_path: Path) -> None:
    (tmp_path / "trial").mkdir()

    names = {make_trial_dir(str(tmp_path), "trial") for _ in range(3)}

    assert len(names) == 3
    assert all(re.fullmatch("trial_[0-9a-f]{4}", name) for name in names)
    assert {*os.listdir(tmp_path)} == {"trial", *names}


def test_a_trial_directory_needs_its_experiment(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="No such file or directory"):
        make_trial_dir(str(tmp_path / "gone"), "trial")
