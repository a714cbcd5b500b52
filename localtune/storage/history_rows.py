"""Rows of the experiment's database that make the histories of trials: results, and configs.

A result is kept without its config, and a config only where it changes: that of a result is the
one with the highest number up to its own. Where there is none, it is the trial's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

from localtune.result import CONFIG_PREFIX, EXPERIMENT_TAG
from localtune.storage.trial_record import dump, without_config
from localtune.trial.trial import Trial

Statement: TypeAlias = "tuple[str, tuple[Any, ...]]"

RESULTS_SCHEMA = """
CREATE TABLE IF NOT EXISTS results (
    trial_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    result BLOB NOT NULL,
    PRIMARY KEY (trial_id, number)
) WITHOUT ROWID;
"""
CONFIGS_SCHEMA = """
CREATE TABLE IF NOT EXISTS configs (
    trial_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    config BLOB NOT NULL,
    PRIMARY KEY (trial_id, number)
) WITHOUT ROWID;
"""

SELECT_RESULTS = (
    "SELECT number, result FROM results WHERE trial_id = ? AND number > ? ORDER BY number"
)
SELECT_CONFIGS = "SELECT number, config FROM configs WHERE trial_id = ? ORDER BY number"
_PUT_RESULT = "INSERT OR REPLACE INTO results VALUES (?, ?, ?)"
_PUT_CONFIG = "INSERT OR REPLACE INTO configs VALUES (?, ?, ?)"
_CUT_RESULTS = "DELETE FROM results WHERE trial_id = ? AND number > ?"
_CUT_CONFIGS = "DELETE FROM configs WHERE trial_id = ? AND number > ?"
# The config is a part of what is kept of a trial.
_KEEP_CONFIG = (
    "INSERT OR IGNORE INTO configs SELECT trial_id, 1, origin FROM trials WHERE trial_id = ?"
)

# (number, pickle)
_Row: TypeAlias = "tuple[int, bytes]"


class HistoryRows:
    """Says what is to be written when histories change."""

    def __init__(self) -> None:
        self._configs: dict[str, Any] = {}  # {trial id: config of its last result}

    def put(self, trial: Trial, number: int, result: dict[str, Any]) -> Iterator[Statement]:
        """What adds a result, the ``number``-th from 1."""
        yield _PUT_RESULT, (trial.trial_id, number, dump(without_config(result)))
        config = result.get(CONFIG_PREFIX, trial.config)
        if self._configs.get(trial.trial_id) is not config:
            self._configs[trial.trial_id] = config
            if number > 1 or config is not trial.config:
                record = dump({CONFIG_PREFIX: config})
                yield _PUT_CONFIG, (trial.trial_id, number, record)

    def cut(self, trial: Trial, count: int) -> Iterator[Statement]:
        """What cuts a history back to its first results."""
        self._configs.pop(trial.trial_id, None)
        yield _CUT_RESULTS, (trial.trial_id, count)
        yield _CUT_CONFIGS, (trial.trial_id, count)

    def keep_config(self, trial: Trial) -> Iterator[Statement]:
        """What keeps the config of the results so far, before the trial's own is written over."""
        if trial.result_count > 0:
            yield _KEEP_CONFIG, (trial.trial_id,)


def joined(
    results: Iterable[_Row],
    configs: Iterable[_Row],
    config: dict[str, Any],
    unpickled: Callable[[bytes], Any],
) -> Iterator[dict[str, Any]]:
    """Results with their configs, as callbacks got them.

    Args:
        results: Rows of results, by number.
        configs: Rows of configs, likewise.
        config: The trial's.
        unpickled: Loads a pickle.
    """
    changes = deque(configs)
    for number, blob in results:
        while changes and changes[0][0] <= number:
            config = unpickled(changes.popleft()[1])[CONFIG_PREFIX]
        result = {**unpickled(blob), CONFIG_PREFIX: config}
        result.pop(EXPERIMENT_TAG, None)
        yield result
