"""Loads the specification of a run from its directory."""

from __future__ import annotations

import os

from localtune.config.spec import RunSpec
from localtune.error import StorageError
from localtune.result import EXPERIMENT_DB_FILE, TUNER_FILE
from localtune.storage.reading import read_files
from localtune.utils.trust import GuardedDirectory


def read_saved(directory: str, run: int | None = None, *, trust: bool = False) -> bytes:
    """Returns the saved specification of a run: the bytes of :meth:`RunSpec.save`.

    They are in the database if it has the run. The file in the directory may belong to a run that
    was killed before it began.

    Args:
        directory: Directory of the experiment.
        run: Number of the run, from 1; None is the latest.
        trust: Whether to read an experiment that another user could have written.

    Raises:
        FileNotFoundError: if there is no experiment.
        StorageError: if it is damaged, or the run was started without a Tuner.
        ValueError: if there is no such run.
    """
    check_restorable(directory)
    if run is None:
        # A damaged database is an error, not a reason to read the file.
        with GuardedDirectory(directory, trust=trust) as guarded:
            load_saved(directory, guarded.read(TUNER_FILE))
    content = read_files(directory, run, trust=trust).get(TUNER_FILE)
    if content is None:
        raise StorageError(
            f"{'The latest run' if run is None else f'The run {run}'} of {directory!r} cannot be "
            "taken up: what it was started with is not on record. It was no Tuner, or one of an "
            "earlier version."
        )
    return content


def check_restorable(directory: str) -> None:
    """Checks that an experiment has a saved specification, which it can be restored from.

    Args:
        directory: Directory of the experiment.

    Raises:
        FileNotFoundError: if it has none; for one of ``tune.run``, the error says how to go on.
    """
    if os.path.lexists(os.path.join(directory, TUNER_FILE)):
        return
    if not os.path.lexists(os.path.join(directory, EXPERIMENT_DB_FILE)):
        raise FileNotFoundError(
            f"There is no experiment to restore at {directory!r}: it has no {TUNER_FILE}."
        )
    storage, name = os.path.split(directory.rstrip("/"))
    raise FileNotFoundError(
        f"The experiment at {directory!r} has no {TUNER_FILE} to restore it from: tune.run() "
        "started it. To go on with it, run the script again with "
        f"tune.run(..., name={name!r}, storage_path={storage!r}, resume=True)."
    )


def load_saved(directory: str, content: bytes) -> RunSpec:
    """Loads a saved specification.

    Args:
        directory: Directory of the experiment, for the error.
        content: The bytes that :func:`read_saved` returned.

    Raises:
        StorageError: if they are damaged, or if another version of localtune wrote them.
        ImportError: if they name a module that cannot be imported.
    """
    path = os.path.join(directory, TUNER_FILE)
    try:
        return RunSpec.load(content)
    except StorageError as error:
        raise StorageError(f"{path!r} cannot be read: {error}") from error
    except (OSError, ImportError):
        raise
    except Exception as error:
        raise StorageError(
            f"{path!r} is damaged: {error!r}. Put back a copy of "
            "it, or go on with tune.run(..., resume=True), which needs none."
        ) from error
