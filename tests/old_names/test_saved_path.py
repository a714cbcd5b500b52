from __future__ import annotations

import os
from pathlib import Path

from localtune.old_names.saved_path import RETURNED_PATH_FILE, directory_of, returned_path_of


def test_a_path_that_was_returned_leads_to_its_checkpoint_and_back(tmp_path: Path) -> None:
    (tmp_path / RETURNED_PATH_FILE).write_text(os.path.join("weights", "model.bin"))
    file = str(tmp_path / "weights" / "model.bin")
    assert returned_path_of(str(tmp_path)) == file
    assert directory_of(file) == str(tmp_path)


def test_other_paths_are_left_as_they_are(tmp_path: Path) -> None:
    assert directory_of(tmp_path / "model.bin") == str(tmp_path / "model.bin")
    assert returned_path_of(str(tmp_path)) == str(tmp_path)
