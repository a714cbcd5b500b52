"""Callbacks for PyTorch Lightning that report metrics and save checkpoints of the trainer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from localtune.error import ExtraMissingError
from localtune.integration.reports import Metrics, names_of, report_with
from localtune.trainable.session import report
from localtune.utils.messages import get_logger

try:
    from lightning.pytorch import Callback
except ImportError:
    try:
        # The same library under its other name. A trainer takes only callbacks of its own package.
        from pytorch_lightning import Callback
    except ImportError as error:
        raise ExtraMissingError(
            "lightning", "lightning", "localtune.integration.pytorch_lightning"
        ) from error

__all__ = ["TuneCallback", "TuneReportCallback", "TuneReportCheckpointCallback"]

logger = get_logger(__name__)

_HOOKS = frozenset(name for name in dir(Callback) if name.startswith("on_"))
# These hooks take part in saving checkpoints, and must return or change their arguments.
_NO_EVENTS = frozenset({"on_save_checkpoint", "on_load_checkpoint"})
_EVENTS = frozenset(name.removeprefix("on_") for name in _HOOKS - _NO_EVENTS)


class TuneCallback(Callback):
    """Base class of callbacks that act at chosen hooks of Lightning.

    Args:
        on: Names of the hooks, without ``on_``.

    Raises:
        ValueError: if Lightning has no such hook.
    """

    def __init__(self, on: str | Sequence[str] = "validation_end") -> None:
        super().__init__()
        events = [on] if isinstance(on, str) else list(on)
        for event in events:
            if event not in _EVENTS:
                raise ValueError(
                    f"PyTorch Lightning has no hook {event!r}. Use: {', '.join(sorted(_EVENTS))}."
                )
            setattr(self, f"on_{event}", self._called)

    def _called(self, trainer: Any, *arguments: Any, **named: Any) -> None:
        if not trainer.sanity_checking:
            self._handle(trainer, arguments[0] if arguments else named.get("pl_module"))

    def _handle(self, trainer: Any, pl_module: Any = None) -> None:
        """Acts at a chosen hook; not called during Lightning's sanity check.

        Args:
            trainer: Lightning's trainer.
            pl_module: The module in training.
        """
        raise NotImplementedError


class TuneReportCheckpointCallback(TuneCallback):
    """Reports metrics that the module has logged, with a checkpoint of the trainer.

    To go on from a checkpoint, give its file to the trainer: ``trainer.fit(..., ckpt_path=file)``.

    Args:
        metrics: Metrics to report: a name, names, or ``{name to report: name in Lightning}``;
            None for all. A metric that is not logged yet is left out, with a warning.
        filename: File in the checkpoint's directory.
        save_checkpoints: Whether to save checkpoints.
        on: Names of the hooks of Lightning at which to report, without ``on_``.

    Raises:
        ValueError: if Lightning has no such hook.

    Example:
        >>> def train(config):
        ...     callback = TuneReportCheckpointCallback({"loss": "val_loss"}, "trainer.ckpt")
        ...     lightning.Trainer(max_epochs=5, callbacks=[callback]).fit(module, data)
    """

    def __init__(
        self,
        metrics: Metrics = None,
        filename: str = "checkpoint",
        save_checkpoints: bool = True,
        on: str | Sequence[str] = "validation_end",
    ) -> None:
        super().__init__(on)
        self._names = names_of(metrics)
        self._filename = filename
        self._save_checkpoints = save_checkpoints
        self._warned: set[str] = set()  # missing names that a warning has named

    def _handle(self, trainer: Any, pl_module: Any = None) -> None:
        logged = {name: value.item() for name, value in trainer.callback_metrics.items()}
        names = self._names if self._names is not None else {name: name for name in logged}
        metrics = {name: logged[key] for name, key in names.items() if key in logged}
        for key in set(names.values()) - logged.keys() - self._warned:
            self._warned.add(key)
            logger.warning(
                "The metric %r is not logged at this point. Logged are: %s.",
                key,
                ", ".join(sorted(logged)) or "none",
            )
        if not metrics:
            return
        if self._save_checkpoints:
            report_with(metrics, lambda path: trainer.save_checkpoint(Path(path, self._filename)))
        else:
            report(metrics)


class TuneReportCallback(TuneReportCheckpointCallback):
    """Reports metrics that the module has logged, without checkpoints.

    Args:
        metrics: See :class:`TuneReportCheckpointCallback`.
        on: See :class:`TuneReportCheckpointCallback`.
    """

    def __init__(self, metrics: Metrics = None, on: str | Sequence[str] = "validation_end") -> None:
        super().__init__(metrics, save_checkpoints=False, on=on)
