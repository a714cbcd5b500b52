"""Files that a trial leaves outside its own directory, as far as that can be seen."""

from __future__ import annotations

import os

# Made by tools and by Python itself.
_NOT_OURS = frozenset({"__pycache__", ".pytest_cache", ".coverage"})


def snapshot(directory: str) -> dict[str, tuple[int, int]]:
    """{name: (time of the last change, size)} of what lies in a directory."""
    found = {}
    try:
        with os.scandir(directory) as entries:
            for each in entries:
                if each.name not in _NOT_OURS:
                    status = each.stat(follow_symlinks=False)
                    found[each.name] = (status.st_mtime_ns, status.st_size)
    except OSError:
        pass  # It has gone, or something in it went just now: there is nothing to compare.
    return found


def changed(before: dict[str, tuple[int, int]], directory: str) -> list[str]:
    """Names that are new in a directory, or were written to, since a snapshot."""
    return sorted(
        name for name, state in snapshot(directory).items() if before.get(name) != state
    )
