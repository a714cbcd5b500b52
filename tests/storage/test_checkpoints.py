"""Damage that a crash does to checkpoints is seen, and leftovers go."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from localtune.storage.checkpoints import find_damage, remove_leftovers
from localtune.trial.checkpoint_dirs import commit_checkpoint, note_recorded, note_unrecorded
from localtune.utils.files import file_sizes
from tests.small_runs import Counting, fit, processes, rows


def make_checkpoint(parent: Path, name: str = "checkpoint_000000") -> Path:
    path = parent / name
    (path / "deep").mkdir(parents=True)
    (path / "model.pt").write_bytes(b"12345")
    (path / "deep" / "empty").touch()
    return path


@pytest.mark.parametrize(
    ("harm", "text"),
    [
        (lambda path: None, ""),
        (lambda path: (path / "model.pt").write_bytes(b"123"), "has 3 bytes, and had 5"),
        (lambda path: (path / "deep" / "empty").unlink(), "is missing"),
        (lambda path: path.rename(path.with_name("gone")), "its directory is missing"),
    ],
)
def test_damage_is_described(tmp_path: Path, harm, text: str) -> None:  # type: ignore[no-untyped-def]
    path = make_checkpoint(tmp_path)
    files = file_sizes(str(path))
    harm(path)
    damage = find_damage(str(path), files)
    assert (text in damage) if text else damage == ""


def make_own_checkpoint(trial_dir: Path, number: int) -> Path:
    """A checkpoint that localtune made, and that has no record yet."""
    staging = make_checkpoint(trial_dir, f".staging_checkpoint_{number:06d}")
    final = trial_dir / f"checkpoint_{number:06d}"
    commit_checkpoint(str(staging), str(final))
    return final


def test_leftovers_go_and_the_rest_stays(tmp_path: Path) -> None:
    kept = make_own_checkpoint(tmp_path, 0)
    note_recorded(str(kept))
    make_own_checkpoint(tmp_path, 1)
    make_checkpoint(tmp_path, ".staging_checkpoint_000002")
    # Its record may yet fail to be written.
    marked = make_own_checkpoint(tmp_path, 3)
    (tmp_path / ".staging_77_0badf00d_params.json").touch()
    assert remove_leftovers(str(tmp_path), [str(kept), str(marked)]) == [
        "checkpoint_000001",
        ".staging_checkpoint_000002",
    ]
    assert sorted(os.listdir(tmp_path)) == [
        ".staging_made_checkpoint_000003",
        "checkpoint_000000",
        "checkpoint_000003",
    ]
    assert remove_leftovers(str(tmp_path), [str(kept)]) == ["checkpoint_000003"]
    assert sorted(os.listdir(tmp_path)) == ["checkpoint_000000"]


def test_a_mark_that_is_right_stays_as_it_is(tmp_path: Path) -> None:
    made = make_own_checkpoint(tmp_path, 0)
    mark = tmp_path / ".staging_made_checkpoint_000000"
    before = mark.stat()
    note_unrecorded(str(made))
    assert mark.stat().st_mtime_ns == before.st_mtime_ns


def test_nothing_of_the_user_is_a_leftover(tmp_path: Path) -> None:
    make_checkpoint(tmp_path, "checkpoint_000000")
    make_checkpoint(tmp_path, ".staging_mine")
    (tmp_path / "checkpoint_000001").write_text("mine")
    (tmp_path / "checkpoint_notes.txt").touch()
    (tmp_path / ".staging_notes").touch()
    (tmp_path / ".staging_checkpoint_000005").symlink_to("checkpoint_000000")
    # One of localtune's that went, and whose name the user took before it was on record.
    made = make_own_checkpoint(tmp_path, 2)
    made.rename(tmp_path / "moved")
    make_checkpoint(tmp_path, "checkpoint_000002")
    before = sorted(os.listdir(tmp_path))
    assert remove_leftovers(str(tmp_path), []) == []
    before.remove(".staging_made_checkpoint_000002")
    assert sorted(os.listdir(tmp_path)) == before
    assert os.listdir(tmp_path / "checkpoint_000000") == os.listdir(made)


class KeepsFilesOfItsOwn(Counting):
    """Has directories with names of checkpoints, and fails once."""

    def step(self):  # type: ignore[no-untyped-def]
        if self.count == 0:
            for number in (0, 2, 5):
                Path(f"checkpoint_{number:06d}").mkdir(exist_ok=True)
                Path(f"checkpoint_{number:06d}", "mine").touch()
        if self.count == 4 and not Path(self.config["once"]).exists():
            Path(self.config["once"]).touch()
            raise RuntimeError("once")
        return super().step()


def test_a_trial_keeps_its_own_directories_with_names_of_checkpoints(tmp_path: Path) -> None:
    (result,) = fit(
        KeepsFilesOfItsOwn,
        tmp_path,
        {"steps": 6, "once": str(tmp_path / "once")},
        checkpoint_frequency=2,
        max_failures=1,
        executor=processes(1),
    )
    assert result.error is None
    assert [row["count"] for row in rows(result)] == [1, 2, 3, 4, 5, 6]
    mine = ["checkpoint_000000", "checkpoint_000002", "checkpoint_000005"]
    found = {path.name for path in Path(result.path).iterdir() if "checkpoint" in path.name}
    made = {os.path.basename(checkpoint.path) for checkpoint, _ in result.best_checkpoints}
    assert found == {*mine, *made} and not made & {*mine}
    assert all(os.listdir(Path(result.path, name)) == ["mine"] for name in mine)


class FailsOnce(Counting):
    """Harms its newest checkpoint and dies, once."""

    def step(self):  # type: ignore[no-untyped-def]
        if self.count == 4 and not Path(self.config["once"]).exists():
            Path(self.config["once"]).touch()
            for file in Path(self.logdir, "checkpoint_000001").iterdir():
                file.write_bytes(b"")
            raise RuntimeError("power failure")
        return super().step()


def test_a_damaged_checkpoint_gives_way_to_the_one_before(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (result,) = fit(
        FailsOnce,
        tmp_path,
        {"steps": 6, "once": str(tmp_path / "once")},
        checkpoint_frequency=2,
        max_failures=1,
        executor=processes(1),
        verbose=1,
    )
    assert result.error is None
    assert [row["training_iteration"] for row in rows(result)] == [1, 2, 3, 4, 5, 6]
    assert [row["count"] for row in rows(result)] == [1, 2, 3, 4, 5, 6]
    assert "has 0 bytes" in "".join(capfd.readouterr())
    found = {path.name for path in Path(result.path).iterdir() if "checkpoint" in path.name}
    assert found == {os.path.basename(each.path) for each, _ in result.best_checkpoints}
