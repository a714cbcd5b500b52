"""MLflow: a callback that logs a sweep, and ``setup_mlflow`` for logging inside a trial."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from localtune.integration.trials import current_trial
from localtune.logger.mlflow import (
    TRIAL_ID_TAG,
    MLflowLoggerCallback,
    experiment_id_of,
    find_run,
    load_mlflow,
    params_of,
)
from localtune.old_names.imports import old_name

__all__ = ["MLflowLoggerCallback", "setup_mlflow"]


def setup_mlflow(
    config: Mapping[str, Any] | None = None,
    tracking_uri: str | None = None,
    registry_uri: str | None = None,
    experiment_id: str | None = None,
    experiment_name: str | None = None,
    tracking_token: str | None = None,
    artifact_location: str | None = None,
    run_name: str | None = None,
    create_experiment_if_not_exists: bool = False,
    tags: Mapping[str, Any] | None = None,
    rank_zero_only: bool = True,
) -> Any:
    """Starts an MLflow run inside a trial, or continues the trial's run after a retry.

    Call ``mlflow.end_run()`` at the end of the function, because a worker may serve several
    trials.

    Args:
        config: Configuration to log as parameters.
        tracking_uri: URI of the tracking server or store; None is MLflow's default.
        registry_uri: URI of the model registry; None is MLflow's default.
        experiment_id: Id of the experiment in MLflow.
        experiment_name: Name of the experiment in MLflow, in place of its id.
        tracking_token: Token of the tracking server.
        artifact_location: Location of the artifacts of a new experiment.
        run_name: Name of the run; None is the name of the trial.
        create_experiment_if_not_exists: Whether to create a missing experiment.
        tags: Tags of the run.
        rank_zero_only: Has no effect, because a trial is one process.

    Returns:
        The module ``mlflow``, with the run started.

    Raises:
        ExtraMissingError: if MLflow is not installed.
        ValueError: if the experiment does not exist.

    Example:
        >>> import localtune as tune
        >>> def train(config):
        ...     mlflow = setup_mlflow(config, "sqlite:////tmp/mlflow.db")
        ...     mlflow.log_metric("loss", config["lr"])
        ...     mlflow.end_run()
    """
    mlflow = load_mlflow("setup_mlflow")
    if tracking_token:
        os.environ["MLFLOW_TRACKING_TOKEN"] = tracking_token
    if mlflow.active_run() is not None:  # left by the worker's last trial
        mlflow.end_run()
    client = mlflow.MlflowClient(tracking_uri, registry_uri)
    if experiment_id is None:
        if (
            experiment_name is not None
            and artifact_location is not None
            and create_experiment_if_not_exists
            and client.get_experiment_by_name(experiment_name) is None
        ):
            client.create_experiment(experiment_name, artifact_location)
        experiment_id = experiment_id_of(
            client, experiment_name, create=create_experiment_if_not_exists
        )
    trial = current_trial()
    run_id = find_run(client, experiment_id, trial.trial_id) if trial is not None else None
    own_tags = {TRIAL_ID_TAG: trial.trial_id, "trial_name": trial.trial_name} if trial else {}
    if tracking_uri is not None:
        mlflow.set_tracking_uri(tracking_uri)
    if registry_uri is not None:
        mlflow.set_registry_uri(registry_uri)
    mlflow.start_run(
        run_id=run_id,
        experiment_id=experiment_id,
        run_name=run_name or (trial.trial_name if trial else None),
        tags={**own_tags, **(tags or {})},
    )
    if config and run_id is None:
        mlflow.log_params(params_of(config))
    return mlflow


def __getattr__(name: str) -> Any:
    return old_name("mlflow", name, __name__, ImportError)
