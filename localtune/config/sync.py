"""SyncConfig: how an experiment with remote storage is uploaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from localtune.old_names.arguments import old_arguments_of_class


@old_arguments_of_class("SyncConfig")
@dataclass
class SyncConfig:
    """How an experiment with remote storage is uploaded.

    Args:
        sync_period: Seconds between two uploads of histories. New checkpoints, and trials that
            end, are uploaded soon in any case.
        sync_timeout: Most seconds that a run waits at its end for the last uploads.
        sync_artifacts: Whether all files in the trials' directories are uploaded, not just
            histories, errors and checkpoints.
        sync_artifacts_on_checkpoint: Accepted for compatibility, without effect.

    Raises:
        ValueError: for a value that is no number of seconds.
    """

    # Place of the results, from an argument of earlier releases.
    _upload_dir: ClassVar[str | None] = None

    sync_period: int = 300
    sync_timeout: int = 1800
    sync_artifacts: bool = False
    sync_artifacts_on_checkpoint: bool = True

    def __post_init__(self) -> None:
        for name in ("sync_period", "sync_timeout"):
            value = getattr(self, name)
            if not isinstance(value, (int, float)) or not value >= 0:
                raise ValueError(f"{name} must be at least 0 seconds, but got {value!r}.")
