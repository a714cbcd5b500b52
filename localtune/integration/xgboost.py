"""Callbacks for XGBoost that report each boosting round and save the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from localtune.checkpoint import Checkpoint
from localtune.error import ExtraMissingError
from localtune.integration.reports import Metrics, PostProcess, choose, names_of, report_with
from localtune.trainable.session import report

try:
    import xgboost
except ImportError as error:
    raise ExtraMissingError("xgboost", "xgboost", "localtune.integration.xgboost") from error

__all__ = ["TuneReportCallback", "TuneReportCheckpointCallback"]


class TuneReportCheckpointCallback(xgboost.callback.TrainingCallback):
    """Reports the metrics of each boosting round, and saves the model at some rounds.

    Metrics are named ``<evaluation set>-<metric>``. With ``xgboost.cv`` they are named
    ``<evaluation set>-<metric>-mean`` and ``...-std``, and no checkpoint is saved.

    Args:
        metrics: Metrics to report: a name, names, or ``{name to report: name in XGBoost}``; None
            for all.
        filename: File of the model in the checkpoint.
        frequency: Number of rounds from one save to the next; 0 saves none during the training.
        checkpoint_at_end: Whether to save the last model, if its round was not saved. It is then
            reported once more with the last metrics.
        results_postprocessing_fn: Function from the dict of all metrics to the dict from which
            ``metrics`` are taken.

    Example:
        >>> def train(config):
        ...     callback = TuneReportCheckpointCallback({"loss": "valid-logloss"}, frequency=5)
        ...     xgboost.train(config, data, evals=[(valid, "valid")], callbacks=[callback])
    """

    CHECKPOINT_NAME: ClassVar[str] = "model.ubj"

    def __init__(
        self,
        metrics: Metrics = None,
        filename: str = CHECKPOINT_NAME,
        frequency: int = 0,
        checkpoint_at_end: bool = True,
        results_postprocessing_fn: PostProcess = None,
    ) -> None:
        super().__init__()
        self._names = names_of(metrics)
        self._filename = filename
        self._frequency = frequency
        self._checkpoint_at_end = checkpoint_at_end
        self._post_process = results_postprocessing_fn
        self._last: dict[str, Any] | None = None  # metrics of a round that was not saved

    @classmethod
    def get_model(cls, checkpoint: Checkpoint, filename: str = CHECKPOINT_NAME) -> Any:
        """Loads the model of a checkpoint, for predictions or further training (``xgb_model=``).

        Args:
            checkpoint: A checkpoint that this callback saved.
            filename: The callback's ``filename``.
        """
        model = xgboost.Booster()
        with checkpoint.as_directory() as directory:
            model.load_model(str(Path(directory, filename)))
        return model

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        metrics = self._metrics_of(evals_log)
        if self._frequency > 0 and (epoch + 1) % self._frequency == 0 and _can_save(model):
            self._last = None
            report_with(metrics, lambda path: model.save_model(str(path / self._filename)))
        else:
            self._last = metrics
            report(metrics)
        return False  # go on

    def after_training(self, model: Any) -> Any:
        if self._checkpoint_at_end and self._last is not None and _can_save(model):
            metrics, self._last = self._last, None
            report_with(metrics, lambda path: model.save_model(str(path / self._filename)))
        return model

    def _metrics_of(self, evals_log: Any) -> dict[str, Any]:
        logged: dict[str, Any] = {}
        for data, metrics in evals_log.items():
            for name, values in metrics.items():
                key, value = f"{data}-{name}", values[-1]
                if isinstance(value, tuple):  # only xgboost.cv reports pairs
                    logged[f"{key}-mean"], logged[f"{key}-std"] = value
                else:
                    logged[key] = value
        if self._post_process is not None:
            logged = self._post_process(logged)
        return choose(self._names, logged)


class TuneReportCallback(TuneReportCheckpointCallback):
    """Reports the metrics of each boosting round, without checkpoints.

    Args:
        metrics: See :class:`TuneReportCheckpointCallback`.
        results_postprocessing_fn: See :class:`TuneReportCheckpointCallback`.
    """

    def __init__(
        self, metrics: Metrics = None, results_postprocessing_fn: PostProcess = None
    ) -> None:
        super().__init__(
            metrics, checkpoint_at_end=False, results_postprocessing_fn=results_postprocessing_fn
        )


def _can_save(model: Any) -> bool:
    # The model of xgboost.cv has no such method.
    return hasattr(model, "save_model")
