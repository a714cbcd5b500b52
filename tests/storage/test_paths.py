from __future__ import annotations

import errno
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from localtune.error import StorageError
from localtune.result import STORAGE_MARKER_FILE
from localtune.storage.paths import (
    check_experiment_dir,
    make_experiment_dir,
    make_trial_dir,
    prove_dir_writable,
    remove_empty_dirs,
)

ROOT = Path(__file__).parents[2]
FULL_DISK = """
import resource, sys
from localtune.error import StorageError
from localtune.storage.paths import prove_dir_writable
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
try:
    prove_dir_writable(sys.argv[1])
except StorageError as error:
    print(error)
"""


def test_an_experiment_directory_is_made_with_its_parents_and_nothing_in_it(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "exp"

    made = make_experiment_dir(str(path))

    assert made == [str(tmp_path / "a"), str(tmp_path / "a" / "b"), str(path)]
    assert os.listdir(path) == []
    assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_directories_that_were_made_are_removed_unless_they_are_used(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "exp"
    made = make_experiment_dir(str(path))
    (tmp_path / "a" / "other").mkdir()

    remove_empty_dirs(made)

    assert os.listdir(tmp_path / "a") == ["other"]


def test_an_experiment_directory_that_exists_keeps_its_content(tmp_path: Path) -> None:
    (tmp_path / "result.txt").write_text("kept")

    assert make_experiment_dir(str(tmp_path)) == []
    assert make_experiment_dir(str(tmp_path)) == []

    assert (tmp_path / "result.txt").read_text() == "kept"


ASKED = pytest.mark.parametrize("ask", [make_experiment_dir, check_experiment_dir])


@ASKED
def test_a_path_that_is_a_file_is_refused(ask: Callable[[str], object], tmp_path: Path) -> None:
    path = tmp_path / "exp"
    path.write_text("")

    with pytest.raises(StorageError, match=f"{re.escape(str(path))}.*it is a file") as caught:
        ask(str(path))

    assert caught.value.errno == errno.EEXIST
    assert "Choose another storage_path" in str(caught.value)


@ASKED
@pytest.mark.parametrize("inner", ["exp", "results/exp"])
def test_a_file_on_the_way_is_refused(
    ask: Callable[[str], object], inner: str, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_text("")

    with pytest.raises(StorageError, match="a part of it is a file"):
        ask(str(file / inner))


@ASKED
def test_a_name_that_no_directory_can_have_is_refused(
    ask: Callable[[str], object], tmp_path: Path
) -> None:
    with pytest.raises(StorageError, match="File name too long"):
        ask(str(tmp_path / ("x" * 300)))

    assert os.listdir(tmp_path) == []


def test_what_cannot_be_made_to_the_end_is_not_made_at_all(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="File name too long"):
        make_experiment_dir(str(tmp_path / "new" / ("x" * 300)))

    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("path", ["/proc/self/exp/deeper", "/dev/full/exp"])
def test_a_place_where_nothing_can_be_made_is_known_without_writing(path: str) -> None:
    with pytest.raises(StorageError, match="cannot be used"):
        check_experiment_dir(path)


def test_a_place_that_can_be_used_is_left_as_it_is(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "exp", tmp_path / "a" / "b" / "exp"):
        check_experiment_dir(str(path))

    assert os.listdir(tmp_path) == []


def test_the_proof_leaves_an_empty_marker(tmp_path: Path) -> None:
    prove_dir_writable(str(tmp_path))

    assert os.listdir(tmp_path) == [STORAGE_MARKER_FILE]
    assert (tmp_path / STORAGE_MARKER_FILE).read_bytes() == b""


def test_a_marker_that_is_a_link_is_replaced_not_followed(tmp_path: Path) -> None:
    other = tmp_path / "other.txt"
    other.write_text("kept")
    directory = tmp_path / "exp"
    directory.mkdir()
    (directory / STORAGE_MARKER_FILE).symlink_to(other)

    prove_dir_writable(str(directory))

    assert other.read_text() == "kept"
    assert not (directory / STORAGE_MARKER_FILE).is_symlink()


def test_a_marker_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / STORAGE_MARKER_FILE).mkdir()

    with pytest.raises(StorageError, match=r"cannot be used: Is a directory\. Choose another"):
        prove_dir_writable(str(tmp_path))

    assert os.listdir(tmp_path) == [STORAGE_MARKER_FILE]


def test_a_full_disk_is_told_and_nothing_stays(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, tmp_path],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )

    assert "cannot be used: File too large. Choose another storage_path" in done.stdout
    assert os.listdir(tmp_path) == []


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
