"""The limits that the control groups of Linux set for this process.

::

    /proc/self/cgroup       version 2: 0::/user/job        version 1: 4:memory:/user/job
                                  |                              |
    /sys/fs/cgroup          /user/job/cpu.max              /memory/user/job/memory.limit_in_bytes
                            /user/cpu.max                  /memory/user/memory.limit_in_bytes
                            /cpu.max                       /memory/memory.limit_in_bytes

The lowest limit of the process's group and all groups above it counts. In a container the path may
be one of the host, which does not exist there: then the top is the container's own group.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import PurePosixPath

# Larger limits mean "none" in version 1.
_NO_LIMIT_BYTES = 1 << 60
# (controller, file with the limit, file with the usage), for version 2 and version 1.
_MEMORY_FILES = (
    ("", "memory.max", "memory.current"),
    ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
)


class Cgroup:
    """The control groups that a process is in.

    Args:
        root: Directory in which the groups are mounted.
        membership: File that names the groups of the process.
    """

    def __init__(self, root: str = "/sys/fs/cgroup", membership: str = "/proc/self/cgroup") -> None:
        self._root = root
        self._paths: dict[str, str] = {}  # {controller: path}; version 2 has the controller ""
        for line in (_read(membership) or "").splitlines():
            _, controllers, path = line.split(":", 2)
            for controller in controllers.split(","):
                self._paths[controller] = path

    def cpu_limit(self) -> float | None:
        """Returns the number of CPUs that the groups allow, None without a limit."""
        limits = [_quota(*text.split()[:2]) for text in self._texts("", "cpu.max")]
        quotas = self._texts("cpu", "cpu.cfs_quota_us")
        periods = self._texts("cpu", "cpu.cfs_period_us")
        limits += map(_quota, quotas, periods)
        return min((limit for limit in limits if limit is not None), default=None)

    def memory_limit(self) -> int | None:
        """Returns the bytes of memory that the groups allow, None without a limit."""
        texts = [*self._texts("", "memory.max"), *self._texts("memory", "memory.limit_in_bytes")]
        limits = [int(text) for text in texts if text.isdigit()]
        return min((limit for limit in limits if limit < _NO_LIMIT_BYTES), default=None)

    def memory_left(self) -> int | None:
        """Returns the bytes of memory that are left in the groups, None without a limit.

        Pages of files count as left, because the kernel takes them back before it ends a process.
        """
        left: list[int] = []
        for controller, limit_name, usage_name in _MEMORY_FILES:
            for group in self._groups(controller):
                limit = _number(os.path.join(group, limit_name))
                if limit is None or limit >= _NO_LIMIT_BYTES:
                    continue
                usage = _number(os.path.join(group, usage_name)) or 0
                left.append(limit - usage + _bytes_of_files(os.path.join(group, "memory.stat")))
        return min(left, default=None)

    def oom_kill_count(self) -> int | None:
        """Returns how many processes of the group the kernel has killed for lack of memory.

        None if it does not count them.
        """
        for controller, name in (("", "memory.events"), ("memory", "memory.oom_control")):
            path = os.path.join(next(self._groups(controller)), name)
            count = _table(path).get("oom_kill")
            if count is not None:
                return count
        return None

    def _texts(self, controller: str, name: str) -> Iterator[str]:
        """Yields the contents of a file in the process's group and in each group above it."""
        for group in self._groups(controller):
            text = _read(os.path.join(group, name))
            if text:
                yield text

    def _groups(self, controller: str) -> Iterator[str]:
        """Yields the directories of the process's group and of each group above it."""
        path = PurePosixPath("/", self._paths.get(controller, "/"))
        for group in (path, *path.parents):
            yield os.path.join(self._root, controller, str(group).lstrip("/"))


def _quota(quota: str, period: str = "100000") -> float | None:
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() else None


def _number(path: str) -> int | None:
    text = _read(path)
    return int(text) if text is not None and text.isdigit() else None


def _bytes_of_files(path: str) -> int:
    """Returns the bytes of pages of files in a group's usage, by its ``memory.stat``."""
    stat = _table(path)
    # Version 1 has other names for the sums that include the groups below.
    prefix = "total_" if "total_inactive_file" in stat else ""
    return sum(stat.get(f"{prefix}{kind}_file", 0) for kind in ("active", "inactive"))


def _table(path: str) -> dict[str, int]:
    """Returns {name: number} of a file with one pair in each line."""
    pairs = (line.split() for line in (_read(path) or "").splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def _read(path: str) -> str | None:
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return None
