"""Callbacks for LightGBM that report each boosting round and save the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from localtune.checkpoint import Checkpoint
from localtune.error import ExtraMissingError
from localtune.integration.reports import Metrics, PostProcess, choose, names_of, report_with
from localtune.trainable.session import report

try:
    import lightgbm
except ImportError as error:
    raise ExtraMissingError("lightgbm", "lightgbm", "localtune.integration.lightgbm") from error

__all__ = ["TuneReportCallback", "TuneReportCheckpointCallback"]


class TuneReportCheckpointCallback:
    """Reports the metrics of each boosting round, and saves the model at some rounds.

    Metrics are named ``<evaluation set>-<metric>``. With ``lightgbm.cv`` they are named
    ``<evaluation set>-<metric>-mean`` and ``...-stdv``, and no checkpoint is saved.

    Args:
        metrics: Metrics to report: a name, names, or ``{name to report: name in LightGBM}``; None
            for all.
        filename: File of the model in the checkpoint.
        frequency: Number of rounds from one save to the next; 0 saves none during the training.
        checkpoint_at_end: Whether to save after the last of ``num_boost_round`` rounds. With
            early stopping, LightGBM does not announce the last round. Set ``frequency`` then.
        results_postprocessing_fn: Function from the dict of all metrics to the dict from which
            ``metrics`` are taken.

    Example:
        >>> def train(config):
        ...     callback = TuneReportCheckpointCallback({"loss": "valid-binary_logloss"})
        ...     lightgbm.train(config, data, valid_sets=[valid], valid_names=["valid"],
        ...                    callbacks=[callback])
    """

    CHECKPOINT_NAME: ClassVar[str] = "model.txt"
    # LightGBM sorts callbacks by it. Early stopping, which ends the training, has order 30.
    order = 20

    def __init__(
        self,
        metrics: Metrics = None,
        filename: str = CHECKPOINT_NAME,
        frequency: int = 0,
        checkpoint_at_end: bool = True,
        results_postprocessing_fn: PostProcess = None,
    ) -> None:
        self._names = names_of(metrics)
        self._filename = filename
        self._frequency = frequency
        self._checkpoint_at_end = checkpoint_at_end
        self._post_process = results_postprocessing_fn

    @classmethod
    def get_model(cls, checkpoint: Checkpoint, filename: str = CHECKPOINT_NAME) -> Any:
        """Loads the model of a checkpoint, for predictions or further training (``init_model=``).

        Args:
            checkpoint: A checkpoint that this callback saved.
            filename: The callback's ``filename``.
        """
        with checkpoint.as_directory() as directory:
            return lightgbm.Booster(model_file=str(Path(directory, filename)))

    def __call__(self, env: Any) -> None:
        """Reports the metrics of a round; called by LightGBM after each round."""
        metrics = self._metrics_of(env.evaluation_result_list or ())
        done = env.iteration - env.begin_iteration + 1
        is_due = self._frequency > 0 and done % self._frequency == 0
        is_last = self._checkpoint_at_end and env.iteration + 1 == env.end_iteration
        if (is_due or is_last) and isinstance(env.model, lightgbm.Booster):
            report_with(metrics, lambda path: env.model.save_model(str(path / self._filename)))
        else:
            report(metrics)

    def _metrics_of(self, evaluations: Any) -> dict[str, Any]:
        logged: dict[str, Any] = {}
        for data, name, value, _, *deviation in evaluations:
            key = f"{data}-{name}"
            if deviation:  # only lightgbm.cv reports it
                logged[f"{key}-mean"], logged[f"{key}-stdv"] = value, deviation[0]
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
