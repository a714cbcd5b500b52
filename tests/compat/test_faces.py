"""Each name of Ray that scripts import: under the shim it is there, or says what to do."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from localtune.compat.places import PLACES
from localtune.compat.refusals import LIBRARIES, MODULES, NAMES
from tests.ray_names import ray_names

ROOT = Path(__file__).parents[2]

# {name: why its kind or its parameters are others}
OTHERS = {
    "ray.air.DataBatchType": "a type that annotations name",
    "ray.air.Result": "localtune makes it, and users only read it",
    "ray.train.Result": "localtune makes it, and users only read it",
}
# What public scripts import from earlier releases, beside the paths of 2.45.
OLD_IMPORTS = """
from ray.air import Checkpoint, session, ScalingConfig, RunConfig, CheckpointConfig
from ray.air.callbacks.wandb import WandbLoggerCallback
from ray.air.checkpoint import Checkpoint
from ray.air.constants import MODEL_KEY, PREPROCESSOR_KEY
from ray.air.integrations.mlflow import MLflowLoggerCallback, setup_mlflow
from ray.air.integrations.wandb import WandbLoggerCallback, setup_wandb
from ray.air.result import Result
from ray.cloudpickle import dumps, loads
from ray import cloudpickle
from ray.train import DataConfig, get_dataset_shard, ScalingConfig
from ray.train.batch_predictor import BatchPredictor
from ray.train.constants import TRAIN_DATASET_KEY
from ray.train.context import get_context
from ray.train.data_parallel_trainer import DataParallelTrainer
from ray.train.horovod import HorovodTrainer
from ray.train.huggingface import HuggingFaceTrainer, TransformersTrainer
from ray.train.lightgbm import LightGBMTrainer, RayTrainReportCallback
from ray.train.rl import RLTrainer
from ray.train.sklearn import SklearnTrainer
from ray.train.tensorflow import TensorflowTrainer, prepare_dataset_shard
from ray.train.torch import TorchTrainer, TorchConfig, TorchCheckpoint, prepare_model
from ray.train.torch import get_device, prepare_data_loader
from ray.train.trainer import BaseTrainer
from ray.train.xgboost import XGBoostTrainer, RayTrainReportCallback
from ray.experimental import tqdm_ray
from ray.ml import Checkpoint
from ray.train import session
from ray.train.session import get_checkpoint
from ray.tune.analysis import Analysis, ExperimentAnalysis
from ray.tune.analysis.experiment_analysis import ExperimentAnalysis
from ray.tune.checkpoint_manager import CheckpointManager
from ray.tune.durable_trainable import DurableTrainable
from ray.tune.trainable import Trainable, TrainableUtil
from ray.tune.trainable.util import TrainableUtil, with_parameters
from ray.tune.utils.util import SafeFallbackEncoder, flatten_dict, unflatten_dict
from ray.tune.integration.wandb import WandbTrainableMixin, setup_wandb
from ray.tune.durable_trainable import Trainable
from ray.tune.execution.ray_trial_executor import RayTrialExecutor
from ray.tune.execution.trial_runner import TrialRunner
from ray.tune.experiment.trial import Trial
from ray.tune.function_runner import wrap_function
from ray.tune.hyperband import HyperBandScheduler
from ray.tune.integration.horovod import DistributedTrainableCreator
from ray.tune.integration.lightgbm import TuneReportCheckpointCallback
from ray.tune.integration.mxnet import TuneReportCallback
from ray.tune.integration.torch import DistributedTrainableCreator, is_distributed_trainable
from ray.tune.integration.wandb import WandbLoggerCallback
from ray.tune.integration.xgboost import TuneReportCallback
from ray.tune.logger import DEFAULT_LOGGERS, LoggerCallback, pretty_print
from ray.tune.median_stopping_rule import MedianStoppingRule
from ray.tune.ray_trial_executor import RayTrialExecutor
from ray.tune.resources import Resources
from ray.tune.result import DONE, NODE_IP, TIMESTEPS_TOTAL, TRAINING_ITERATION
from ray.tune.sample import Categorical, Domain, Float, Integer, sample_from
from ray.tune.schedulers.pbt import PopulationBasedTraining
from ray.tune.suggest import BasicVariantGenerator, ConcurrencyLimiter, Repeater, Searcher
from ray.tune.suggest.basic_variant import BasicVariantGenerator
from ray.tune.suggest.bayesopt import BayesOptSearch
from ray.tune.suggest.bohb import TuneBOHB
from ray.tune.suggest.hyperopt import HyperOptSearch
from ray.tune.suggest.optuna import OptunaSearch
from ray.tune.suggest.suggestion import Searcher
from ray.tune.suggest.variant_generator import generate_variants
from ray.tune.syncer import SyncConfig, Syncer
from ray.tune.trial import ExportFormat, Resources, Trial
from ray.tune.trial_runner import TrialRunner
from ray.tune.util import flatten_dict, merge_dicts
from ray.tune.utils.placement_groups import PlacementGroupFactory
from ray.tune.web_server import TuneClient
from ray.util import ActorPool, get_node_ip_address, log_once
from ray.util.annotations import DeveloperAPI, PublicAPI
from ray.util.debug import log_once
from ray.util.joblib import register_ray
from ray.util.ml_utils.dict import merge_dicts
from ray.util.multiprocessing import Pool
from ray.util.placement_group import placement_group
from ray.util.queue import Queue
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
from ray.util.sgd import TorchTrainer
from ray.util.sgd.torch import TrainingOperator
import ray.tune.suggest.bohb
import ray.train.torch
import ray.tune.schedulers as schedulers
""".strip().splitlines()


_OLD_NAME = re.compile(r"localtune\.compat: \S+ is an old form that ")


def run(code: str, given: object = None, **options: Any) -> Any:
    """Runs code under the shim; returns the object that it prints as JSON."""
    done = subprocess.run(
        [sys.executable, "-m", "localtune.compat", "-c", code],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        **options,
    )
    others = [line for line in done.stderr.splitlines() if not _OLD_NAME.match(line)]
    assert (done.returncode, others) == (0, []), done.stderr
    return json.loads(done.stdout)


_WALK = """
import importlib, json
from localtune.error import ExtraMissingError
from tests.ray_names import kind_of, not_accepted, ray_names

found = {}
for each in ray_names("ray"):
    try:
        value = getattr(importlib.import_module(each.module), each.name)
    except ExtraMissingError:
        continue
    if kind_of(value) != each.kind:
        found[str(each)] = kind_of(value)
    elif missing := not_accepted(value, each.parameters):
        found[str(each)] = missing
print(json.dumps(found))
"""


def test_each_name_of_the_release_has_its_kind_and_takes_its_parameters() -> None:
    found = run(_WALK)
    for name in OTHERS:
        assert found.pop(name)
    below_localtune = {str(each): each.parameters for each in ray_names("ray.tune")}
    # tests/architecture/test_ray_names.py says for these why they differ.
    others = {name: what for name, what in found.items() if name not in below_localtune}
    # The shim translates this argument.
    assert {name: what for name, what in others.items() if what != ["local_dir"]} == {}


_IMPORTS = """
import json, sys
found = []
for line in json.load(sys.stdin):
    try:
        exec(line, {})
    except Exception as error:
        found.append(f"{line}: {type(error).__name__}: {error}")
print(json.dumps(found))
"""


@pytest.mark.long
def test_imports_of_earlier_releases_work() -> None:
    assert run(_IMPORTS, OLD_IMPORTS) == []


_USES = """
import importlib, json, pickle, sys
import cloudpickle
import ray
from localtune.error import ExtraMissingError
libraries, modules, names = json.load(sys.stdin)

def error_of(use):
    try:
        use()
    except Exception as error:
        return f"{type(error).__name__}: {error}"

found = {}
for path in libraries:
    found[path] = error_of(lambda: importlib.import_module(path))
for path in names:
    module, _, name = path.rpartition(".")
    found[path] = error_of(getattr(importlib.import_module(module), name))
for path in [each for each in modules if each not in names]:
    try:
        module = importlib.import_module(path)
    except ExtraMissingError:  # Its report callback works, and needs the library.
        continue
    assert not hasattr(module, "__wrapped__")
    found[path] = error_of(module.AnyClass_of_it)

from ray.train.torch import TorchTrainer, prepare_model
from ray.util.queue import Queue

def train(config, queue: Queue, more: "Queue[int]" = None) -> TorchTrainer | None:
    return prepare_model if isinstance(queue, Queue) else TorchTrainer

data = cloudpickle.dumps((train, TorchTrainer, prepare_model, sys.modules["ray.train.rl"]))
assert b"ray.train" not in data and pickle.loads(data)[1:3] == (TorchTrainer, prepare_model)
found["attribute"] = error_of(lambda: TorchTrainer.restore("/a"))
found["subclass"] = error_of(lambda: type("Own", (TorchTrainer,), {}))
found["unknown"] = error_of(lambda: importlib.import_module("ray.nothing"))
found["unknown name"] = error_of(lambda: ray.tune.nothing)
print(json.dumps([found, data.hex()]))
"""


@pytest.mark.long
def test_what_localtune_does_not_have_says_what_to_do_when_it_is_used() -> None:
    found, data = run(_USES, [list(LIBRARIES), list(MODULES), list(NAMES)])
    for path, text in found.items():
        assert text is not None, path
        if path in LIBRARIES:
            assert text == f"ModuleNotFoundError: localtune has no {path}: {LIBRARIES[path]}."
        elif path in NAMES:
            assert text.startswith("TuneError: localtune has no ray.") and NAMES[path] in text
        elif path in MODULES:
            assert text.startswith("TuneError: localtune has no ray.") and ". " in text
    assert "AttributeError: localtune has no ray.train.torch.TorchTrainer" in found["attribute"]
    assert "TuneError: localtune has no ray.train.torch.TorchTrainer" in found["subclass"]
    assert "ModuleNotFoundError: localtune has no ray.nothing" in found["unknown"]
    assert found["unknown name"] == (
        "AttributeError: module 'localtune.compat.ray.tune' has no attribute 'nothing'"
    )
    # Without the shim, such a pickle can be loaded, too.
    code = f"import pickle; print(pickle.loads(bytes.fromhex({data!r}))[1])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout == "<class 'localtune.compat.refused.TorchTrainer'>\n"


_FROM = """
import importlib, json, sys

def outcome(code):
    try:
        exec(code, {})
    except ImportError as error:
        return f"{type(error).__name__}: {error}"

others = {}
for path in json.load(sys.stdin):
    parent, _, name = path.rpartition(".")
    in_module, alone = outcome(f"from {parent} import {name}"), outcome(f"import {path}")
    if in_module != alone:
        others[path] = (in_module, alone)
    if not str(alone).startswith("ExtraMissingError"):  # Its name needs another library.
        assert hasattr(importlib.import_module(parent), name) == (alone is None), path
print(json.dumps(others))
"""


@pytest.mark.long
def test_a_module_named_after_from_gets_the_answer_of_its_import() -> None:
    unknown = [f"{each}.nothing" for each in ("ray", "ray.tune", "ray.train", "ray.air")]
    paths = [*LIBRARIES, *(each for each in MODULES if each not in NAMES), *unknown]
    assert run(_FROM, [*paths, "ray.util.nothing", "ray.tune.suggest", "ray.train.session"]) == {}


_LOCAL = """
import inspect
import json
from ray.experimental import tqdm_ray
import ray.train, ray.tune.schedulers, ray.util.multiprocessing
from ray.air import ScalingConfig, session
from ray.tune.resources import Resources
import localtune, localtune.schedulers, localtune.resources

assert ray.tune.schedulers is localtune.schedulers
assert ray.tune.schedulers.__spec__.name == "localtune.schedulers"
from ray.tune.trainable import FunctionTrainable, Trainable
import ray.tune.trainable.util, localtune.trainable.util, ray.train.session
assert Trainable is localtune.Trainable
assert ray.tune.trainable.util.with_resources is localtune.with_resources
assert ray.train.session.get_world_size() == 1
bar = tqdm_ray.tqdm([1, 2], desc="a", flush_interval_s=1)
assert (list(bar), bar.total, bar.n) == ([1, 2], 2, 2)
assert ray.tune.Tuner is ray.tune.tuner.Tuner is localtune.Tuner
assert ray.util.log_once("a") and not ray.util.log_once("a")
# FLAML asks for the type of what a domain accepts.
accepted = inspect.signature(ray.tune.search.sample.Float.is_valid).parameters["value"]
assert accepted.annotation is float

def train(config):
    context = ray.train.get_context()
    ray.train.report({
        "world": [session.get_world_size(), session.get_world_rank(), session.get_local_rank()],
        "context": [context.get_world_size(), context.get_world_rank(), context.get_metadata()],
        "name": context.get_trial_name() == session.get_trial_name(),
        "cpus": session.get_trial_resources().required_resources["CPU"],
    })
    ray.train.report(loss=1)

scaling = ScalingConfig(num_workers=1, trainer_resources={"CPU": 0})
assert isinstance(Resources(1, 0), localtune.resources.PlacementGroupFactory)
tuner = ray.tune.Tuner(
    ray.tune.with_resources(train, scaling), run_config=ray.air.RunConfig(verbose=0)
)
results = tuner.fit()
frame = results.get_dataframe()
with ray.util.multiprocessing.Pool(1, ray_address="auto") as pool:
    squares = pool.map(abs, [-1, 2])
first = list(results[0].metrics_dataframe.to_dict("records"))[0]
print(json.dumps([{k: v for k, v in first.items() if k.split("/")[0] in
    ("world", "context", "name", "cpus")}, results[0].metrics["loss"], squares]))
"""


def test_names_with_a_meaning_on_one_machine_work(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "localtune.compat", "-c", _LOCAL],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    first, loss, squares = json.loads(done.stdout)
    assert first == {"world": [1, 0, 0], "context": [1, 0, {}], "name": True, "cpus": 1.0}
    assert (loss, squares) == (1, [1, 2])
    assert done.stderr.count("localtune.compat: tune.report(loss=x)") == 1
    assert done.stderr.count("localtune.compat: session.") == 5


def test_places_are_written_once() -> None:
    from localtune.compat.places import own_name

    for old, today in PLACES.items():
        assert own_name(old) in (today, f"localtune.compat.{old}"), old
    assert not PLACES.keys() & {*LIBRARIES, *MODULES}
