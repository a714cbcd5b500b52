"""Chooses the slots of an executor: of a shared machine, or of its own."""

from __future__ import annotations

import os
from collections.abc import Mapping

from localtune.config.user_settings import SETTINGS_FILE, read_settings
from localtune.error import UsageError
from localtune.execution.shared.shared_slots import SharedSlots
from localtune.result import TRIAL_SEED_VARIABLE


def make_slots(
    shared: object,
    num_cpus: float | None,
    num_gpus: float | None,
    resources: Mapping[str, float] | None,
) -> SharedSlots | None:
    """Returns the slots of a shared machine; None if it is not shared.

    Args:
        shared: See :class:`~localtune.ProcessExecutor`.
        num_cpus: See :class:`~localtune.execution.local_slots.LocalSlots`.
        num_gpus: Likewise.
        resources: Likewise.

    Raises:
        ValueError: for a value that makes no sense.
        LedgerError: if the ledger cannot be used.
        UsageError: for settings of the user that cannot be used.
    """
    if shared is None and TRIAL_SEED_VARIABLE in os.environ:
        # A sweep in a trial would wait for what the trial itself holds.
        return None
    is_shared, directory = chosen(shared)
    return SharedSlots(num_cpus, num_gpus, resources, directory) if is_shared else None


def chosen(shared: object) -> tuple[bool, str | None]:
    """Returns whether the machine is shared, and the ledger of a group (None is the user's own).

    Args:
        shared: See :class:`~localtune.ProcessExecutor`; None asks the user's settings.

    Raises:
        ValueError: for a value that makes no sense.
        UsageError: for settings of the user that cannot be used.
    """
    if shared is None:
        value = read_settings().get("shared", False)
        if not _is_choice(value):
            raise UsageError(f"{SETTINGS_FILE}: shared {_RULE}, but got {value!r}.")
        shared = value
    if not _is_choice(shared):
        raise ValueError(f"shared {_RULE}, but got {shared!r}.")
    if isinstance(shared, (str, os.PathLike)):
        return True, os.fsdecode(shared)
    return bool(shared), None


_RULE = "must be True, False, or the directory of a group's ledger"


def _is_choice(value: object) -> bool:
    if isinstance(value, (str, os.PathLike)):
        return bool(os.fspath(value))
    return isinstance(value, bool)
