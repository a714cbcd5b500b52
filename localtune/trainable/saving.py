"""Writes checkpoints into a trial's directory, each complete or absent, and reads them.

fill a staging directory -> sync it -> rename it to checkpoint_000007 -> increase the index

If a file of the user has that name already, the checkpoint gets the next free name.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from localtune.checkpoint import Checkpoint, TrainingResult, relocated
from localtune.error import StorageError, UntrustedDirectoryError
from localtune.old_names.saved_path import SAVED_PATH, directory_of, returned_path_of
from localtune.old_names.use import translated
from localtune.result import DICT_CHECKPOINT_FILE
from localtune.trial.checkpoint_dirs import (
    commit_checkpoint,
    is_checkpoint_name,
    is_mark_name,
    is_staging_name,
)
from localtune.utils.copying import copy_tree
from localtune.utils.files import make_staging_directory, remove_tree
from localtune.utils.remote_store import is_uri
from localtune.utils.trust import check_trusted, load_own

if TYPE_CHECKING:
    from localtune.trial.trial_info import StorageContext

CheckpointSource: TypeAlias = "str | os.PathLike[str] | Checkpoint | TrainingResult"


def write_checkpoint(storage: StorageContext, fill: Callable[[str], object]) -> str:
    """Writes the next checkpoint of a trial.

    Args:
        storage: Place for the checkpoint; its index grows only if the checkpoint is written.
        fill: Called with the path of an empty directory, which it fills.

    Returns:
        Path of the checkpoint.

    Raises:
        StorageError: if the trial's directory does not exist.
        Exception: any error of ``fill``; nothing of the checkpoint stays then.
    """
    try:
        staging = make_staging_directory(storage.checkpoint_path(storage.next_checkpoint_index))
    except FileNotFoundError:
        raise StorageError(
            f"The trial's directory does not exist (any more): {storage.trial_dir}. "
            "Do not move or remove the experiment's directory while the experiment runs."
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
    """Copies a user's checkpoint into a trial's directory.

    Args:
        storage: Place for the copy; its index grows.
        checkpoint: Checkpoint to copy; not changed. If its directory contains the trial's
            directory, the checkpoints in the latter are not copied.

    Returns:
        A checkpoint of the same class that refers to the copy.

    Raises:
        FileNotFoundError: if the checkpoint's directory does not exist.
        StorageError: if the trial's directory does not exist.
    """
    with checkpoint.as_directory() as source:
        pass  # Entering fetches a checkpoint from its store.
    if not os.path.isdir(source):
        raise FileNotFoundError(
            f"The directory of the reported checkpoint does not exist: {source}. Report it "
            "before it is removed."
        )
    trial_dir = os.path.realpath(storage.trial_dir)

    def own_names(directory: str, names: list[str]) -> list[str]:
        if os.path.realpath(directory) != trial_dir:
            return []
        return [name for name in names if _is_own(name)]

    path = write_checkpoint(storage, lambda staging: copy_tree(source, staging, ignore=own_names))
    return relocated(checkpoint, path)


def save_state(
    save: Callable[[str], Any],
    storage: StorageContext | None,
    checkpoint_dir: str | os.PathLike[str] | None,
) -> Checkpoint:
    """Saves the state of a trainable.

    Args:
        save: The trainable's ``save_checkpoint``.
        storage: Place for checkpoints; None leaves the checkpoint in ``checkpoint_dir``.
        checkpoint_dir: Directory to write into; made if missing, and never removed. None selects
            the next checkpoint of the storage, or a temporary directory without a storage.

    Returns:
        The checkpoint.

    Raises:
        ValueError: if ``save`` returns another path than it got.
        StorageError: if the trial's directory does not exist.
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
        below = os.path.relpath(state or os.sep, directory)
        if below.startswith(os.pardir):
            raise ValueError(
                "save_checkpoint(checkpoint_dir) must return a dict, None or checkpoint_dir "
                f"itself ({directory!r}), but returned {state!r}. Write into checkpoint_dir and "
                "return nothing."
            )
        # A path in the directory itself is what earlier releases took.
        try:
            translated(SAVED_PATH, directory, below, error=ValueError)
        except ValueError as error:
            raise ValueError(f"{_place_of(save)}: {error}") from None


def _place_of(save: Any) -> str:
    """Returns the name of a method, and the place of its text."""
    name: str = getattr(save, "__qualname__", repr(save))
    code = getattr(save, "__code__", None)
    if code is None:
        return name
    return f'{name} (File "{code.co_filename}", line {code.co_firstlineno})'


def read_state(checkpoint: Checkpoint, storage: StorageContext | None) -> Any:
    """Reads the state that :func:`save_state` saved.

    Args:
        checkpoint: The checkpoint.
        storage: Place where the trainable keeps its own checkpoints, or None.

    Returns:
        The dict that ``save_checkpoint`` returned, or the path of the checkpoint if it wrote files
        instead.

    Raises:
        UntrustedDirectoryError: if another user could have written it.
    """
    dict_file = os.path.join(checkpoint.path, DICT_CHECKPOINT_FILE)
    if not os.path.exists(dict_file):
        return returned_path_of(checkpoint.path)
    return load_own(dict_file, trust=_was_trusted(checkpoint, storage))


def _was_trusted(checkpoint: Checkpoint, storage: StorageContext | None) -> bool:
    """Tells whether a checkpoint is part of an experiment that the user told the parent to trust.

    A parent runs in a directory that other users can write only with such an order.
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
    """Splits the argument of ``restore()`` into a checkpoint and metrics.

    Args:
        source: Path, checkpoint or training result.

    Returns:
        The checkpoint, or None if the training result has none, and the metrics.

    Raises:
        AssertionError: for an argument of another type.
    """
    if isinstance(source, TrainingResult):
        return _on_this_machine(source.checkpoint), source.metrics
    if isinstance(source, Checkpoint):
        return _on_this_machine(source), {}
    if isinstance(source, (str, os.PathLike)):
        if is_uri(os.fspath(source)):
            return _on_this_machine(Checkpoint(source)), {}
        return _on_this_machine(Checkpoint.from_directory(directory_of(source))), {}
    raise AssertionError(
        "restore() takes a path, a Checkpoint or the result of save(), but got "
        f"{type(source).__name__}: {source!r}."
    )


def _on_this_machine(checkpoint: Checkpoint | None) -> Checkpoint | None:
    """Returns the checkpoint, or a handle of a local copy if it is in a store."""
    if checkpoint is None:
        return None
    with checkpoint.as_directory() as path:
        return checkpoint if path == checkpoint.path else relocated(checkpoint, path)


def _is_own(name: str) -> bool:
    """Tells whether localtune uses this name for checkpoints in a trial's directory."""
    return is_checkpoint_name(name) or is_staging_name(name) or is_mark_name(name)
