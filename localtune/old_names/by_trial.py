"""ByTrial: a dict from trials to something, which scripts index by directories, too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from localtune.old_names.use import translated

_V = TypeVar("_V")


class ByTrial(dict[str, _V]):
    """A dict whose keys are the ids of trials.

    Earlier releases of Ray Tune had the directories of trials as keys: these are refused, or
    translated.

    Args:
        values: {id of a trial: its value}.
        ids: {directory of a trial: its id}.
    """

    def __init__(self, values: Mapping[str, _V], ids: Mapping[str, str]) -> None:
        super().__init__(values)
        self._ids = ids

    def __missing__(self, key: str) -> _V:
        trial_id = self._ids.get(key) if isinstance(key, str) else None
        if trial_id is None:
            raise KeyError(key)
        return self[translated(BY_DIRECTORY, trial_id, error=KeyError)]


BY_DIRECTORY = "analysis.trial_dataframes[directory]"
