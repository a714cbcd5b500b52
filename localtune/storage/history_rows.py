"""Makes the database rows of trials' histories: results and configs.

A result is stored without its config, and a config only where it changes. The config of a result
is the one with the highest number up to its own, or the trial's if there is none.
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
# The pickle in `origin` contains the config.
_KEEP_CONFIG = (
    "INSERT OR IGNORE INTO configs SELECT trial_id, 1, origin FROM trials WHERE trial_id = ?"
)

# (number, pickle)
_Row: TypeAlias = "tuple[int, bytes]"


class HistoryRows:
    """Makes the statements that write changes of histories."""

    def __init__(self) -> None:
        self._configs: dict[str, Any] = {}  # {trial id: config of its last result}

    def put(self, trial: Trial, number: int, result: dict[str, Any]) -> list[Statement]:
        """Returns the statements that add a result.

        Args:
            trial: The trial.
            number: Number of the result in the history, from 1.
            result: The result.
        """
        record = dump(without_config(result))
        statements: list[Statement] = [(_PUT_RESULT, (trial.trial_id, number, record))]
        config = result.get(CONFIG_PREFIX, trial.config)
        if self._configs.get(trial.trial_id) is not config:
            self._configs[trial.trial_id] = config
            if number > 1 or config is not trial.config:
                record = dump({CONFIG_PREFIX: config})
                statements.append((_PUT_CONFIG, (trial.trial_id, number, record)))
        return statements

    def forget(self, trial: Trial) -> None:
        """Forgets the config of the last result: the trial has ended."""
        self._configs.pop(trial.trial_id, None)

    def cut(self, trial: Trial, count: int) -> Iterator[Statement]:
        """Yields the statements that cut a history back.

        Args:
            trial: The trial.
            count: Number of results that stay.
        """
        self._configs.pop(trial.trial_id, None)
        yield _CUT_RESULTS, (trial.trial_id, count)
        yield _CUT_CONFIGS, (trial.trial_id, count)

    def keep_config(self, trial: Trial) -> Iterator[Statement]:
        """Yields the statement that keeps the config of earlier results when it changes."""
        if trial.result_count > 0:
            yield _KEEP_CONFIG, (trial.trial_id,)


def joined(
    results: Iterable[_Row],
    configs: Iterable[_Row],
    config: dict[str, Any],
    unpickled: Callable[[bytes], Any],
) -> Iterator[dict[str, Any]]:
    """Yields results with their configs, as callbacks got them.

    Args:
        results: Rows of results, ordered by number.
        configs: Rows of configs, ordered by number.
        config: The trial's config.
        unpickled: Loads a pickle.
    """
    changes = deque(configs)
    for number, blob in results:
        while changes and changes[0][0] <= number:
            config = unpickled(changes.popleft()[1])[CONFIG_PREFIX]
        result = {**unpickled(blob), CONFIG_PREFIX: config}
        result.pop(EXPERIMENT_TAG, None)
        yield result
