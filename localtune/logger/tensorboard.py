"""TBXLoggerCallback: writes the results of each trial for TensorBoard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localtune.logger.event_file import EventFile, load_tensorboardx
from localtune.logger.event_values import NotShownError, as_summary
from localtune.logger.trial_file_logger import TrialFileLogger
from localtune.result import (
    CONFIG_PREFIX,
    PID,
    TIME_TOTAL_S,
    TIMESTAMP,
    TIMESTEPS_TOTAL,
    TRAINING_ITERATION,
)
from localtune.utils.dicts import flatten_dict
from localtune.utils.messages import get_logger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localtune.trial.trial import Trial

__all__ = ["TBXLoggerCallback"]

logger = get_logger(__name__)

# TensorBoard reads each file with "tfevents" in its name. This name differs from those of files
# that a trainable may write into the same directory.
EVENT_FILE = "events.out.tfevents.localtune"
_TAG_PREFIX = "ray/tune/"
_LEFT_OUT = frozenset({CONFIG_PREFIX, PID, TIMESTAMP, TIME_TOTAL_S, TRAINING_ITERATION})


class TBXLoggerCallback(TrialFileLogger[EventFile]):
    """Writes each metric over the steps, and the parameters of each trial, for TensorBoard.

    The tag of a metric is ``ray/tune/<flat key>``. Its step is ``timesteps_total``, or else the
    iteration. Numbers become curves, and lists and arrays become histograms. Arrays of three,
    four and five dimensions (channels before height and width) become an image, images side by
    side, and videos of 20 frames per second. The tab HParams lists the sampled parameters.

    Raises:
        ExtraMissingError: if tensorboardX is not installed.

    Example:
        >>> import localtune as tune
        >>> from localtune.logger import TBXLoggerCallback
        >>> run_config = tune.RunConfig(callbacks=[TBXLoggerCallback()])
    """

    def __init__(self) -> None:
        load_tensorboardx()
        super().__init__(EVENT_FILE, EventFile)
        self._summaries = Summaries()

    def log_trial_start(self, trial: Trial) -> None:
        super().log_trial_start(trial)
        file = self.file_of(trial)
        if file.is_new and trial.evaluated_params:
            # TensorBoard uses only the first such event.
            file.note([self._summaries.session(trial.evaluated_params)[0]], step=0)

    def log_trial_result(self, iteration: int, trial: Trial, result: dict[str, Any]) -> None:
        self.file_of(trial).add(*self._summaries.of_result(result))

    def log_trial_end(self, trial: Trial, failed: bool = False) -> None:
        # A failed trial gets no end: TensorBoard would keep the end if the trial is restarted.
        if trial.evaluated_params and trial.last_result and not failed:
            file = self.file_of(trial)
            file.note([self._summaries.session({})[1]], step=file.last_step)
        super().log_trial_end(trial, failed)


class Summaries:
    """Makes TensorBoard's summaries, and says once what it leaves out of them."""

    def __init__(self) -> None:
        self._messages: set[str] = set()  # messages that have been logged

    def of_result(self, result: Mapping[str, Any]) -> tuple[list[Any], int]:
        """Returns the summaries of a nested result, and its step."""
        step = result.get(TIMESTEPS_TOTAL) or result[TRAINING_ITERATION]
        kept = {key: value for key, value in result.items() if key not in _LEFT_OUT}
        summaries = []
        for key, value in flatten_dict(kept).items():
            try:
                summary = as_summary(f"{_TAG_PREFIX}{key}", value)
            except NotShownError as error:
                self._log_once(f"The metric {key!r} is not shown in TensorBoard: {error}")
            else:
                if summary is not None:
                    summaries.append(summary)
        return summaries, int(step)

    def session(self, params: Mapping[str, Any]) -> tuple[Any, Any]:
        """Returns the summaries for the start and the end of a session in TensorBoard's sense.

        The summary of the experiment is left out. With it, TensorBoard would use the parameters
        and metrics of one trial for all; without it, TensorBoard collects those of all trials.
        """
        shown = {}
        for key, value in params.items():
            try:
                shown[key] = _param(value)
            except NotShownError as error:
                self._log_once(f"The parameter {key!r} is not shown in TensorBoard: {error}")
        _, start, end = load_tensorboardx().summary.hparams(shown, {})
        return start, end

    def _log_once(self, message: str) -> None:
        if message not in self._messages:
            self._messages.add(message)
            logger.info(message)


def _param(value: Any) -> str | bool | float:
    import numpy as np

    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, (str, bool, float)):
        return value
    if isinstance(value, int):
        # TensorBoard stores parameters as floating-point numbers.
        return float(value) if abs(value) < 2**53 else str(value)
    if value is None or isinstance(value, (list, tuple)):
        return str(value)
    raise NotShownError(f"it is of type {type(value).__name__}.")
