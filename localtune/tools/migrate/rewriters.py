"""What is changed, and what is left to hand: the rows of the table of old names."""

from __future__ import annotations

import ast

from localtune.old_names.rows.trainables import OF_PROCESSES, TODAY
from localtune.old_names.table import OLD_NAMES
from localtune.tools.migrate import (
    arguments,
    checkpoints,
    dictionaries,
    entries,
    loggers,
    names,
    reports,
    results,
    unpacked,
)
from localtune.tools.migrate.names import Rewriter
from localtune.tools.migrate.script import Change, Script, Target

_CONTEXT = "{tune}.get_context()"
_DROPPED = (
    "sync_to_driver",
    "sync_to_cloud",
    "sync_on_checkpoint",
    "syncer",
    "sync_function",
    "node_sync_period",
    "cloud_sync_period",
    "queue_trials",
    "with_server",
    "server_port",
    "global_checkpoint_period",
    "ray_auto_init",
    "_remote",
    "use_early_stopped_trials",
    "use_object_store",
)


def _rewriters() -> dict[str, Rewriter]:
    found: dict[str, Rewriter] = {
        # Trainables.
        "tune.report(loss=x)": reports.keywords_as_dict,
        "tune.report(x)": reports.number_as_dict,
        "def train(config, reporter)": reports.without_reporter,
        "def train(config, checkpoint_dir=None)": checkpoints.parameter_as_checkpoint,
        "tune.checkpoint_dir": checkpoints.directory_as_temporary,
        "save_checkpoint() -> path": checkpoints.path_from_save,
        "session.report": names.by("{tune}.report"),
        **{
            f"session.{each}": names.call_by(str(number))
            for each, (_, number) in OF_PROCESSES.items()
        },
        "session.get_checkpoint": names.by("{tune}.get_checkpoint"),
        "tune.is_session_enabled": names.call_by(f"({_CONTEXT}.get_trial_id() is not None)"),
        "track.log": names.by("{tune}.report"),
        "track.init": names.without_call,
        "track.shutdown": names.without_call,
        "track.trial_dir": names.by(_CONTEXT + ".get_trial_dir"),
        "track.trial_name": names.by(_CONTEXT + ".get_trial_name"),
        "tune.DurableTrainable": names.by("{tune}.Trainable"),
        "tune.durable": names.call_by("{first}"),
        # Runs.
        "tune.run(run_errored_only=)": arguments.errored_only,
        "checkpoint_at_end= of a function": arguments.removed,
        "tune.run(return_trials=)": arguments.as_trials,
        'tune.run(resume="LOCAL")': arguments.resume,
        'resources_per_trial={"extra_cpu": n}': arguments.summed_resources,
        "Experiment(resources=)": arguments.renamed("resources_per_trial"),
        "tune.run(loggers=)": loggers.as_callbacks,
        "tune.run(trial_resources=)": arguments.renamed("resources_per_trial"),
        "Experiment(trial_resources=)": arguments.renamed("resources_per_trial"),
        "Experiment(repeat=)": arguments.renamed("num_samples"),
        "tune.run(upload_dir=)": arguments.renamed("storage_path"),
        "Experiment(upload_dir=)": arguments.renamed("storage_path"),
        "SyncConfig(upload_dir=)": arguments.removed_if("None"),
        "Searcher(max_concurrent=)": arguments.limited,
        "Searcher(reward_attr=)": arguments.as_metric,
        "TrialScheduler(reward_attr=)": arguments.as_metric,
        "tune.function": names.call_by("{first}"),
        "tune.EarlyStopping": names.by("{tune}.stopper.ExperimentPlateauStopper"),
        # Results.
        "tune.Analysis": names.by("{tune}.ExperimentAnalysis"),
        "Result.log_dir": names.attribute("path"),
        "Result.logdir": names.attribute("path"),
        "Trial.logdir": names.attribute("path"),
        "Trial.local_dir": names.attribute("experiment_path"),
        "ExperimentAnalysis.get_best_logdir": results.best_directory,
        "ExperimentAnalysis.best_logdir": names.attribute("best_trial.path"),
        "ExperimentAnalysis.fetch_trial_dataframes": results.frames,
        "analysis.trial_dataframes[directory]": results.frame_by_id,
        "analysis.get_best_checkpoint(directory)": results.checkpoint_by_trial,
        "Checkpoint.from_dict": dictionaries.from_dict,
        "Checkpoint.to_dict": dictionaries.to_dict,
        "Checkpoint.to_air_checkpoint": names.call_by("{self}"),
        "Checkpoint.value": names.attribute("path"),
        "Checkpoint.dir_or_data": names.attribute("path"),
        "Checkpoint.local_path": names.attribute("path"),
        "Checkpoint.uri": names.attribute("path"),
        "os.path.join(checkpoint, file)": results.path_of_checkpoint,
    }
    for row in OLD_NAMES.values():
        if row.name in found:
            continue
        if row.kind == "argument" and row.member == "local_dir":
            found[row.name] = arguments.as_storage_path
        elif row.kind == "argument" and row.member in _DROPPED:
            found[row.name] = arguments.removed
        elif row.kind == "argument" and row.member == "loggers":
            found[row.name] = arguments.removed_if("None", "DEFAULT_LOGGERS")
        elif row.kind == "argument" and row.member == "trial_executor":
            found[row.name] = arguments.removed_if("None")
        elif row.kind == "name" and row.owner in ("tune", "session") and _is_of_context(row.member):
            found[row.name] = names.by(f"{_CONTEXT}.{row.member}")
        elif row.kind == "attribute" and row.owner == "Trainable" and row.member in TODAY:
            found[row.name] = names.method(TODAY[row.member])
    return found


def _is_of_context(name: str) -> bool:
    from localtune import TuneContext

    return name.startswith("get_") and hasattr(TuneContext, name)


# {row: the function that changes a use of it; it returns None if it cannot}
REWRITERS = _rewriters()
# Rows whose uses need a person, with no change for any of them. Imports change with all others.
BY_HAND = frozenset(
    {
        # The mode may stand elsewhere: in the scheduler, or in the run.
        "metric= without mode=",
        # A class of loggers, or a decorator, and what the script does around it.
        "mlflow.MLFlowLogger",
        "mlflow.mlflow_mixin",
        "wandb.WandbLogger",
        "wandb.wandb_mixin",
        # The checkpoint is made in one place, and reported in another.
        "tune.make_checkpoint_dir",
        "tune.save_checkpoint",
        "Checkpoint.from_bytes",
        "Checkpoint.to_bytes",
        "Checkpoint.from_uri",
        "Checkpoint.to_uri",
        "Checkpoint.get_internal_representation",
        "Checkpoint.get_preprocessor",
        "Checkpoint.set_preprocessor",
        "ExperimentAnalysis.get_trial_checkpoints_paths",
        # Several arguments become one config.
        "Experiment(checkpoint_at_end=)",
        "Experiment(checkpoint_freq=)",
        "Experiment(checkpoint_score_attr=)",
        "Experiment(keep_checkpoints_num=)",
        # It goes into the environment, before the run.
        "tune.run(chdir_to_trial_dir=)",
        "TuneConfig(chdir_to_trial_dir=)",
        # Objects that all trials share.
        "utils.get_pinned_object",
        "utils.pin_in_object_store",
    }
)


def rewritten(target: Target) -> Change | None:
    """Returns the change of a use of an old name, None if it is left to hand."""
    node, row = target.use.node, OLD_NAMES[target.use.name]
    rewriter = REWRITERS.get(row.name)
    if isinstance(node, ast.Constant) and _is_in_experiment(target.script, node):
        return entries.renamed(target)
    if row.kind == "argument" and unpacked.is_unpacked(target.script, node):
        return unpacked.rewritten(target, rewriter, is_dropped=row.member in _DROPPED)
    return rewriter(target) if rewriter else None


def _is_in_experiment(script: Script, key: ast.Constant) -> bool:
    """Whether it is an entry of ``{name: {key: value}}``."""
    return isinstance(script.parent(script.parent(key)), ast.Dict)
