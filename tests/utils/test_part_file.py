"""Files of parts: what was written comes back, mapped or read, and writing to it stays private."""

from __future__ import annotations

from pathlib import Path

import pytest

from localtune.utils.part_file import read_parts, write_parts

LARGE = bytes(range(256)) * 8192


def made(path: Path, *parts: bytes) -> str:
    with open(path, "wb") as file:
        write_parts(file.write, [memoryview(part) for part in parts])
    return str(path)


@pytest.mark.parametrize("may_map", [True, False])
@pytest.mark.parametrize("private", [True, False])
@pytest.mark.parametrize("parts", [[], [b""], [b"a", b"", b"bcd"], [b"x", LARGE, b"y"]])
def test_parts_come_back(tmp_path: Path, parts: list[bytes], private: bool, may_map: bool) -> None:
    read = read_parts(made(tmp_path / "parts", *parts), private=private, may_map=may_map)

    assert [bytes(part) for part in read] == parts
    assert all(part.readonly != private for part in read)


@pytest.mark.parametrize("may_map", [True, False])
def test_who_writes_to_a_part_is_the_only_one_to_see_it(tmp_path: Path, may_map: bool) -> None:
    path = made(tmp_path / "parts", LARGE)
    (mine,) = read_parts(path, private=True, may_map=may_map)
    mine[:2] = b"!!"

    (other,) = read_parts(path, private=True, may_map=may_map)
    assert bytes(mine[:3]) == b"!!\x02" and bytes(other) == LARGE
    assert Path(path).read_bytes().endswith(LARGE)


def test_a_removed_file_stays_as_long_as_it_is_mapped(tmp_path: Path) -> None:
    path = made(tmp_path / "parts", LARGE)
    (part,) = read_parts(path, private=True)
    Path(path).unlink()

    assert bytes(part) == LARGE


def test_each_part_starts_where_vector_instructions_like_it(tmp_path: Path) -> None:
    content = Path(made(tmp_path / "parts", b"first", LARGE)).read_bytes()

    assert content.index(b"first") % 64 == content.index(LARGE) % 64 == 0
