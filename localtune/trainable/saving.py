"""Checkpoints in a trial's directory, each whole or absent, and what one can restore from.

fill a staging directory -> sync it -> rename it to checkpoint_000007 -> count the index up

Something of the user's may have that name already: then the checkpoint gets the next free one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from localtune.checkpoint import Checkpoint, TrainingResult, relocated
from localtune.error import StorageError, UntrustedDirectoryError
from localtune.result import DICT_CHECKPOINT_FILE
from localtune.trial.checkpoint_dirs import (
    commit_checkpoint,
    is_checkpoint_name,
    is_mark_name,
    is_staging_name,
)
from localtune.utils.files import copy_tree, make_staging_directory, remove_tree
from localtune.utils.remote_store import is_uri
from localtune.utils.trust import check_trusted, load_own

if TYPE_CHECKING:
    from localtune.trial.trial_info import StorageContext

CheckpointSource: TypeAlias = "str | os.PathLike[str] | Checkpoint | TrainingResult"


def write_checkpoint(storage: StorageContext, fill: Callable[[str], object]) -> str:
    """Write the next checkpoint of a trial.

    Args:
        storage: Where to; its index grows if, and only if, the checkpoint is written.
        fill: Called with the path of an empty directory, which it fills.

    Returns:
        Path of the checkpoint.

    Raises:
        StorageError: The trial's directory is gone.
        Exception: What ``fill`` raised; nothing of the checkpoint stays.
    """
    try:
        staging = make_staging_directory(storage.checkpoint_path(storage.next_checkpoint_index))
    except FileNotFoundError:
        raise StorageError(
            f"The trial's directory does not exist (any more): {storage.trial_dir}. "
            "Leave the experiment's directory alone as long as the experiment runs."
        ) from None
    try:
        fill(staging)
        return _commit(staging, storage)
    except BaseException:
        remove_tree(staging)
        raise


def _commit(staging: str, storage: StorageContext) -> str:
    index = storage.next_checkpoint_index
    while True:
        final = storage.checkpoint_path(index)
        index += 1
        try:
            commit_checkpoint(staging, final)
        except FileExistsError:
            continue
        storage.next_checkpoint_index = index
        return final


def persist_checkpoint(storage: StorageContext, checkpoint: Checkpoint) -> Checkpoint:
    """Copy a user's checkpoint into a trial's directory.

    Args:
        storage: Where to; its index grows.
        checkpoint: What to copy; stays as it is. If it lies round the trial's directory, the
            checkpoints in there are left out.

    Returns:
        Checkpoint of the same class that refers to the copy.

    Raises:
        FileNotFoundError: There is nothing at the checkpoint's path.
        StorageError: The trial's directory is gone.
    """
    with checkpoint.as_directory() as source:
        pass  # Fetched, if it was in a store.
    if not os.path.isdir(source):
        raise FileNotFoundError(
            f"The directory of the reported checkpoint does not exist: {source}. Report it "
            "before it is removed."
        )
    trial_dir = os.path.realpath(storage.trial_dir)

    def not_own(directory: str, names: list[str]) -> list[str]:
        if os.path.realpath(directory) != trial_dir:
            return []
        return [name for name in names if _is_own(name)]

    path = write_checkpoint(storage, lambda staging: copy_tree(source, staging, ignore=not_own))
    return relocated(checkpoint, path)


def save_state(
    save: Callable[[str], Any],
    storage: StorageContext | None,
    checkpoint_dir: str | os.PathLike[str] | None,
) -> Checkpoint:
    """Save the state of a trainable.

    Args:
        save: The trainable's ``save_checkpoint``.
        storage: Where checkpoints go, or None to leave it where it was written.
        checkpoint_dir: Directory to write into, made if missing; it stays. None for the next
            place in the storage, or else a temporary directory.

    Returns:
        The checkpoint.

    Raises:
        ValueError: ``save`` returned another path than it got.
        StorageError: The trial's directory is gone.
    """
    if checkpoint_dir is None and storage is not None:
        return Checkpoint(write_checkpoint(storage, lambda path: _fill(path, save)))
    if checkpoint_dir is None:
        return _save_to_temporary_directory(save)
    directory = os.path.abspath(checkpoint_dir)
    os.makedirs(directory, exist_ok=True)
    _fill(directory, save)
    checkpoint = Checkpoint(directory)
    return persist_checkpoint(storage, checkpoint) if storage else checkpoint


def _save_to_temporary_directory(save: Callable[[str], Any]) -> Checkpoint:
    import tempfile

    directory = tempfile.mkdtemp(prefix="checkpoint_tmp_")
    try:
        _fill(directory, save)
    except BaseException:
        remove_tree(directory)
        raise
    return Checkpoint(directory)


def _fill(directory: str, save: Callable[[str], Any]) -> None:
    state = save(directory)
    if isinstance(state, dict):
        import cloudpickle

        with open(os.path.join(directory, DICT_CHECKPOINT_FILE), "wb") as file:
            cloudpickle.dump(state, file)
    elif isinstance(state, str) and state != directory:
        raise ValueError(
            "save_checkpoint(checkpoint_dir) must return a dict, None or checkpoint_dir "
            f"itself ({directory!r}), but returned {state!r}. Write into checkpoint_dir and "
            "return nothing."
        )


def read_state(checkpoint: Checkpoint, storage: StorageContext | None) -> Any:
    """Read what :func:`save_state` saved.

    Args:
        checkpoint: The checkpoint.
        storage: Where the trainable keeps its own checkpoints, or None.

    Returns:
        The dict that ``save_checkpoint`` returned, or the path of the checkpoint if it wrote
        files instead.

    Raises:
        UntrustedDirectoryError: Another user could have written it.
    """
    dict_file = os.path.join(checkpoint.path, DICT_CHECKPOINT_FILE)
    if not os.path.exists(dict_file):
        return checkpoint.path
    return load_own(dict_file, trust=_was_trusted(checkpoint, storage))


def _was_trusted(checkpoint: Checkpoint, storage: StorageContext | None) -> bool:
    """Whether a checkpoint is of an experiment that its user has told the parent to trust.

    A parent runs in a directory that is not its user's alone only if it was told so.
    """
    if storage is None:
        return False
    experiment_dir = os.path.realpath(storage.experiment_dir)
    if not os.path.realpath(checkpoint.path).startswith(os.path.join(experiment_dir, "")):
        return False
    try:
        check_trusted(experiment_dir)
    except UntrustedDirectoryError:
        return True
    return False


def split_source(source: CheckpointSource) -> tuple[Checkpoint | None, dict[str, Any]]:
    """Take apart what a trainable can be restored from.

    Args:
        source: Path, checkpoint or training result.

    Returns:
        The checkpoint, None if the training result has none, and its metrics.

    Raises:
        AssertionError: It is something else.
    """
    if isinstance(source, TrainingResult):
        return _on_this_machine(source.checkpoint), source.metrics
    if isinstance(source, Checkpoint):
        return _on_this_machine(source), {}
    if isinstance(source, (str, os.PathLike)):
        if is_uri(os.fspath(source)):
            return _on_this_machine(Checkpoint(source)), {}
        return _on_this_machine(Checkpoint.from_directory(source)), {}
    raise AssertionError(
        "restore() takes a path, a Checkpoint or what save() returned, but got "
        f"{type(source).__name__}: {source!r}."
    )


def _on_this_machine(checkpoint: Checkpoint | None) -> Checkpoint | None:
    """The checkpoint itself, or if it is in a store, a handle of a local copy."""
    if checkpoint is None:
        return None
    with checkpoint.as_directory() as path:
        return checkpoint if path == checkpoint.path else relocated(checkpoint, path)


def _is_own(name: str) -> bool:
    """Whether a name in a trial's directory belongs to checkpoint keeping."""
    return is_checkpoint_name(name) or is_staging_name(name) or is_mark_name(name)
