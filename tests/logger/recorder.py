"""A run for loggers, without workers: trials are led through their lives by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from localtune.callback import CallbackList
from localtune.logger import CSVLoggerCallback, JsonLoggerCallback, LoggerCallback
from localtune.logger.history_logger import HistoryLogger
from localtune.trial.status import Status
from localtune.trial.trial import Trial
from tests.records import add_results


class Recorder:
    """Tells loggers of trials as the controller does.

    Args:
        loggers: Who is told; None are those for JSON and CSV.
    """

    def __init__(self, loggers: Sequence[LoggerCallback] | None = None) -> None:
        if loggers is None:
            loggers = [CSVLoggerCallback(), JsonLoggerCallback()]
        self._callbacks = CallbackList(loggers)
        self._histories: dict[str, list[dict[str, Any]]] = {}
        for each in loggers:
            if isinstance(each, HistoryLogger):
                each.connect(lambda trial: self._histories.get(trial.trial_id, []))

    def take_over(self, other: Recorder) -> None:
        """Goes on with what another one has on record, which ends as a killed process does."""
        self._histories.update(other._histories)
        for each in other._callbacks.callbacks:
            if isinstance(each, HistoryLogger):
                each._files.clear()
                each._open_files.close_all()

    def start(self, trial: Trial) -> None:
        """A worker is ready."""
        trial.set_status(Status.RUNNING)
        self._notify("on_trial_start", trial)

    def report(self, trial: Trial, **metrics: Any) -> None:
        """The trial has its next result."""
        (result,) = add_results(trial, [metrics])
        history = self._histories.setdefault(trial.trial_id, [])
        trial.result_count += 1
        shown = dict(result)
        self._notify("on_trial_result", trial, result=shown)
        history.append(result)
        self._callbacks.log(0, [trial], trial, shown)

    def rewind(self, trial: Trial, count: int) -> None:
        """The trial goes back to its first results."""
        history = self._histories.setdefault(trial.trial_id, [])
        del history[count:]
        trial.result_count = count
        trial.last_result = history[-1] if history else {}

    def save(self, trial: Trial) -> None:
        """The trial has answered a request to save."""
        self._notify("on_trial_save", trial)

    def pause(self, trial: Trial) -> None:
        """The trial leaves its worker. Callbacks are not told."""
        trial.set_status(Status.PAUSED)

    def complete(self, trial: Trial) -> None:
        """The trial ended well."""
        trial.set_status(Status.TERMINATED)
        self._notify("on_trial_complete", trial)

    def recover(self, trial: Trial) -> None:
        """The trial failed, and will be retried."""
        trial.set_status(Status.ERROR)
        trial.set_status(Status.PENDING)
        self._notify("on_trial_recover", trial)

    def fail(self, trial: Trial) -> None:
        """The trial failed for good."""
        trial.set_status(Status.ERROR)
        self._notify("on_trial_error", trial)

    def end(self) -> None:
        """The experiment is over."""
        self._callbacks.end([])

    def _notify(self, hook: str, trial: Trial, **extra: Any) -> None:
        self._callbacks.call(hook, iteration=0, trials=[trial], trial=trial, **extra)
