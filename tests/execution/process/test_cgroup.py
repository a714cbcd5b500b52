"""Limits of control groups, read from real files."""

from __future__ import annotations

from pathlib import Path

import pytest

from localtune.execution import machine
from localtune.execution.process.cgroup import Cgroup


def cgroup(tmp_path: Path, membership: str, files: dict[str, str]) -> Cgroup:
    (tmp_path / "membership").write_text(membership)
    for name, text in files.items():
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Cgroup(str(tmp_path / "root"), str(tmp_path / "membership"))


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({}, None),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu.max": "200000\n"}, 2.0),
        ({"user/cpu.max": "300000 100000\n", "user/job/cpu.max": "max 100000\n"}, 3.0),
        ({"user/cpu.max": "300000 100000\n", "user/job/cpu.max": "100000 50000\n"}, 2.0),
        ({"user/cpu.max": "100000 100000\n", "user/job/cpu.max": "900000 100000\n"}, 1.0),
        ({"other/cpu.max": "100000 100000\n"}, None),
        ({"cpu.max": "nonsense\n"}, None),
    ],
)
def test_the_lowest_quota_on_the_way_up_counts_in_version_two(
    tmp_path: Path, files: dict[str, str], limit: float | None
) -> None:
    assert cgroup(tmp_path, "0::/user/job\n", files).cpu_limit() == limit


@pytest.mark.parametrize(
    ("quota", "limit"), [("-1", None), ("50000", 0.5), ("400000", 4.0), ("", None)]
)
def test_quota_and_period_are_two_files_in_version_one(
    tmp_path: Path, quota: str, limit: float | None
) -> None:
    files = {"cpu/job/cpu.cfs_quota_us": quota, "cpu/job/cpu.cfs_period_us": "100000\n"}
    files |= {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}
    assert cgroup(tmp_path, "3:cpu,cpuacct:/job\n0::/\n", files).cpu_limit() == limit


@pytest.mark.parametrize(
    ("membership", "files", "limit"),
    [
        ("0::/\n", {"memory.max": "max\n"}, None),
        ("0::/\n", {"memory.max": "1048576\n"}, 1048576),
        ("0::/a\n", {"memory.max": "100\n", "a/memory.max": "200\n"}, 100),
        ("4:memory:/a\n", {"memory/a/memory.limit_in_bytes": "4096\n"}, 4096),
        # Version 1 says "none" with the largest number of pages.
        ("4:memory:/a\n", {"memory/a/memory.limit_in_bytes": "9223372036854771712\n"}, None),
        # A container is told the path that it has on the host.
        ("4:memory:/docker/12\n", {"memory/memory.limit_in_bytes": "4096\n"}, 4096),
        ("0::/docker/12\n", {"memory.max": "4096\n"}, 4096),
    ],
)
def test_the_lowest_memory_limit_counts(
    tmp_path: Path, membership: str, files: dict[str, str], limit: int | None
) -> None:
    assert cgroup(tmp_path, membership, files).memory_limit() == limit


def test_without_control_groups_there_are_no_limits(tmp_path: Path) -> None:
    groups = Cgroup(str(tmp_path / "nowhere"), str(tmp_path / "nothing"))
    assert groups.cpu_limit() is None
    assert groups.memory_limit() is None


def test_a_quota_of_less_than_one_cpu_leaves_one(tmp_path: Path) -> None:
    assert machine.cpu_count(cgroup(tmp_path, "0::/\n", {"cpu.max": "50000 100000"})) == 1


def test_a_quota_above_the_machine_changes_nothing(tmp_path: Path) -> None:
    free = Cgroup(str(tmp_path), str(tmp_path / "nothing"))
    limited = cgroup(tmp_path, "0::/\n", {"cpu.max": "999900000 100000"})
    assert machine.cpu_count(limited) == machine.cpu_count(free)


def test_memory_is_limited_by_the_group(tmp_path: Path) -> None:
    assert machine.memory_bytes(cgroup(tmp_path, "0::/\n", {"memory.max": "4096"})) == 4096
