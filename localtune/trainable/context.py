"""Gives a function trainable facts about its trial."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NoReturn

from localtune.result import DEFAULT_EXPERIMENT_NAME
from localtune.trainable.active_session import session_or_warning
from localtune.utils.messages import warn

if TYPE_CHECKING:
    from localtune.resources import PlacementGroupFactory
    from localtune.trial.trial_info import StorageContext

_STAND_ALONE_NAME = "default"


class TuneContext:
    """Gives facts about the trial of the calling function.

    Outside of a function trainable each method warns once and returns None.

    Example:
        >>> import localtune as tune
        >>> def train(config):
        ...     print(tune.get_context().get_trial_id())
    """

    def get_experiment_name(self) -> str | None:
        """Returns the name of the experiment."""
        session = session_or_warning("get_experiment_name")
        if session is None:
            return None
        info = session.trial_info
        return info.experiment_name if info else DEFAULT_EXPERIMENT_NAME

    def get_trial_name(self) -> str | None:
        """Returns the name of the trial."""
        session = session_or_warning("get_trial_name")
        if session is None:
            return None
        return session.trial_info.trial_name if session.trial_info else _STAND_ALONE_NAME

    def get_trial_id(self) -> str | None:
        """Returns the id of the trial."""
        session = session_or_warning("get_trial_id")
        if session is None:
            return None
        return session.trial_info.trial_id if session.trial_info else _STAND_ALONE_NAME

    def get_trial_resources(self) -> PlacementGroupFactory | None:
        """Returns the resources reserved for the trial; None without a reservation."""
        session = session_or_warning("get_trial_resources")
        if session is None or session.trial_info is None:
            return None
        return session.trial_info.resources

    def get_trial_seed(self) -> int | None:
        """Returns a number that depends only on the run's seed, the trial and its try.

        The number is from 0 to 2**32 - 1. A failure ends a try, and the next try has another seed.
        A trial that continues after a pause or in a resumed run is still in the same try.

        Python's global generator starts from this seed. NumPy's does, too, if NumPy is imported
        where the function is defined, not inside it. Pass the seed to other generators: the try can
        then be repeated alone with the same result.
        """
        session = session_or_warning("get_trial_seed")
        if session is None or session.trial_info is None:
            return None
        return session.trial_info.seed

    def get_trial_dir(self) -> str | None:
        """Returns the absolute path of the trial's directory."""
        session = session_or_warning("get_trial_dir")
        return os.path.abspath(session.storage.trial_dir) if session else None

    def get_storage(self) -> StorageContext | None:
        """Returns the place where the trial keeps its checkpoints."""
        session = session_or_warning("get_storage")
        return session.storage if session else None

    def get_world_size(self) -> int | None:
        """Deprecated: returns None in a trial, 1 outside."""
        return _of_distributed_training("get_world_size", 1)

    def get_world_rank(self) -> int | None:
        """Deprecated: returns None in a trial, 0 outside."""
        return _of_distributed_training("get_world_rank", 0)

    def get_local_rank(self) -> int | None:
        """Deprecated: returns None in a trial, 0 outside."""
        return _of_distributed_training("get_local_rank", 0)

    def get_local_world_size(self) -> int | None:
        """Deprecated: returns None in a trial, 0 outside."""
        return _of_distributed_training("get_local_world_size", 0)

    def get_node_rank(self) -> int | None:
        """Deprecated: returns None in a trial, 0 outside."""
        return _of_distributed_training("get_node_rank", 0)

    def get_metadata(self) -> NoReturn:
        """Removed: raises DeprecationWarning."""
        raise DeprecationWarning("get_metadata() does not exist. Use checkpoint.get_metadata().")


def _of_distributed_training(name: str, outside: int) -> int | None:
    warn(
        f"{name}() has no meaning in a trial, which is one process.",
        DeprecationWarning,
        stacklevel=3,
    )
    return outside if session_or_warning(name) is None else None
