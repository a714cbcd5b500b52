from __future__ import annotations

from pathlib import Path

from localtune.utils.temporary import files_text, is_temporary, temporary_directory


def test_a_path_is_named_unless_it_will_be_removed(tmp_path: Path) -> None:
    with temporary_directory("search-") as directory:
        inside, beside = f"{directory}/trial", f"{directory}-other/trial"
        assert Path(directory).is_dir()
        assert (is_temporary(directory), is_temporary(inside), is_temporary(beside)) == (
            True,
            True,
            False,
        )
        assert files_text(inside) == ""
        assert files_text(beside) == f"\n\nIts files are in {beside}"
    assert not Path(directory).exists() and not is_temporary(inside)
