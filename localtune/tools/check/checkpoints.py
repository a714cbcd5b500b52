"""Checks the content of a checkpoint."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from localtune.result import DICT_CHECKPOINT_FILE
from localtune.running.bench import SavedCheckpoint
from localtune.tools.check.report import Finding, failure, passed, warning
from localtune.utils.files import STAGING_PREFIX
from localtune.utils.text import count, format_bytes
from localtune.utils.trust import load_own


def check_content(saved: SavedCheckpoint, *, is_function: bool) -> Finding:
    """Checks the content of a checkpoint.

    Args:
        saved: The checkpoint; it has a path.
        is_function: Whether a function reported it.
    """
    assert saved.path is not None
    dict_file = os.path.join(saved.path, DICT_CHECKPOINT_FILE)
    if os.path.exists(dict_file):
        return _check_dict(dict_file)
    if not saved.files:
        return warning(
            "save",
            "The checkpoint is an empty directory.",
            "Write into the directory that you report as the checkpoint."
            if is_function
            else "Write into checkpoint_dir, or return a dict: a file with a relative path ends up "
            "in the trial's directory, not in the checkpoint.",
        )
    size = sum(saved.files.values())
    text = f"A directory checkpoint: {count(len(saved.files), 'file')}, {format_bytes(size)}."
    return passed("save", text)


def _check_dict(path: str) -> Finding:
    size = format_bytes(os.path.getsize(path))
    try:
        state = load_own(path)
    except Exception as error:
        return failure(
            "save",
            f"The dict of the checkpoint cannot be loaded ({type(error).__name__}: {error}).",
            "Put plain data into it: numbers, arrays, state dicts.",
        )
    kept = next(_staging_paths(state), None)
    if kept is not None:
        return failure(
            "save",
            f"The dict holds the path of its own directory ({kept}), which is moved after saving.",
            "Put names into the dict, or return None and look into the directory that "
            "load_checkpoint gets.",
        )
    if not state:
        return warning(
            "save",
            "The checkpoint is an empty dict.",
            "Return from save_checkpoint all that step() changes.",
        )
    return passed("save", f"A dict checkpoint: {count(len(state), 'item')}, {size}.")


def _staging_paths(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if os.path.isabs(value) and STAGING_PREFIX in value:
            yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _staging_paths(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _staging_paths(each)
