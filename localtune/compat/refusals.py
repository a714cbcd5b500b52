"""The parts of Ray that localtune does not have: for each, the reason and what to do.

A whole library refuses when it is imported. Any other name refuses when it is used: called, derived
from, or asked for an attribute. So a script that only imports it runs.
"""

from __future__ import annotations

DISTRIBUTED = (
    "a trial is one process on one machine. Train in the function of the trial, as without Ray, "
    "and report there with tune.report(metrics); a trial with several GPUs may start processes of "
    "its own, with torchrun or accelerate"
)
_PREDICTOR = "it tunes, and does not predict. Load the model from Result.checkpoint, and call it"
_LOOP = "its loop has no parts that scripts can use. Write a Callback, a Stopper or a scheduler"
_CLUSTER = "it uses one machine. Leave this out"
_ACTORS = (
    "it has no actors. Use remote functions or multiprocessing.Pool for a pool of processes, and "
    "multiprocessing.managers.BaseManager, or files, for what trials share"
)
_BUNDLES = (
    "all resources are on one machine. Give a trial the sum of the bundles, with "
    "tune.with_resources(trainable, tune.PlacementGroupFactory(bundles))"
)
_PYTHON = "it calls Python only. Start the other program with subprocess"
_SYNC = (
    "it has no nodes to copy between. Leave this out, or give storage_path an address (s3://...)"
)
_SEARCH = (
    "it has no adapter for this library. Use OptunaSearch, HyperOptSearch, BayesOptSearch, "
    "AxSearch, NevergradSearch, ZOOptSearch or TuneBOHB"
)
_SKLEARN = (
    "it has a search for scikit-learn of its own. Use "
    "localtune.integration.sklearn.LocaltuneSearchCV"
)

# {a library: why it cannot be imported, and what to do}
LIBRARIES = {
    "ray.autoscaler": _CLUSTER,
    "ray.cluster_utils": _CLUSTER,
    "ray.dag": "it has no graphs of tasks. Call the functions one after the other",
    "ray.dashboard": "it has no dashboard. Use `localtune report` or `localtune ls`",
    "ray.data": (
        "it has no data sets of its own. Load the data in the trainable, or pass it with "
        "tune.with_parameters(trainable, data=data)"
    ),
    "ray.job_submission": "it has no job server. Start the script itself",
    "ray.llm": "it tunes, and does not serve. Use the library itself",
    "ray.rllib": (
        "it has no algorithms of reinforcement learning. Train with another library, such as "
        "stable-baselines3, in the function of a trial"
    ),
    "ray.serve": "it tunes, and does not serve. Serve the model with a program of its own",
    "ray.tune.automl": "the original has removed it. Write the search space as param_space",
    "ray.tune.examples": "it has examples of its own, in localtune.examples. Copy what you need",
    "ray.tune.sklearn": _SKLEARN,
    "ray.util.dask": _CLUSTER,
    "ray.util.spark": _CLUSTER,
    "ray.workflow": "it has no workflows. Call the functions one after the other",
}

# {a module, any name of which can be imported: why none can be used, and what to do}
MODULES = {
    "ray.air.util": LIBRARIES["ray.data"],
    "ray.ml": DISTRIBUTED,
    "ray.sgd": DISTRIBUTED,
    "ray.train._internal": DISTRIBUTED,
    "ray.train.backend": DISTRIBUTED,
    "ray.train.base_trainer": DISTRIBUTED,
    "ray.train.batch_predictor": _PREDICTOR,
    "ray.train.callbacks": DISTRIBUTED,
    "ray.train.data_parallel_trainer": DISTRIBUTED,
    "ray.train.gbdt_trainer": DISTRIBUTED,
    "ray.train.horovod": DISTRIBUTED,
    "ray.train.huggingface": DISTRIBUTED,
    "ray.train.lightgbm": DISTRIBUTED,
    "ray.train.lightning": DISTRIBUTED,
    "ray.train.mosaic": DISTRIBUTED,
    "ray.train.predictor": _PREDICTOR,
    "ray.train.rl": LIBRARIES["ray.rllib"],
    "ray.train.sklearn": DISTRIBUTED,
    "ray.train.tensorflow": DISTRIBUTED,
    "ray.train.torch": DISTRIBUTED,
    "ray.train.trainer": DISTRIBUTED,
    "ray.train.util": DISTRIBUTED,
    "ray.train.v2": DISTRIBUTED,
    "ray.train.xgboost": DISTRIBUTED,
    "ray.tune.checkpoint_manager": _LOOP,
    "ray.tune.cloud": _SYNC,
    "ray.tune.cluster_info": _CLUSTER,
    "ray.tune.commands": "it has programs of its own. Use `localtune ls` and `localtune show`",
    "ray.tune.config_parser": _LOOP,
    "ray.tune.execution.ray_trial_executor": _LOOP,
    "ray.tune.execution.trial_runner": _LOOP,
    "ray.tune.execution.tune_controller": _LOOP,
    "ray.tune.impl": _LOOP,
    "ray.tune.insufficient_resources_manager": _LOOP,
    "ray.tune.integration.docker": _SYNC,
    "ray.tune.integration.horovod": DISTRIBUTED,
    "ray.tune.integration.kubernetes": _SYNC,
    "ray.tune.integration.mxnet": "MXNet has ended. Call tune.report(metrics) after each epoch",
    "ray.tune.integration.tensorflow": DISTRIBUTED,
    "ray.tune.integration.torch": DISTRIBUTED,
    "ray.tune.ray_trial_executor": _LOOP,
    # `from ray.tune.suggest import bohb_hpbandster` asks for it, because suggest is search.
    "ray.tune.search.bohb_hpbandster": _SEARCH,
    "ray.tune.search.dragonfly": _SEARCH,
    "ray.tune.search.flaml": _SEARCH,
    "ray.tune.search.hebo": _SEARCH,
    "ray.tune.search.sigopt": _SEARCH,
    "ray.tune.search.skopt": _SEARCH,
    "ray.tune.suggest.bohb_hpbandster": _SEARCH,
    "ray.tune.suggest.dragonfly": _SEARCH,
    "ray.tune.suggest.flaml": _SEARCH,
    "ray.tune.suggest.hebo": _SEARCH,
    "ray.tune.suggest.sigopt": _SEARCH,
    "ray.tune.suggest.skopt": _SEARCH,
    "ray.tune.sync_client": _SYNC,
    "ray.tune.trial_executor": _LOOP,
    "ray.tune.trial_runner": _LOOP,
    "ray.tune.web_server": "it has no server in a run. Use `localtune ls` and `localtune stop`",
    "ray.util.actor_pool": _ACTORS,
    "ray.util.client": _CLUSTER,
    "ray.util.collective": DISTRIBUTED,
    "ray.util.iter": LIBRARIES["ray.data"],
    "ray.util.metrics": "it has no metrics server. Report metrics with tune.report(metrics)",
    "ray.util.placement_group": _BUNDLES,
    "ray.util.queue": _ACTORS,
    "ray.util.sgd": DISTRIBUTED,
    "ray.util.state": "it has no cluster whose state can be read. Use `localtune ls`",
}


# {a name of a module that localtune has: why it cannot be used, and what to do}
NAMES = {
    "ray.air.AcquiredResources": _LOOP,
    "ray.air.DatasetConfig": DISTRIBUTED,
    "ray.air.ResourceRequest": _LOOP,
    "ray.air.config.DatasetConfig": DISTRIBUTED,
    "ray.air.session.get_dataset_shard": LIBRARIES["ray.data"],
    "ray.train.BackendConfig": DISTRIBUTED,
    "ray.train.DataConfig": DISTRIBUTED,
    "ray.train.Trainer": DISTRIBUTED,
    "ray.train.TrainingIterator": DISTRIBUTED,
    "ray.train.get_dataset_shard": LIBRARIES["ray.data"],
    "ray.tune.error.AbortTrialExecution": _LOOP,
    "ray.tune.experiment.convert_to_experiment_list": _LOOP,
    "ray.tune.integration.wandb.WandbTrainableMixin": (
        "a class needs no mixin. Call setup_wandb(config, project=...) in its setup()"
    ),
    "ray.tune.syncer.NodeSyncer": _SYNC,
    "ray.tune.syncer.Syncer": _SYNC,
    "ray.tune.syncer.get_cloud_syncer": _SYNC,
    "ray.tune.syncer.get_node_syncer": _SYNC,
    "ray.tune.trainable.TrainableUtil": (
        "checkpoints are directories. Use the Checkpoint objects of tune.get_checkpoint() and of "
        "results"
    ),
    "ray.tune.trainable.util.TrainableUtil": (
        "checkpoints are directories. Use the Checkpoint objects of tune.get_checkpoint() and of "
        "results"
    ),
    "ray.client": _CLUSTER,
    "ray.java_actor_class": _PYTHON,
    "ray.java_function": _PYTHON,
    "ray.util.ActorPool": _ACTORS,
    "ray.util.connect": _CLUSTER,
    "ray.util.disconnect": _CLUSTER,
    "ray.util.get_placement_group": _BUNDLES,
    "ray.util.placement_group": _BUNDLES,
    "ray.util.placement_group_table": _BUNDLES,
    "ray.util.remove_placement_group": _BUNDLES,
}


def reason_at_import(module: str) -> str | None:
    """Returns why a module cannot be imported, and what to do; None if it can be.

    Args:
        module: Dotted name that begins with ``ray``.
    """
    return _look_up(module, LIBRARIES)


def reason_in_module(module: str) -> str | None:
    """Returns why no name of a module can be used, and what to do; None if it is none of these.

    Args:
        module: Dotted name that begins with ``ray``.
    """
    return _look_up(module, MODULES)


def remedy(path: str) -> str | None:
    """Returns what to do in the place of a part of Ray, as a sentence; None for all other names.

    Args:
        path: Dotted name that begins with ``ray``.
    """
    reason = NAMES.get(path) or _look_up(path, {**LIBRARIES, **MODULES})
    return None if reason is None else f"{reason.partition('. ')[2]}."


def _look_up(path: str, table: dict[str, str]) -> str | None:
    while path:
        if path in table:
            return table[path]
        path = path.rpartition(".")[0]
    return None
