"""Tells which files of a trial's directory belong into a store, beside its checkpoints."""

from __future__ import annotations

import os
from collections.abc import Iterator

from localtune.result import TRIAL_FILES
from localtune.trial.checkpoint_dirs import is_checkpoint_name
from localtune.utils.files import STAGING_PREFIX

_EVENT_FILE_PREFIX = "events.out.tfevents"


def uploaded_files(trial_dir: str, *, histories: bool, artifacts: bool) -> Iterator[str]:
    """Yields the files of a trial's directory that are uploaded.

    Args:
        trial_dir: The directory.
        histories: Whether the files that the parent of a run writes are among them.
        artifacts: Whether all other files are, too, not only event files.

    Yields:
        Names in the directory, separated by ``/``.
    """
    for directory, subdirectories, names in os.walk(trial_dir):
        is_top = directory == trial_dir
        if is_top:
            subdirectories[:] = [
                name
                for name in subdirectories
                if artifacts
                and not is_checkpoint_name(name)
                and not name.startswith(STAGING_PREFIX)
            ]
        for name in names:
            if name.startswith(STAGING_PREFIX):
                continue
            if is_top and name in TRIAL_FILES:
                is_wanted = histories
            else:
                is_wanted = artifacts or (is_top and name.startswith(_EVENT_FILE_PREFIX))
            if is_wanted:
                path = os.path.relpath(os.path.join(directory, name), trial_dir)
                yield path.replace(os.sep, "/")
