"""Old attributes of results: analyses, trials and checkpoints."""

from __future__ import annotations

from localtune.old_names.row import OldName, attribute, name

_DIRECTORY = "is the directory of a trial"
_FILES = (
    "files into a directory and Checkpoint.from_directory(path); read them in `with "
    "checkpoint.as_directory() as path:`"
)
_METADATA = "checkpoint.set_metadata() and checkpoint.get_metadata()"

ROWS = (
    name("tune", "Analysis", "reads the results of an experiment", "tune.ExperimentAnalysis(path)"),
    attribute("Result", "log_dir", _DIRECTORY, "result.path"),
    attribute("Result", "logdir", _DIRECTORY, "result.path"),
    attribute("Trial", "logdir", _DIRECTORY, "trial.path"),
    attribute("Trial", "local_dir", "is the directory of an experiment", "trial.experiment_path"),
    attribute(
        "ExperimentAnalysis",
        "get_best_logdir",
        "returns the directory of the best trial",
        "analysis.get_best_trial(metric, mode).path",
    ),
    attribute(
        "ExperimentAnalysis",
        "best_logdir",
        "is the directory of the best trial",
        "analysis.best_trial.path",
    ),
    attribute(
        "ExperimentAnalysis",
        "get_trial_checkpoints_paths",
        "returns the checkpoints of a trial with a metric",
        "tuner.get_results()[i].best_checkpoints",
    ),
    attribute(
        "ExperimentAnalysis",
        "fetch_trial_dataframes",
        "returns the results of all trials",
        "analysis.trial_dataframes",
    ),
    OldName(
        "analysis.trial_dataframes[directory]",
        "looks a trial up by its directory",
        "analysis.trial_dataframes[trial.trial_id]; the same holds for get_all_configs()",
    ),
    OldName(
        "analysis.get_best_checkpoint(directory)",
        "names a trial by its directory",
        "analysis.get_best_checkpoint(trial, metric, mode)",
    ),
    *(
        attribute("Checkpoint", each, "holds a checkpoint in memory", _FILES)
        for each in (
            "from_dict",
            "to_dict",
            "from_bytes",
            "to_bytes",
            "get_internal_representation",
        )
    ),
    *(
        attribute("Checkpoint", each, "is the place of a checkpoint", "checkpoint.path")
        for each in ("uri", "value", "dir_or_data", "local_path")
    ),
    attribute("Checkpoint", "from_uri", "makes a checkpoint of a URI", "tune.Checkpoint(uri)"),
    attribute("Checkpoint", "to_uri", "copies a checkpoint", "checkpoint.to_directory(path)"),
    attribute("Checkpoint", "to_air_checkpoint", "returns the same checkpoint", "checkpoint"),
    *(
        attribute("Checkpoint", each, "keeps a preprocessor with a checkpoint", _METADATA)
        for each in ("get_preprocessor", "set_preprocessor")
    ),
    OldName(
        "os.path.join(checkpoint, file)",
        "uses a checkpoint as a path",
        "os.path.join(checkpoint.path, file)",
    ),
)
