"""Names of Ray Tune that localtune does not have: each is refused when it is used.

They exist so that a script which only imports one of them runs, and so that the error of a script
which uses one says what to do.
"""

from __future__ import annotations

from typing import Any, NoReturn

from localtune.error import TuneError

_RESOURCES = (
    'Write a dict such as {"cpu": 2, "gpu": 1}, or a PlacementGroupFactory, in '
    "tune.with_resources(trainable, resources)."
)


def _refuse(name: str, reason: str, remedy: str) -> NoReturn:
    raise TuneError(f"localtune has no {name}: {reason}. {remedy}")


class Resources:
    """Refused: resources of a trial in the form of early releases."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _refuse("Resources", "it is the form of early releases", _RESOURCES)


def json_to_resources(data: Any) -> NoReturn:
    """Refused: reads :class:`Resources`."""
    _refuse("json_to_resources", "it reads the form of early releases", _RESOURCES)


def resources_to_json(*args: Any, **kwargs: Any) -> NoReturn:
    """Refused: writes :class:`Resources`."""
    _refuse("resources_to_json", "it writes the form of early releases", _RESOURCES)


def sync_dir_between_nodes(
    source_ip: str,
    source_path: str,
    target_ip: str,
    target_path: str,
    force_all: bool = False,
    exclude: list[str] | None = None,
    chunk_size_bytes: int | None = None,
    max_size_bytes: int | None = None,
    return_futures: bool = False,
) -> NoReturn:
    """Refused: copies a directory from one machine to another.

    Args:
        source_ip: Address of the machine to copy from.
        source_path: The directory there.
        target_ip: Address of the machine to copy to.
        target_path: The directory there.
        force_all: Whether to copy files that have not changed.
        exclude: Patterns of files to leave out.
        chunk_size_bytes: Size of one message.
        max_size_bytes: Largest size of the directory.
        return_futures: Whether to return at once.
    """
    _refuse(
        "sync_dir_between_nodes",
        "all trials run on one machine",
        "Use shutil.copytree(source_path, target_path), or a storage_path of remote storage.",
    )


class TuneReportCallback:
    """Refused: passes the results of a distributed trainer on to Ray Tune."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _refuse(
            "integration.ray_train.TuneReportCallback",
            "there are no distributed trainers",
            "Train in the function of the trial, and call tune.report(metrics) there.",
        )


class AimLoggerCallback:
    """Refused: logs to Aim.

    Args:
        repo: Aim's repository.
        experiment_name: Name of the experiment there.
        metrics: Metrics to log.
        **aim_run_kwargs: Arguments of ``aim.Run``.
    """

    def __init__(
        self,
        repo: Any = None,
        experiment_name: str | None = None,
        metrics: list[str] | None = None,
        **aim_run_kwargs: Any,
    ) -> None:
        _refuse(
            "AimLoggerCallback",
            "it has loggers for TensorBoard, MLflow and Weights & Biases",
            "Pass TBXLoggerCallback(), whose files `aim convert tensorboard` reads, or derive a "
            "logger from localtune.logger.LoggerCallback.",
        )


class CometLoggerCallback:
    """Refused: logs to Comet.

    Args:
        online: Whether to log to the server.
        tags: Tags of each run.
        save_checkpoints: Whether to upload checkpoints.
        **experiment_kwargs: Arguments of ``comet_ml.Experiment``.
    """

    def __init__(
        self,
        online: bool = True,
        tags: list[str] | None = None,
        save_checkpoints: bool = False,
        **experiment_kwargs: Any,
    ) -> None:
        _refuse(
            "CometLoggerCallback",
            "it has loggers for TensorBoard, MLflow and Weights & Biases",
            "Pass one of these, or derive a logger from localtune.logger.LoggerCallback that "
            "calls comet_ml.",
        )
