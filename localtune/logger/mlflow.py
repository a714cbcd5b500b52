"""MLflowLoggerCallback: logs each trial as a run in MLflow.

::

    localtune             MLflow
    trial                 run, found again by the tag localtune.trial_id
    config                params, flat keys
    result                metrics, flat keys; step: timesteps_total or the iteration
    TERMINATED, ERROR     FINISHED, FAILED
    not ended             KILLED; RUNNING again when it goes on
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from localtune.error import ExtraMissingError
from localtune.logger.background import Background
from localtune.logger.base import LoggerCallback
from localtune.result import CONFIG_PREFIX, TIMESTEPS_TOTAL, TRAINING_ITERATION
from localtune.trial.status import Status
from localtune.utils.dicts import flatten_dict
from localtune.utils.messages import get_logger

if TYPE_CHECKING:
    from localtune.trial.trial import Trial

__all__ = ["MLflowLoggerCallback"]

logger = get_logger(__name__)

TRIAL_ID_TAG = "localtune.trial_id"
_TRIAL_NAME_TAG = "trial_name"
_END_TIMEOUT_S = 600.0
# Limits of MLflow on one request, on a name, and on the value of a parameter.
_MAX_METRICS = 1000
_MAX_PARAMS = 100
_MAX_NAME_LENGTH = 250
_MAX_PARAM_LENGTH = 6000
_STATUS_OF = {Status.TERMINATED: "FINISHED", Status.ERROR: "FAILED"}

_T = TypeVar("_T")


class MLflowLoggerCallback(LoggerCallback):
    """Logs each trial as a run in MLflow, with its parameters, metrics and status.

    A trial that is retried, paused or resumed continues its run. A thread writes to the store. A
    store that cannot be opened ends the sweep before the first trial. A later failure of the
    store does not end the sweep.

    Args:
        tracking_uri: URI of the tracking server or store, such as ``sqlite:////path/mlflow.db``;
            None is MLflow's default.
        registry_uri: URI of the model registry; None is MLflow's default.
        experiment_name: Name of the experiment in MLflow, which is created if it is missing. None
            takes the environment variables ``MLFLOW_EXPERIMENT_NAME`` or
            ``MLFLOW_EXPERIMENT_ID``, or else MLflow's default experiment.
        tags: Tags of all runs.
        tracking_token: Token of the tracking server; sets ``MLFLOW_TRACKING_TOKEN``.
        save_artifact: Whether the files in an ended trial's directory become artifacts of its
            run; a string is the folder for them.
        log_params_on_trial_end: Whether the final parameters of a trial are logged in place of
            the first ones. With population based training they may differ.

    Raises:
        ExtraMissingError: if MLflow is not installed.

    Example:
        >>> import localtune as tune
        >>> from localtune.logger.mlflow import MLflowLoggerCallback
        >>> logger = MLflowLoggerCallback("sqlite:///mlflow.db", experiment_name="digits")
        >>> run_config = tune.RunConfig(callbacks=[logger])
    """

    fails_only_its_trial = True

    def __init__(
        self,
        tracking_uri: str | None = None,
        *,
        registry_uri: str | None = None,
        experiment_name: str | None = None,
        tags: Mapping[str, Any] | None = None,
        tracking_token: str | None = None,
        save_artifact: bool | str = False,
        log_params_on_trial_end: bool = False,
    ) -> None:
        load_mlflow("MLflowLoggerCallback")
        self.tracking_uri = tracking_uri
        self.registry_uri = registry_uri
        self.experiment_name = experiment_name
        self.tags = dict(tags or {})
        self.tracking_token = tracking_token
        self.save_artifact = save_artifact
        self.log_params_on_trial_end = log_params_on_trial_end
        self._forget()

    def _forget(self) -> None:
        self._background: Background | None = None
        self._client: Any = None
        self._experiment_id = ""
        self._runs: dict[str, str] = {}  # {trial id: run id}; only the thread uses it
        self._open: set[str] = set()  # ids of trials whose run has not ended

    def __getstate__(self) -> dict[str, Any]:
        names = ("_background", "_client", "_experiment_id", "_runs", "_open")
        return {name: value for name, value in vars(self).items() if name not in names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._forget()

    def setup(self, *args: Any, **info: Any) -> None:
        mlflow = load_mlflow("MLflowLoggerCallback")
        if self.tracking_token:
            os.environ["MLFLOW_TRACKING_TOKEN"] = self.tracking_token
        self._client = mlflow.MlflowClient(self.tracking_uri, self.registry_uri)
        self._experiment_id = experiment_id_of(self._client, self.experiment_name, create=True)
        self._background = Background("MLflow")

    def log_trial_start(self, trial: Trial) -> None:
        is_new_here = trial.trial_id not in self._open
        self._open.add(trial.trial_id)
        name, config, trial_id = str(trial), dict(trial.config), trial.trial_id
        if is_new_here:
            self._submit(self._begin, trial_id, name, config)

    def log_trial_result(self, iteration: int, trial: Trial, result: dict[str, Any]) -> None:
        self._submit(self._log_metrics, trial.trial_id, dict(result), int(time.time() * 1000))

    def log_trial_end(self, trial: Trial, failed: bool = False) -> None:
        self._end(trial, "FAILED" if failed else "FINISHED")

    def on_experiment_end(self, trials: list[Trial], **info: Any) -> None:
        if self._background is None:
            return
        for trial in trials:
            if trial.trial_id in self._open:
                self._end(trial, _STATUS_OF.get(trial.status, "KILLED"))
        self._background.close(_END_TIMEOUT_S)
        self._forget()

    def _end(self, trial: Trial, status: str) -> None:
        self._open.discard(trial.trial_id)
        config, path = dict(trial.config), trial.path
        self._submit(self._finish, trial.trial_id, status, config, path)

    def _submit(self, call: Any, *arguments: Any) -> None:
        assert self._background is not None
        self._background.submit(lambda: call(*arguments))

    # -- in the thread ----------------------------------------------------------------------

    def _begin(self, trial_id: str, name: str, config: dict[str, Any]) -> None:
        run_id = self._runs.get(trial_id) or find_run(self._client, self._experiment_id, trial_id)
        if run_id is not None:
            self._runs[trial_id] = run_id
            self._client.update_run(run_id, status="RUNNING")
            return
        tags = {_TRIAL_NAME_TAG: name, TRIAL_ID_TAG: trial_id, **self.tags}
        run = self._client.create_run(self._experiment_id, tags=tags, run_name=name)
        self._runs[trial_id] = run.info.run_id
        if not self.log_params_on_trial_end:
            self._log_params(trial_id, config)

    def _log_params(self, trial_id: str, config: dict[str, Any]) -> None:
        from mlflow.entities import Param

        params = [Param(key, value) for key, value in params_of(config).items()]
        self._log(trial_id, "params", params, _MAX_PARAMS)

    def _log_metrics(self, trial_id: str, result: dict[str, Any], timestamp_ms: int) -> None:
        from mlflow.entities import Metric

        if trial_id not in self._runs:  # the run could not be created, which has been logged
            return
        step = int(result.get(TIMESTEPS_TOTAL) or result[TRAINING_ITERATION])
        result.pop(CONFIG_PREFIX, None)
        numbers = {
            key: value
            for key, value in flatten_dict(result).items()
            if isinstance(value, (int, float)) and _fits(value)
        }
        metrics = [
            Metric(name, float(value), timestamp_ms, step)
            for name, value in _with_allowed_names(numbers).items()
        ]
        self._log(trial_id, "metrics", metrics, _MAX_METRICS)

    def _log(self, trial_id: str, kind: str, items: Sequence[Any], limit: int) -> None:
        """Logs items in batches. If MLflow refuses a batch, its items are logged one by one."""
        from mlflow.exceptions import MlflowException

        for some in _slices(items, limit):
            try:
                self._client.log_batch(self._runs[trial_id], **{kind: some})
            except MlflowException as error:
                if error.error_code != "INVALID_PARAMETER_VALUE":
                    raise
                if len(some) > 1:
                    self._log(trial_id, kind, some, 1)
                else:
                    logger.warning("MLflow refuses one of the %s of a trial: %s", kind, error)

    def _finish(self, trial_id: str, status: str, config: dict[str, Any], path: str) -> None:
        run_id = self._runs.get(trial_id)
        if run_id is None:
            return
        try:
            if self.log_params_on_trial_end:
                self._log_params(trial_id, config)
            if self.save_artifact and os.path.isdir(path):
                folder = self.save_artifact if isinstance(self.save_artifact, str) else None
                self._client.log_artifacts(run_id, path, folder)
        finally:
            self._client.set_terminated(run_id, status)


def load_mlflow(purpose: str) -> Any:
    """Imports ``mlflow``.

    Args:
        purpose: Name of the feature that needs it, for the error.

    Raises:
        ExtraMissingError: if MLflow is not installed.
    """
    try:
        import mlflow
    except ImportError as error:
        raise ExtraMissingError("mlflow-skinny", "mlflow", purpose) from error
    return mlflow


def experiment_id_of(client: Any, name: str | None, *, create: bool) -> str:
    """Returns the id of an experiment in MLflow.

    Args:
        client: MLflow's client.
        name: Name of the experiment; None takes the environment variables, or the default
            experiment.
        create: Whether to create a missing experiment.

    Raises:
        ValueError: if the experiment is missing and ``create`` is false.
    """
    if name is None:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME")
        if name is None:
            return os.environ.get("MLFLOW_EXPERIMENT_ID", "0")
    experiment = client.get_experiment_by_name(name)
    if experiment is not None:
        return str(experiment.experiment_id)
    if not create:
        raise ValueError(
            f"MLflow has no experiment {name!r}. Create it, or give "
            "create_experiment_if_not_exists=True."
        )
    return str(client.create_experiment(name))


def find_run(client: Any, experiment_id: str, trial_id: str) -> str | None:
    """Returns the id of a trial's run; None if there is none.

    Args:
        client: MLflow's client.
        experiment_id: Id of the experiment in MLflow.
        trial_id: Id of the trial.
    """
    runs = client.search_runs(
        [experiment_id], f"tags.`{TRIAL_ID_TAG}` = '{trial_id}'", max_results=1
    )
    return str(runs[0].info.run_id) if runs else None


def params_of(config: Mapping[str, Any]) -> dict[str, str]:
    """Returns a configuration as MLflow's parameters: flat names, and values as text."""
    flat = _with_allowed_names(flatten_dict(dict(config)))
    return {name: str(value)[:_MAX_PARAM_LENGTH] for name, value in flat.items()}


def _with_allowed_names(flat: Mapping[str, _T]) -> dict[str, _T]:
    """Returns the values with names that MLflow allows.

    MLflow refuses some characters, long names, and names that are no normal paths. A name that is
    shortened, or already in use, gets a digest at its end.
    """
    named: dict[str, _T] = {}
    for key, value in flat.items():
        parts = re.sub(r"[^\w\-. :/]", "_", str(key)).split("/")
        name = "/".join(part for part in parts if part not in ("", ".", "..")) or "_"
        if len(name) > _MAX_NAME_LENGTH or name in named:
            digest = hashlib.sha256(str(key).encode(errors="replace")).hexdigest()[:8]
            name = f"{name[: _MAX_NAME_LENGTH - len(digest) - 1]}_{digest}"
        named[name] = value
    return named


def _fits(value: float) -> bool:
    try:
        return not math.isnan(float(value))
    except OverflowError:
        return False


def _slices(items: Sequence[_T], size: int) -> Iterator[Sequence[_T]]:
    return (items[start : start + size] for start in range(0, len(items), size))
