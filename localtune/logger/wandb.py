"""WandbLoggerCallback: logs each trial as a run in Weights & Biases.

::

    localtune             Weights & Biases
    experiment            group
    trial                 run, with the trial's id
    config                config
    result                flat metrics over training_iteration
    TERMINATED            exit code 0
    ERROR, not ended      exit code 1; the run continues if the trial does
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localtune.error import ExtraMissingError
from localtune.logger.background import Background
from localtune.logger.base import LoggerCallback
from localtune.result import CONFIG_PREFIX, TRAINING_ITERATION
from localtune.trial.status import Status
from localtune.utils.dicts import flatten_dict
from localtune.utils.messages import get_logger

if TYPE_CHECKING:
    from localtune.trial.trial import Trial

__all__ = ["WandbLoggerCallback"]

logger = get_logger(__name__)

# Keys of results that are no metrics.
_NOT_LOGGED = frozenset(
    {"trial_id", "experiment_tag", "node_ip", "hostname", "pid", "date", "done"}
    | {"should_checkpoint", "checkpoint_dir_name"}
)
_PLAIN = (int, float, str, bool, type(None))


class WandbLoggerCallback(LoggerCallback):
    """Logs each trial as a run in Weights & Biases, with its configuration and its metrics.

    The runs of an experiment are one group. A trial that is retried, paused or resumed continues
    its run. A thread writes to W&B, and its failures do not end the sweep. Offline
    (``mode="offline"`` or ``WANDB_MODE=offline``) the runs are files that ``wandb sync`` uploads.

    Args:
        project: Project; None takes ``WANDB_PROJECT_NAME``, or W&B's default.
        group: Group; None takes ``WANDB_GROUP_NAME``, or the experiment's name.
        api_key_file: File with the API key.
        api_key: The API key; None lets W&B find one.
        excludes: Flat or top-level names of metrics and parameters to leave out.
        log_config: Whether each result is logged with the configuration, which population based
            training may change.
        upload_checkpoints: Older name of ``save_checkpoints``.
        save_checkpoints: Whether each checkpoint is logged as an artifact.
        upload_timeout: Longest time, in seconds, to wait for the thread at the end of the sweep.
        **kwargs: Further arguments of ``wandb.init``, such as ``mode``, ``dir``, ``tags``.

    Raises:
        ExtraMissingError: if W&B is not installed.
        ValueError: if both ``api_key`` and ``api_key_file`` are given, or the file is missing.

    Example:
        >>> import localtune as tune
        >>> from localtune.logger.wandb import WandbLoggerCallback
        >>> logger = WandbLoggerCallback(project="digits", mode="offline")
        >>> run_config = tune.RunConfig(callbacks=[logger])
    """

    fails_only_its_trial = True

    def __init__(
        self,
        project: str | None = None,
        group: str | None = None,
        api_key_file: str | None = None,
        api_key: str | None = None,
        excludes: Sequence[str] | None = None,
        log_config: bool = False,
        upload_checkpoints: bool = False,
        save_checkpoints: bool = False,
        upload_timeout: float = 1800,
        **kwargs: Any,
    ) -> None:
        load_wandb("WandbLoggerCallback")
        self.project = project
        self.group = group
        self.api_key = read_api_key(api_key, api_key_file)
        self.excludes = frozenset(excludes or ())
        self.log_config = log_config
        self.save_checkpoints = save_checkpoints or upload_checkpoints
        self.upload_timeout = upload_timeout
        self.kwargs = kwargs
        self._forget()

    def _forget(self) -> None:
        self._background: Background | None = None
        self._is_guest = False  # whether the service of W&B ran before this logger
        self._runs: dict[str, Any] = {}  # {trial id: run}; only the thread uses it
        self._open: set[str] = set()  # ids of trials whose run has not ended

    def __getstate__(self) -> dict[str, Any]:
        # The API key must not be saved with the experiment.
        names = ("_background", "_is_guest", "_runs", "_open", "api_key")
        return {name: value for name, value in vars(self).items() if name not in names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.api_key = None
        self._forget()

    def setup(self, *args: Any, **info: Any) -> None:
        wandb = load_wandb("WandbLoggerCallback")
        # Other code in this process may have runs of its own.
        self._is_guest = "WANDB_SERVICE" in os.environ
        mode = self.kwargs.get("mode") or os.environ.get("WANDB_MODE", "online")
        if self.api_key is None and mode in ("online", "run"):
            # W&B asks for the key now, where the user sees it, or raises before the first trial.
            try:
                wandb.login()
            except Exception:
                if not self._is_guest:
                    wandb.teardown()  # ends the service process that the login has started
                raise
        self._background = Background("Weights & Biases")

    def log_trial_start(self, trial: Trial) -> None:
        if trial.trial_id not in self._open:
            self._open.add(trial.trial_id)
            config = {k: v for k, v in trial.config.items() if k not in self.excludes}
            group = self.group or os.environ.get("WANDB_GROUP_NAME") or trial.experiment_dir_name
            self._submit(self._begin, trial.trial_id, str(trial), group, config)

    def log_trial_result(self, iteration: int, trial: Trial, result: dict[str, Any]) -> None:
        self._submit(self._log, trial.trial_id, dict(result))

    def on_checkpoint(
        self,
        iteration: int,
        trials: list[Trial],
        trial: Trial,
        checkpoint: Any,
        **info: Any,
    ) -> None:
        if self.save_checkpoints:
            self._submit(self._save, trial.trial_id, checkpoint.path)

    def log_trial_end(self, trial: Trial, failed: bool = False) -> None:
        self._open.discard(trial.trial_id)
        self._submit(self._finish, trial.trial_id, int(failed))

    def on_experiment_end(self, trials: list[Trial], **info: Any) -> None:
        if self._background is None:
            return
        for trial in trials:
            if trial.trial_id in self._open:
                self.log_trial_end(trial, failed=trial.status is not Status.TERMINATED)
        is_done = self._background.close(self.upload_timeout)
        if is_done and not self._is_guest:
            load_wandb("WandbLoggerCallback").teardown()  # ends the service process
        self._forget()

    def _submit(self, call: Any, *arguments: Any) -> None:
        assert self._background is not None
        self._background.submit(lambda: call(*arguments))

    # -- in the thread ----------------------------------------------------------------------

    def _begin(self, trial_id: str, name: str, group: str, config: dict[str, Any]) -> None:
        wandb = load_wandb("WandbLoggerCallback")
        settings: dict[str, Any] = {"silent": True, "console": "off"}
        if self.api_key is not None:
            settings["api_key"] = self.api_key
        arguments = {
            "project": self.project or os.environ.get("WANDB_PROJECT_NAME"),
            "group": group,
            "name": name,
            "settings": wandb.Settings(**settings),
            **self.kwargs,
        }
        run = wandb.init(
            id=trial_id,
            config=plain_config(config),
            resume="allow",
            reinit="create_new",
            **arguments,
        )
        # After a failure, a trial repeats iterations. W&B's own steps cannot go back.
        run.define_metric("*", step_metric=TRAINING_ITERATION)
        self._runs[trial_id] = run

    def _log(self, trial_id: str, result: dict[str, Any]) -> None:
        run = self._runs.get(trial_id)
        if run is None:  # the run could not be created, which has been logged
            return
        config = result.pop(CONFIG_PREFIX, None)
        if self.log_config and config:
            result[CONFIG_PREFIX] = config
        kept = {k: v for k, v in result.items() if k not in _NOT_LOGGED | self.excludes}
        run.log({k: _plain(v) for k, v in flatten_dict(kept).items() if k not in self.excludes})

    def _save(self, trial_id: str, path: str) -> None:
        run = self._runs.get(trial_id)
        if run is None or not Path(path).is_dir():  # the checkpoint has been deleted since
            return
        wandb = load_wandb("WandbLoggerCallback")
        artifact = wandb.Artifact(name=f"checkpoint_{trial_id}", type="model")
        for file in sorted(Path(path).rglob("*")):
            if file.is_file():
                artifact.add_file(str(file), name=str(file.relative_to(path)))
        run.log_artifact(artifact)

    def _finish(self, trial_id: str, exit_code: int) -> None:
        run = self._runs.pop(trial_id, None)
        if run is not None:
            run.finish(exit_code=exit_code)


def load_wandb(purpose: str) -> Any:
    """Imports ``wandb``.

    Args:
        purpose: Name of the feature that needs it, for the error.

    Raises:
        ExtraMissingError: if W&B is not installed.
    """
    try:
        import wandb
    except ImportError as error:
        raise ExtraMissingError("wandb", "wandb", purpose) from error
    return wandb


def read_api_key(api_key: str | None, api_key_file: str | None) -> str | None:
    """Returns the given API key, itself or from a file; None if there is neither.

    Args:
        api_key: The API key.
        api_key_file: File with the API key.

    Raises:
        ValueError: if both are given, or the file cannot be read.
    """
    if api_key_file is None:
        return api_key
    if api_key is not None:
        raise ValueError("Give api_key or api_key_file, not both. Leave one of them out.")
    try:
        return Path(api_key_file).expanduser().read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ValueError(f"api_key_file cannot be read: {error}") from error


def plain_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a configuration in which values that JSON cannot hold are texts."""
    plain: dict[str, Any] = _plain(dict(config))
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return str(value)
