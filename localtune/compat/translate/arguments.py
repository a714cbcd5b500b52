"""Old arguments.

The translation of an argument gets its value, the positional arguments and the keyword arguments of
the call, and changes the last of these.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from localtune.config.checkpoint import CheckpointConfig
from localtune.old_names.arguments import (
    CHECKPOINTS_OF_FUNCTION,
    EXTRA_RESOURCES,
    OLD_RESUME_FORM,
)
from localtune.old_names.table import ROWS
from localtune.old_names.use import METRIC_ALONE
from localtune.resources import PlacementGroupFactory, resource_dict_to_pg_factory
from localtune.utils.remote_store import is_uri

_Args = tuple[Any, ...]
_Kwargs = dict[str, Any]


def _ignore(value: Any, args: _Args, kwargs: _Kwargs) -> None:
    """An argument that has no meaning on one machine, or is no longer needed."""


def _local_dir(value: Any, args: _Args, kwargs: _Kwargs) -> None:
    if value is not None and kwargs.get("storage_path") is None:
        kwargs["storage_path"] = os.path.abspath(os.path.expanduser(os.fspath(value)))


def _upload_dir(value: Any, args: _Args, kwargs: _Kwargs) -> None:
    if value is not None:
        path = os.fspath(value)
        kwargs["storage_path"] = path if is_uri(path) else os.path.abspath(path)


def _upload_dir_of_config(value: Any, args: _Args, kwargs: _Kwargs) -> None:
    args[0]._upload_dir = value or None


def _run_errored_only(value: Any, args: _Args, kwargs: _Kwargs) -> None:
    if value:
        kwargs["resume"] = "AUTO+ERRORED_ONLY"


def _return_trials(value: Any, args: _Args, kwargs: _Kwargs) -> Callable[[Any], Any] | None:
    return (lambda analysis: analysis.trials) if value else None


def _loggers(value: Any, args: _Args, kwargs: _Kwargs) -> None:
    from localtune.logger import (
        CSVLogger,
        JsonLogger,
        LegacyLoggerCallback,
        TBXLogger,
        UnifiedLogger,
    )

    defaults = (CSVLogger, JsonLogger, TBXLogger, UnifiedLogger)
    made, classes = [], []
    for each in value or ():
        if each in defaults:
            continue  # Each run has these.
        if isinstance(each, type) and hasattr(each, "as_callback"):
            made.append(each.as_callback(_config_of(args, kwargs)))
        else:
            classes.append(each)
    if classes:
        made.append(LegacyLoggerCallback(classes))
    if made:
        kwargs["callbacks"] = [*(kwargs.get("callbacks") or ()), *made]


def _config_of(args: _Args, kwargs: _Kwargs) -> Any:
    return kwargs.get("config") or {}


def _renamed(today: str) -> Callable[[Any, _Args, _Kwargs], None]:
    def rename(value: Any, args: _Args, kwargs: _Kwargs) -> None:
        kwargs.setdefault(today, value)

    return rename


def _checkpoint_config(field: str) -> Callable[[Any, _Args, _Kwargs], None]:
    def add(value: Any, args: _Args, kwargs: _Kwargs) -> None:
        config = kwargs.setdefault("checkpoint_config", CheckpointConfig())
        if field == "checkpoint_score_attribute" and str(value).startswith("min-"):
            config.checkpoint_score_order = "min"
            value = value.removeprefix("min-")
        setattr(config, field, value)

    return add


def _chdir_to_trial_dir(value: Any, args: _Args, kwargs: _Kwargs) -> None:
    if value is not None:
        os.environ["RAY_CHDIR_TO_TRIAL_DIR"] = str(int(bool(value)))


def _max_concurrent(value: Any, args: _Args, kwargs: _Kwargs) -> None:
    args[0]._most_at_once = value


def _reward_attr(value: Any, args: _Args, kwargs: _Kwargs) -> None:
    if value is not None:
        kwargs.update(metric=value, mode="max")


def _resume(value: str) -> str:
    return "AUTO+ERRORED_ONLY" if value == "ERRORED_ONLY" else "AUTO"


def _without_saving(config: CheckpointConfig) -> CheckpointConfig:
    return replace(config, checkpoint_frequency=0, checkpoint_at_end=False)


def _extra_resources(spec: dict[str, Any]) -> PlacementGroupFactory:
    """One bundle for the trial and one for what it starts."""
    own = {name: amount for name, amount in spec.items() if not name.startswith("extra_")}
    extra = {name.removeprefix("extra_"): spec[name] for name in spec.keys() - own.keys()}
    extra.update(extra.pop("custom_resources", None) or {})
    bundles = resource_dict_to_pg_factory(own).bundles
    if any(extra.values()):
        bundles = [*bundles, *resource_dict_to_pg_factory(extra).bundles]
    return PlacementGroupFactory(bundles)


def _rows(members: Iterable[str]) -> dict[str, str]:
    """Returns {row's name: member} of the rows of arguments."""
    wanted = set(members)
    return {row.name: row.member for row in ROWS if row.kind == "argument" and row.member in wanted}


_BY_MEMBER: dict[str, Callable[..., Any]] = {
    "local_dir": _local_dir,
    "upload_dir": _upload_dir,
    "run_errored_only": _run_errored_only,
    "return_trials": _return_trials,
    "loggers": _loggers,
    "trial_resources": _renamed("resources_per_trial"),
    "resources": _renamed("resources_per_trial"),
    "repeat": _renamed("num_samples"),
    "checkpoint_freq": _checkpoint_config("checkpoint_frequency"),
    "checkpoint_at_end": _checkpoint_config("checkpoint_at_end"),
    "keep_checkpoints_num": _checkpoint_config("num_to_keep"),
    "checkpoint_score_attr": _checkpoint_config("checkpoint_score_attribute"),
    "chdir_to_trial_dir": _chdir_to_trial_dir,
    "max_concurrent": _max_concurrent,
    "reward_attr": _reward_attr,
    **dict.fromkeys(
        (
            "syncer",
            "sync_on_checkpoint",
            "sync_to_driver",
            "sync_to_cloud",
            "sync_function",
            "node_sync_period",
            "cloud_sync_period",
            "queue_trials",
            "with_server",
            "server_port",
            "trial_executor",
            "global_checkpoint_period",
            "ray_auto_init",
            "_remote",
            "use_early_stopped_trials",
            "use_object_store",
        ),
        _ignore,
    ),
}
TRANSLATIONS: dict[str, Callable[..., Any]] = {
    **{name: _BY_MEMBER[member] for name, member in _rows(_BY_MEMBER).items()},
    "SyncConfig(upload_dir=)": _upload_dir_of_config,
    OLD_RESUME_FORM: _resume,
    METRIC_ALONE: lambda: "max",
    CHECKPOINTS_OF_FUNCTION: _without_saving,
    EXTRA_RESOURCES: _extra_resources,
}
