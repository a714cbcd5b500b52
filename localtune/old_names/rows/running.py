"""Old arguments: of runs, configs, search algorithms and schedulers."""

from __future__ import annotations

from localtune.old_names.row import OldName, argument, name

_RUN, _RUNS, _EXPERIMENT = "tune.run", "run_experiments", "Experiment"
_NOTHING = "nothing in its place"


def _for_all(
    owners: tuple[str, ...], arguments: tuple[str, ...], does: str, write: str
) -> tuple[OldName, ...]:
    return tuple(argument(owner, each, does, write) for owner in owners for each in arguments)


ROWS = (
    *_for_all(
        (_RUN, "RunConfig", _EXPERIMENT),
        ("local_dir",),
        "names the directory of the results",
        "storage_path=, with an absolute path",
    ),
    *_for_all(
        (_RUN, _EXPERIMENT, "SyncConfig"),
        ("upload_dir",),
        "names the place to which the results are uploaded",
        'storage_path="s3://..." in RunConfig or tune.run',
    ),
    *_for_all(
        (_RUN, _EXPERIMENT),
        ("sync_to_driver", "sync_to_cloud", "sync_on_checkpoint"),
        "says how results are copied between machines",
        _NOTHING,
    ),
    *_for_all(
        ("SyncConfig",),
        (
            "syncer",
            "sync_on_checkpoint",
            "sync_to_driver",
            "sync_to_cloud",
            "sync_function",
            "node_sync_period",
            "cloud_sync_period",
        ),
        "says how results are copied between machines",
        _NOTHING,
    ),
    *_for_all(
        (_RUN, _RUNS),
        ("queue_trials",),
        "lets trials wait for resources, which they do anyway",
        _NOTHING,
    ),
    *_for_all(
        (_RUN, _RUNS),
        ("with_server", "server_port"),
        "opens a port to follow the run",
        "nothing in its place; `localtune show` and `localtune tail` follow a run",
    ),
    *_for_all(
        (_RUN, _RUNS),
        ("trial_executor",),
        "gives the object that starts trials",
        "executor=tune.ProcessExecutor(...), or nothing",
    ),
    *_for_all(
        (_RUN,),
        ("global_checkpoint_period",),
        "sets how often the state of the run is saved, which is after each result",
        _NOTHING,
    ),
    *_for_all(
        (_RUN,),
        ("ray_auto_init", "_remote"),
        "says how the run connects to a cluster",
        _NOTHING,
    ),
    argument(
        _RUN,
        "run_errored_only",
        "continues the failed trials of an earlier run alone",
        'resume="AUTO+ERRORED_ONLY"',
    ),
    argument(
        _RUN,
        "return_trials",
        "makes the run return its trials",
        "tune.run(...).trials",
    ),
    *_for_all(
        (_RUN, _EXPERIMENT),
        ("loggers",),
        "lists classes of loggers",
        "callbacks=[LegacyLoggerCallback(classes)], without the default loggers",
    ),
    *_for_all(
        (_RUN, _EXPERIMENT),
        ("trial_resources",),
        "requests the resources of each trial",
        'resources_per_trial={"cpu": 1}',
    ),
    *_for_all(
        (_EXPERIMENT,),
        ("resources",),
        "requests the resources of each trial",
        'resources_per_trial={"cpu": 1}',
    ),
    *_for_all(
        (_EXPERIMENT,),
        ("repeat",),
        "says how many times the search space is sampled",
        "num_samples=",
    ),
    *_for_all(
        (_EXPERIMENT,),
        (
            "checkpoint_freq",
            "checkpoint_at_end",
            "keep_checkpoints_num",
            "checkpoint_score_attr",
        ),
        "says when checkpoints are made and which are kept",
        "checkpoint_config=tune.CheckpointConfig(...)",
    ),
    *_for_all(
        (_RUN, "TuneConfig"),
        ("chdir_to_trial_dir",),
        "says whether trials work in their own directory",
        "os.environ['RAY_CHDIR_TO_TRIAL_DIR'] = '0' before the run, to keep the original one",
    ),
    OldName(
        'tune.run(resume="LOCAL")',
        "says how to continue an earlier run",
        'resume="AUTO", or resume="AUTO+ERRORED_ONLY" for failed trials alone',
    ),
    OldName(
        "checkpoint_at_end= of a function",
        "saves nothing, like checkpoint_frequency= and checkpoint_freq=, since only a Trainable "
        "class can be asked to save",
        "report(metrics, checkpoint=checkpoint) in the function",
    ),
    argument(
        "validate_save_restore",
        "use_object_store",
        "says how the object is copied",
        _NOTHING,
    ),
    OldName(
        'resources_per_trial={"extra_cpu": n}',
        "requests resources for the workers that a trial starts",
        'tune.PlacementGroupFactory([{"CPU": 1}, {"CPU": n}])',
    ),
    argument(
        "Searcher",
        "max_concurrent",
        "limits how many of its trials run at once",
        "tune.TuneConfig(max_concurrent_trials=n) or tune.run(max_concurrent_trials=n)",
    ),
    *_for_all(
        ("Searcher", "TrialScheduler"),
        ("reward_attr",),
        "names a metric to maximise",
        'metric=..., mode="max"',
    ),
    OldName(
        "metric= without mode=",
        "says that a greater value of the metric is better",
        'mode="max" beside metric=, or mode="min"',
    ),
    argument(
        "Searcher",
        "use_early_stopped_trials",
        "says whether trials that a scheduler stopped count, which they do",
        _NOTHING,
    ),
    name(
        "tune",
        "function",
        "marks a function in a configuration as a value",
        "the function itself",
    ),
    name(
        "tune",
        "EarlyStopping",
        "is the stopper that ends a run at a plateau",
        "localtune.stopper.ExperimentPlateauStopper",
    ),
    name(
        "utils",
        "pin_in_object_store",
        "keeps an object for all trials",
        "tune.with_parameters(train, data=data)",
    ),
    name(
        "utils",
        "get_pinned_object",
        "gives an object that is kept for all trials",
        "tune.with_parameters(train, data=data)",
    ),
)
