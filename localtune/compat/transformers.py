"""The report callback of ``ray.train.huggingface.transformers``."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from transformers.trainer_callback import TrainerCallback
from transformers.trainer_utils import get_last_checkpoint

from localtune.integration.reports import report_with


class RayTrainReportCallback(TrainerCallback):
    """Reports the metrics that were logged last, with each checkpoint that the trainer saves."""

    CHECKPOINT_NAME = "checkpoint"

    def __init__(self) -> None:
        super().__init__()
        self._metrics: dict[str, Any] = {}

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        """Keeps the metrics until the next checkpoint.

        Args:
            args: The trainer's arguments.
            state: Its state.
            control: Not used.
            logs: The metrics.
            **kwargs: Not used.
        """
        self._metrics.update(logs or {})

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Reports.

        Args:
            args: The trainer's arguments.
            state: Its state.
            control: Not used.
            **kwargs: Not used.
        """
        saved = get_last_checkpoint(args.output_dir)
        metrics = {**self._metrics, "step": state.global_step, "epoch": state.epoch}
        report_with(metrics, lambda path: _copy(saved, path / self.CHECKPOINT_NAME))
        self._metrics = {}


def _copy(saved: Any, path: Path) -> None:
    shutil.copytree(saved, path)
