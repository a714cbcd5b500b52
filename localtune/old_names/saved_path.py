"""Checkpoints whose ``save_checkpoint`` returned a path in them."""

from __future__ import annotations

import os

from localtune.old_names.rows.trainables import SAVED_PATH as SAVED_PATH

# A file in the checkpoint: the path that save_checkpoint() returned, relative to the directory.
RETURNED_PATH_FILE = ".returned_path"


def returned_path_of(directory: str) -> str:
    """Returns the path that ``load_checkpoint`` gets: the one that ``save_checkpoint`` returned.

    Args:
        directory: Directory of the checkpoint.

    Returns:
        The directory itself, unless an experiment of ``localtune.compat`` wrote the checkpoint.
    """
    try:
        with open(os.path.join(directory, RETURNED_PATH_FILE), encoding="utf-8") as file:
            return os.path.join(directory, file.read())
    except FileNotFoundError:
        return directory


def directory_of(path: str | os.PathLike[str]) -> str:
    """Returns the directory of a checkpoint for the path that ``save_checkpoint`` returned.

    Args:
        path: That path, or any other.

    Returns:
        The path as it is, unless an experiment of ``localtune.compat`` wrote the checkpoint.
    """
    path = directory = os.path.abspath(path)
    while directory != os.path.dirname(directory):
        directory = os.path.dirname(directory)
        if returned_path_of(directory) == path:
            return directory
    return path
