"""Damage that a crash does to checkpoints is seen, and leftovers go."""

from __future__ import annotations

from pathlib import Path

import pytest

from localtune.storage.checkpoints import find_damage, remove_leftovers
from localtune.utils.files import file_sizes
from tests.runs import Counting, fit, processes, rows


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


def test_leftovers_go_and_the_rest_stays(tmp_path: Path) -> None:
    kept = make_checkpoint(tmp_path)
    make_checkpoint(tmp_path, "checkpoint_000001")
    make_checkpoint(tmp_path, ".staging_checkpoint_000002")
    (tmp_path / ".staging_77_params.json").touch()
    (tmp_path / "checkpoint_notes.txt").touch()
    assert remove_leftovers(str(tmp_path), [str(kept)]) == [
        ".staging_77_params.json",
        ".staging_checkpoint_000002",
        "checkpoint_000001",
    ]
    assert {path.name for path in tmp_path.iterdir()} == {
        "checkpoint_000000",
        "checkpoint_notes.txt",
    }


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
