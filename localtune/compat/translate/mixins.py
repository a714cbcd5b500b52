"""Decorators and logger classes for Weights & Biases and MLflow."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from localtune.callback import Callback
from localtune.trainable.trainable import Trainable

# Called with the configuration and what is known of the trial; returns what ends the run.
_Start = Callable[..., Callable[[], object]]


def _start_wandb(config: dict[str, Any], **trial: Any) -> Callable[[], object]:
    from localtune.integration.wandb import setup_wandb

    given = {**config.get("wandb", {})}
    rest = {name: value for name, value in config.items() if name != "wandb"}
    run = setup_wandb(rest, **{**trial, **given})
    finish: Callable[[], object] = run.finish
    return finish


def _start_mlflow(config: dict[str, Any], **trial: Any) -> Callable[[], object]:
    from localtune.integration.mlflow import setup_mlflow

    given = dict(config.get("mlflow", {}))
    if "token" in given:
        given["tracking_token"] = given.pop("token")
    mlflow = setup_mlflow(None, **{"create_experiment_if_not_exists": True, **given})
    end: Callable[[], object] = mlflow.end_run
    return end


class FunctionWithRun:
    """Stands for a function, with its name, and starts a run of another library around it.

    Args:
        function: The function.
        start: Starts the run.
    """

    def __init__(self, function: Callable[..., Any], start: _Start) -> None:
        functools.update_wrapper(self, function)
        self._start = start

    def __call__(self, config: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        end = self._start(config)
        try:
            return self.__wrapped__(config, *args, **kwargs)  # type: ignore[attr-defined]
        finally:
            end()


def _mixin(start: _Start) -> Callable[[Any], Any]:
    """Makes the decorator of functions and classes."""

    def decorate(trainable: Any) -> Any:
        if not isinstance(trainable, type):
            return FunctionWithRun(trainable, start)
        same = {name: getattr(trainable, name) for name in ("__module__", "__qualname__")}
        members = {**same, "setup": _setup(trainable, start), "cleanup": _cleanup(trainable)}
        return type(trainable.__name__, (trainable,), members)

    return decorate


def _setup(base: Any, start: _Start) -> Callable[..., None]:
    def setup(self: Any, config: dict[str, Any], **kwargs: Any) -> None:
        self._end_run = start(config, trial_id=self.trial_id, trial_name=self.trial_name)
        base.setup(self, config, **kwargs)

    return setup


def _cleanup(base: Any) -> Callable[[Any], None]:
    def cleanup(self: Trainable) -> None:
        base.cleanup(self)
        self._end_run()  # type: ignore[attr-defined]

    return cleanup


class WandbLogger:
    """The logger class for Weights & Biases: a name for the list ``loggers``."""

    @staticmethod
    def as_callback(config: dict[str, Any]) -> Callback:
        """Makes the callback that stands for it.

        Args:
            config: Configuration of the run, with the logger's arguments.
        """
        from localtune.integration.wandb import WandbLoggerCallback

        given = config.get("logger_config", {}).get("wandb") or config.get("wandb") or {}
        return WandbLoggerCallback(**given)


class MLFlowLogger:
    """The logger class for MLflow: a name for the list ``loggers``."""

    @staticmethod
    def as_callback(config: dict[str, Any]) -> Callback:
        """Makes the callback that stands for it.

        Args:
            config: Configuration of the run, with the logger's arguments.
        """
        from localtune.integration.mlflow import MLflowLoggerCallback

        given = config.get("logger_config", {})
        return MLflowLoggerCallback(
            given.get("mlflow_tracking_uri"), experiment_name=given.get("mlflow_experiment_name")
        )


TRANSLATIONS: dict[str, Any] = {
    "wandb.wandb_mixin": _mixin(_start_wandb),
    "wandb.WandbLogger": WandbLogger,
    "mlflow.mlflow_mixin": _mixin(_start_mlflow),
    "mlflow.MLFlowLogger": MLFlowLogger,
}
