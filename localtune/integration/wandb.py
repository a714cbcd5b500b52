"""Weights & Biases: a callback that logs a sweep, and ``setup_wandb`` for use inside a trial."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localtune.integration.trials import current_trial
from localtune.logger.wandb import WandbLoggerCallback, load_wandb, plain_config, read_api_key
from localtune.old_names.imports import old_name

__all__ = ["WandbLoggerCallback", "setup_wandb"]


def setup_wandb(
    config: Mapping[str, Any] | None = None,
    api_key: str | None = None,
    api_key_file: str | None = None,
    rank_zero_only: bool = True,
    trial_id: str | None = None,
    trial_name: str | None = None,
    **kwargs: Any,
) -> Any:
    """Starts a Weights & Biases run inside a trial, or continues the trial's run after a retry.

    By default the run has the trial's id and name, and the experiment's name as its group. Call
    its ``finish()`` at the end of the function, because a worker may serve several trials.

    Args:
        config: Configuration of the run.
        api_key: The API key; None lets W&B find one.
        api_key_file: File with the API key.
        rank_zero_only: Has no effect, because a trial is one process.
        trial_id: Id of the run; None is the id of the trial.
        trial_name: Name of the run; None is the name of the trial.
        **kwargs: Arguments of ``wandb.init``, such as ``project`` and ``mode``.

    Returns:
        The run.

    Raises:
        ExtraMissingError: if W&B is not installed.
        ValueError: if both ``api_key`` and ``api_key_file`` are given, or the file is missing.

    Example:
        >>> import localtune as tune
        >>> def train(config):
        ...     run = setup_wandb(config, project="digits", mode="offline")
        ...     run.log({"loss": config["lr"]})
        ...     run.finish()
    """
    wandb = load_wandb("setup_wandb")
    arguments: dict[str, Any] = {"reinit": "finish_previous"}
    key = read_api_key(api_key, api_key_file)
    if key is not None:
        arguments["settings"] = wandb.Settings(api_key=key)
    trial = current_trial()
    if trial is not None:
        arguments |= {
            "id": trial.trial_id,
            "name": trial.trial_name,
            "group": trial.experiment_name,
            "resume": "allow",
        }
    given = {"id": trial_id, "name": trial_name}
    arguments |= {name: value for name, value in given.items() if value is not None}
    return wandb.init(config=plain_config(config or {}), **{**arguments, **kwargs})


def __getattr__(name: str) -> Any:
    return old_name("wandb", name, __name__, ImportError)
