"""Callbacks for Keras 3 that report metrics and save the model, with any backend."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from localtune.checkpoint import Checkpoint
from localtune.error import ExtraMissingError
from localtune.integration.reports import Metrics, choose, names_of, report_with
from localtune.trainable.session import report

try:
    import keras
except ImportError as error:
    raise ExtraMissingError("keras", "keras", "localtune.integration.keras") from error

__all__ = ["ReportCheckpointCallback", "TuneReportCallback", "TuneReportCheckpointCallback"]

_EVENTS = (
    *(f"{what}_{when}" for what in ("train", "test", "predict") for when in ("begin", "end")),
    *(f"{what}_batch_{when}" for what in ("train", "test", "predict") for when in ("begin", "end")),
    "epoch_begin",
    "epoch_end",
)


class ReportCheckpointCallback(keras.callbacks.Callback):
    """Reports metrics at some events of Keras, and saves the model at the same or other events.

    Args:
        checkpoint_on: Events at which the model is saved: names of Keras's hooks without ``on_``.
            Metrics are reported with each checkpoint.
        report_metrics_on: Events at which metrics are reported.
        metrics: Metrics to report: a name, names, or ``{name to report: name in Keras}``; None
            for all.
        filename: File of the model in the checkpoint; the suffix ``.keras`` is added.
        frequency: Number of events from one save to the next; 1 saves at each event.

    Raises:
        ValueError: if Keras has no such event.

    Example:
        >>> def train(config):
        ...     model.fit(x, y, epochs=5, verbose=0, callbacks=[ReportCheckpointCallback()])
    """

    CHECKPOINT_NAME: ClassVar[str] = "model.keras"

    def __init__(
        self,
        checkpoint_on: str | Sequence[str] = "epoch_end",
        report_metrics_on: str | Sequence[str] = "epoch_end",
        metrics: Metrics = None,
        filename: str = CHECKPOINT_NAME,
        frequency: int = 1,
    ) -> None:
        super().__init__()
        self._checkpoint_on = _events(checkpoint_on)
        self._report_on = _events(report_metrics_on)
        self._names = names_of(metrics)
        self._filename = _with_suffix(filename)
        self._frequency = frequency
        self._n_events = 0

    @classmethod
    def get_model(cls, checkpoint: Checkpoint, filename: str = CHECKPOINT_NAME) -> Any:
        """Loads the compiled model of a checkpoint, with the state of its optimiser.

        Args:
            checkpoint: A checkpoint that this callback saved.
            filename: The callback's ``filename``.
        """
        with checkpoint.as_directory() as directory:
            return keras.saving.load_model(Path(directory, _with_suffix(filename)))

    def _handle(self, event: str, logs: dict[str, Any] | None) -> None:
        is_due = False
        if event in self._checkpoint_on:
            self._n_events += 1
            is_due = self._n_events % self._frequency == 0
        if not is_due and event not in self._report_on:
            return
        metrics = choose(self._names, {name: float(value) for name, value in (logs or {}).items()})
        if is_due:
            report_with(metrics, lambda path: self.model.save(path / self._filename))
        else:
            report(metrics)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._handle("epoch_begin", logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._handle("epoch_end", logs)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._handle("train_begin", logs)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._handle("train_end", logs)

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._handle("test_begin", logs)

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        self._handle("test_end", logs)

    def on_predict_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._handle("predict_begin", logs)

    def on_predict_end(self, logs: dict[str, Any] | None = None) -> None:
        self._handle("predict_end", logs)

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._handle("train_batch_begin", logs)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._handle("train_batch_end", logs)

    def on_test_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._handle("test_batch_begin", logs)

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._handle("test_batch_end", logs)

    def on_predict_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._handle("predict_batch_begin", logs)

    def on_predict_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._handle("predict_batch_end", logs)


class TuneReportCallback(ReportCheckpointCallback):
    """Reports metrics, without checkpoints.

    Args:
        metrics: See :class:`ReportCheckpointCallback`.
        on: Events at which metrics are reported.
    """

    def __init__(self, metrics: Metrics = None, on: str | Sequence[str] = "epoch_end") -> None:
        super().__init__(checkpoint_on=(), report_metrics_on=on, metrics=metrics)


class TuneReportCheckpointCallback(ReportCheckpointCallback):
    """Reports metrics, and saves the model at the same events.

    Args:
        metrics: See :class:`ReportCheckpointCallback`.
        filename: See :class:`ReportCheckpointCallback`.
        frequency: See :class:`ReportCheckpointCallback`.
        on: Events at which metrics are reported and the model is saved.
    """

    def __init__(
        self,
        metrics: Metrics = None,
        filename: str = ReportCheckpointCallback.CHECKPOINT_NAME,
        frequency: int = 1,
        on: str | Sequence[str] = "epoch_end",
    ) -> None:
        super().__init__(on, on, metrics, filename, frequency)


def _events(given: str | Sequence[str]) -> frozenset[str]:
    events = frozenset([given] if isinstance(given, str) else given)
    unknown = sorted(events - set(_EVENTS))
    if unknown:
        raise ValueError(f"Keras has no event {unknown[0]!r}. Use: {', '.join(_EVENTS)}.")
    return events


def _with_suffix(filename: str) -> str:
    return filename if filename.endswith(".keras") else f"{filename}.keras"
