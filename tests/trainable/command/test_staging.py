"""The directory for the state of a program."""

from __future__ import annotations

import os
from pathlib import Path

from localtune.checkpoint import Checkpoint
from localtune.trainable.command.staging import Staging


def test_it_begins_with_a_copy_of_the_checkpoint(tmp_path: Path) -> None:
    stored = tmp_path / "stored"
    stored.mkdir()
    (stored / "state").write_text("1")
    path = tmp_path / "staging"
    path.mkdir()
    (path / "half").write_text("written")

    staging = Staging(str(path), Checkpoint(str(stored)))
    assert os.listdir(path) == ["state"]
    assert staging.has_start and staging.is_stored and not staging.is_empty

    (path / "state").write_text("22")
    assert not staging.is_stored
    assert (stored / "state").read_text() == "1"
    staging.note_stored()
    assert staging.is_stored
    staging.remove()
    assert not path.exists()


def test_it_knows_whether_it_was_written_since(tmp_path: Path) -> None:
    staging = Staging(str(tmp_path / "staging"), None)
    assert staging.is_empty and staging.is_stored and not staging.has_start
    file = tmp_path / "staging" / "sub" / "state"
    file.parent.mkdir()
    file.write_text("1")
    written_ns = file.stat().st_mtime_ns
    assert not staging.is_newer_than(written_ns)
    os.utime(file, ns=(written_ns, written_ns + 10**9))
    assert staging.is_newer_than(written_ns)
