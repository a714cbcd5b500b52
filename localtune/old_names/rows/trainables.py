"""Old forms in trainables: what functions call and take, what classes define, decorators."""

from __future__ import annotations

from localtune.old_names.row import OldName, attribute, name

WITH_REPORTER = "def train(config, reporter)"
WITH_DIRECTORY = "def train(config, checkpoint_dir=None)"
SAVED_PATH = "save_checkpoint() -> path"

_CONTEXT = "tune.get_context()"
_CHECKPOINT = "tune.report(metrics, checkpoint=tune.Checkpoint.from_directory(directory))"
_FACTS = {
    "get_trial_id": "returns the trial's id",
    "get_trial_name": "returns the trial's name",
    "get_trial_dir": "returns the trial's directory",
    "get_trial_resources": "returns the trial's resources",
}
# {function: (what it does, what it returns in a trial)}
OF_PROCESSES = {
    "get_world_size": ("returns the number of processes of a trial", 1),
    "get_world_rank": ("returns the number of the process in its trial", 0),
    "get_local_rank": ("returns the number of the process on its machine", 0),
    "get_local_world_size": ("returns the number of processes on the machine", 1),
    "get_node_rank": ("returns the number of the machine", 0),
}
_METHODS = {
    "_setup": ("setup", "prepares the training"),
    "_train": ("step", "runs one iteration"),
    "_save": ("save_checkpoint", "saves the state"),
    "_restore": ("load_checkpoint", "loads a saved state"),
    "_stop": ("cleanup", "releases resources"),
    "_log_result": ("log_result", "logs a result"),
}

ROWS = (
    OldName(
        "tune.report(loss=x)",
        "reports its keyword arguments as metrics",
        'tune.report({"loss": x})',
    ),
    OldName("tune.report(x)", "reports a number", 'tune.report({"loss": x})'),
    name("session", "report", "reports metrics", "tune.report(metrics)"),
    name(
        "session",
        "get_checkpoint",
        "returns the checkpoint to continue from",
        "tune.get_checkpoint()",
    ),
    *(
        name("session", each, does, f"{_CONTEXT}.{each}()")
        for each, does in {**_FACTS, "get_experiment_name": "returns the experiment's name"}.items()
    ),
    *(
        name("session", each, does, f"{number}, since a trial is one process")
        for each, (does, number) in OF_PROCESSES.items()
    ),
    *(name("tune", each, does, f"{_CONTEXT}.{each}()") for each, does in _FACTS.items()),
    name(
        "tune",
        "is_session_enabled",
        "tells whether the code runs in a trial",
        f"{_CONTEXT}.get_trial_id() is not None",
    ),
    name("tune", "checkpoint_dir", "makes a directory for a checkpoint", _CHECKPOINT),
    name("tune", "make_checkpoint_dir", "makes a directory for a checkpoint", _CHECKPOINT),
    name("tune", "save_checkpoint", "keeps a checkpoint for the next report", _CHECKPOINT),
    name("track", "init", "starts the reports of a trial", "nothing in its place"),
    name("track", "log", "reports metrics", "tune.report(metrics)"),
    name("track", "shutdown", "ends the reports of a trial", "nothing in its place"),
    name("track", "trial_dir", "returns the trial's directory", f"{_CONTEXT}.get_trial_dir()"),
    name("track", "trial_name", "returns the trial's name", f"{_CONTEXT}.get_trial_name()"),
    OldName(
        WITH_REPORTER,
        "takes a function that reports metrics",
        "def train(config), with tune.report(metrics)",
    ),
    OldName(
        WITH_DIRECTORY,
        "takes the directory of the checkpoint to continue from",
        "def train(config), with checkpoint = tune.get_checkpoint() and checkpoint.as_directory()",
    ),
    *(
        attribute("Trainable", old, f"{does} in a class", f"the method {new}()")
        for old, (new, does) in _METHODS.items()
    ),
    OldName(
        SAVED_PATH,
        "returns the path of a file in the checkpoint, which load_checkpoint() then gets",
        "save_checkpoint(checkpoint_dir) without a return value, and join the file's name to the "
        "directory in load_checkpoint(checkpoint_dir)",
    ),
    name(
        "tune",
        "DurableTrainable",
        "is a base class that uploads checkpoints",
        'tune.Trainable, and storage_path="s3://..."',
    ),
    name(
        "tune",
        "durable",
        "makes a trainable upload its checkpoints",
        'the trainable itself, and storage_path="s3://..."',
    ),
    name(
        "wandb",
        "wandb_mixin",
        "starts a run of Weights & Biases for each trial",
        "setup_wandb(config, project=...) in the trainable",
    ),
    name(
        "wandb",
        "WandbLogger",
        "is a logger class for Weights & Biases",
        "callbacks=[WandbLoggerCallback(project=...)]",
    ),
    name(
        "mlflow",
        "mlflow_mixin",
        "starts a run of MLflow for each trial",
        "setup_mlflow(config, experiment_name=...) in the trainable",
    ),
    name(
        "mlflow",
        "MLFlowLogger",
        "is a logger class for MLflow",
        "callbacks=[MLflowLoggerCallback(experiment_name=...)]",
    ),
)
# {old method of a class: today's}
TODAY = {old: new for old, (new, _) in _METHODS.items()}
