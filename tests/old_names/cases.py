"""A piece of a script for each row of the table of old names.

Each piece uses the old name and checks what it does. It is written for Ray Tune; without the shim,
``ray.tune`` is replaced as ``docs/migrate-from-ray-tune.md`` says, and the piece must be refused.
``tune``, ``run`` and ``train`` stand for what PRELUDE defines.
"""

from __future__ import annotations

from localtune.old_names.places import OLD_PLACES
from localtune.old_names.row import OldName
from localtune.old_names.table import ROWS

PRELUDE = """
import functools
import os
from ray import tune
from ray.tune import Trainable


def train(config):
    tune.report({"loss": config.get("x", 1)})


class Saving(Trainable):
    def step(self):
        return {"loss": self.iteration, "done": self.iteration == 1}

    def save_checkpoint(self, checkpoint_dir):
        with open(os.path.join(checkpoint_dir, "state"), "w") as file:
            file.write(str(self.iteration))


def run(trainable, **options):
    if "local_dir" not in options:
        options = {"storage_path": os.getcwd(), **options}
    return tune.run(trainable, executor="inprocess", verbose=0, **options)


def saved():
    config = tune.CheckpointConfig(checkpoint_frequency=1)
    return run(Saving, checkpoint_config=config, metric="loss", mode="max")
"""

# {argument: (its value, a condition on what comes out)}
_OF_RUN = {
    "local_dir": (
        "'results'",
        "os.path.dirname(out.experiment_path) == os.path.abspath('results')",
    ),
    "upload_dir": ("'up'", "os.path.dirname(out.experiment_path) == os.path.abspath('up')"),
    "run_errored_only": ("False", "len(out.trials) == 1"),
    "return_trials": ("True", "out[0].config == {'x': 1}"),
    "loggers": ("[tune.logger.CSVLogger, Lines]", "Lines.results == [1]"),
    "trial_resources": ("{'cpu': 0.5}", "len(out.trials) == 1"),
    "chdir_to_trial_dir": ("False", "os.environ.pop('RAY_CHDIR_TO_TRIAL_DIR') == '0'"),
}
_LINES = """
class Lines(tune.logger.Logger):
    results = []
    def on_result(self, result):
        self.results.append(result["loss"])
"""
_OF_EXPERIMENT = {
    "local_dir": ("'results'", "os.path.dirname(out.path) == os.path.abspath('results')"),
    "upload_dir": ("'up'", "os.path.dirname(out.path) == os.path.abspath('up')"),
    "repeat": ("3", "out.num_samples == 3"),
    "trial_resources": ("{'cpu': 2}", "out.spec['resources_per_trial'] == {'cpu': 2}"),
    "resources": ("{'cpu': 2}", "out.spec['resources_per_trial'] == {'cpu': 2}"),
    "loggers": ("None", "out.num_samples == 1"),
    "checkpoint_freq": ("2", "out.checkpoint_config.checkpoint_frequency == 2"),
    "checkpoint_at_end": ("True", "out.checkpoint_config.checkpoint_at_end is True"),
    "keep_checkpoints_num": ("2", "out.checkpoint_config.num_to_keep == 2"),
    "checkpoint_score_attr": (
        "'min-loss'",
        "out.checkpoint_config.checkpoint_score_order == 'min'",
    ),
}
_OF_SEARCHER = {
    "max_concurrent": (
        "2",
        "len(run(train, search_alg=out, num_samples=3, config=space, metric='loss', mode='min')"
        ".trials) == 3",
    ),
    "reward_attr": ("'acc'", "(out.metric, out.mode) == ('acc', 'max')"),
    "use_early_stopped_trials": ("True", "out.metric is None"),
}
# {owner: the call, the values}
_CALLS = {
    "tune.run": ("out = run(train, config={'x': 1}, {})", _OF_RUN),
    "run_experiments": (
        "out = tune.run_experiments({'e': {'run': train, 'config': {'x': 1}}}, verbose=0,"
        " executor='inprocess', {})",
        _OF_RUN,
    ),
    "RunConfig": (
        "out = tune.RunConfig({})",
        {"local_dir": ("'results'", "out.storage_path == os.path.abspath('results')")},
    ),
    # As a dict, too: run_experiments takes both.
    "Experiment": (
        "out = tune.Experiment('e', Saving, {})\n"
        "assert tune.Experiment.from_json('e', dict(run=Saving, {})).name == 'e'",
        _OF_EXPERIMENT,
    ),
    "TuneConfig": ("out = tune.TuneConfig({})", _OF_RUN),
    "SyncConfig": (
        "out = tune.SyncConfig({})",
        {"upload_dir": ("'/up'", "tune.RunConfig(sync_config=out).storage_path == '/up'")},
    ),
    "Searcher": (
        "from ray.tune.search.hyperopt import HyperOptSearch\n"
        "space = {'x': tune.uniform(0, 1)}\n"
        "out = HyperOptSearch({})",
        _OF_SEARCHER,
    ),
    "validate_save_restore": (
        "from ray.tune.utils import validate_save_restore\n"
        "Saving.load_checkpoint = lambda self, directory: None\n"
        "out = validate_save_restore(Saving, {})",
        {"use_object_store": ("True", "out is True")},
    ),
    "TrialScheduler": (
        "from ray.tune.schedulers import ASHAScheduler\nout = ASHAScheduler({})",
        {"reward_attr": ("'acc'", "(out._metric, out._mode) == ('acc', 'max')")},
    ),
}


# Arguments without a condition of their own stand in one call.
_TOGETHER = {
    owner: [row.member for row in ROWS if row.owner == owner and row.member not in values]
    for owner, (_, values) in _CALLS.items()
}


def _of_argument(row: OldName) -> str:
    call, values = _CALLS[row.owner]
    if row.member not in values:
        given = ", ".join(f"{each}=None" for each in _TOGETHER[row.owner])
        return f"{call.replace('{}', given)}\nassert out is not None"
    value, condition = values[row.member]
    start = _LINES if row.member == "loggers" else ""
    return f"{start}\n{call.replace('{}', f'{row.member}={value}')}\nassert {condition}, out"


_IN_SESSION = {
    "report": "is_none",
    "get_world_size": "is_one",
    "get_local_world_size": "is_one",
    **dict.fromkeys(("get_world_rank", "get_local_rank", "get_node_rank"), "is_zero"),
    "get_checkpoint": "is_none",
    "get_trial_dir": "os.path.isdir",
    "get_trial_resources": "is_one_cpu",
    "get_trial_id": "is_in_path",
    "get_trial_name": "is_in_path",
    "get_experiment_name": "is_in_path",
    "is_session_enabled": "bool",
    "trial_dir": "os.path.isdir",
    "trial_name": "is_in_path",
}
_ARGUMENTS_IN_TRIAL = {"report": '{"loss": 1}', "log": "loss=1"}
_CHECKS = """
def is_zero(value): return value == 0
def is_one(value): return value == 1
def is_none(value): return value is None
def is_one_cpu(value): return value.required_resources == {"CPU": 1}
def is_in_path(value): return value in os.getcwd()
"""


def _of_trial(owner: str, members: list[str], imports: str) -> dict[str, str]:
    """One function that calls all names of a module."""
    lines = [
        f"    assert {_IN_SESSION.get(each, 'is_none')}"
        f"({owner}.{each}({_ARGUMENTS_IN_TRIAL.get(each, '')})), {each!r}"
        for each in members
    ]
    text = "\n".join([_CHECKS, "def old(config):", f"    {imports}", *lines, "run(old)"])
    return {f"{owner}.{each}": text for each in members}


def _members(owner: str, *starts: str) -> list[str]:
    return [row.member for row in ROWS if row.owner == owner and row.member.startswith(starts)]


_SAVES = """
def old(config, {}):
    found = tune.get_checkpoint()
    start = 0 if found is None else int(open(os.path.join(found.path, "step")).read()) + 1
    for step in range(start, 2):
        {}
            with open(os.path.join(directory, "step"), "w") as file:
                file.write(str(step))
        tune.report({{"loss": step}})
        assert os.path.exists(os.path.join(directory, "step"))
trial = run(old).trials[0]
with open(os.path.join(trial.checkpoint.path, "step")) as file:
    assert file.read() == "1"
assert sorted(name for name in os.listdir(trial.path) if "check" in name or "stag" in name) == [
    "checkpoint_000000", "checkpoint_000001"
]
"""
_CLASSIC = """
class Old(Trainable):
    def _setup(self, config):
        self.log = ["setup"]
        self.value = config.get("x", 0)
    def _train(self):
        self.value += 1
        return {"loss": self.value, "done": self.value == 2}
    def _save(self, checkpoint_dir):
        return {"value": self.value}
    def _restore(self, state):
        self.value = state["value"]
    def _stop(self):
        self.log.append("stop")
    def _log_result(self, result):
        super().log_result(result)

class Older(Old):
    def _train(self):
        return super()._train()

for cls in (Old, Older):
    trial = run(cls, checkpoint_at_end=True).trials[0]
    assert trial.last_result["loss"] == 2
    trainable = cls({"x": 0})
    trainable.restore(trial.checkpoint.path)
    assert trainable.value == 2
    trainable.stop()
    assert trainable.log == ["setup", "stop"]
"""
_CHECKPOINT = "checkpoint = tune.Checkpoint.from_directory(os.getcwd())\n"

CASES = {
    **{row.name: _of_argument(row) for row in ROWS if row.kind == "argument"},
    **_of_trial("session", _members("session", ""), "from ray.air import session"),
    **_of_trial("track", _members("track", ""), "from ray.tune import track"),
    **_of_trial("tune", _members("tune", "get_", "is_"), "pass"),
    **{row.name: _CLASSIC for row in ROWS if row.owner == "Trainable"},
    "tune.report(loss=x)": """
def old(config):
    for step in range(2):
        tune.report(loss=step, accuracy=1 - step)
result = run(old).trials[0].last_result
assert (result["loss"], result["accuracy"], result["training_iteration"]) == (1, 0, 2)
""",
    "tune.report(x)": """
def old(config):
    tune.report(0.5)
assert run(old).trials[0].last_result["_metric"] == 0.5
""",
    "def train(config, reporter)": """
def old(config, reporter):
    for step in range(2):
        reporter(timesteps_total=10 * step, mean_accuracy=step)
    assert reporter.trial_id in reporter.logdir
result = run(old).trials[0].last_result
assert (result["mean_accuracy"], result["timesteps_total"]) == (1, 10)
""",
    "def train(config, checkpoint_dir=None)": """
def old(config, checkpoint_dir=None, data=None):
    assert data == [1]
    start = 0
    if checkpoint_dir:
        with open(os.path.join(checkpoint_dir, "step")) as file:
            start = int(file.read()) + 1
    for step in range(start, 3):
        directory = os.path.join(os.getcwd(), f"own_{step}")
        os.makedirs(directory)
        with open(os.path.join(directory, "step"), "w") as file:
            file.write(str(step))
        tune.report({"loss": step}, checkpoint=tune.Checkpoint.from_directory(directory))
        if step == 1 and start == 0:
            raise RuntimeError("once")
for trainable in (functools.partial(old, data=[1]), tune.with_parameters(old, data=[1])):
    trial = run(trainable, max_failures=1).trials[0]
    assert trial.last_result["loss"] == 2
    assert trial.num_failures == 1
""",
    "tune.checkpoint_dir": _SAVES.format(
        "x=None", "with tune.checkpoint_dir(step=step) as directory:"
    ),
    **dict.fromkeys(
        ("tune.make_checkpoint_dir", "tune.save_checkpoint"),
        _SAVES.format(
            "x=None",
            "directory = tune.make_checkpoint_dir(step)\n"
            "        tune.save_checkpoint(directory)\n"
            "        if True:",
        ),
    ),
    "save_checkpoint() -> path": """
class Old(Trainable):
    def step(self):
        return {"loss": 1, "done": True}
    def save_checkpoint(self, checkpoint_dir):
        path = os.path.join(checkpoint_dir, "model.pth")
        with open(path, "w") as file:
            file.write("state")
        return path
    def load_checkpoint(self, path):
        with open(path) as file:
            self.state = file.read()
trial = run(Old, checkpoint_at_end=True).trials[0]
trainable = Old()
trainable.restore(trial.checkpoint.path)
assert trainable.state == "state"
trainable.stop()
""",
    'tune.run(resume="LOCAL")': """
run(train, name="again")
assert len(run(train, name="again", resume="LOCAL").trials) == 1
""",
    "checkpoint_at_end= of a function": """
assert run(train, checkpoint_at_end=True, checkpoint_freq=2).trials[0].checkpoint is None
""",
    "metric= without mode=": """
from ray.tune.schedulers import ASHAScheduler
scheduler = ASHAScheduler(metric="loss")
analysis = run(train, config={"x": tune.grid_search([1, 3, 2])}, scheduler=scheduler)
assert analysis.get_best_config(metric="loss") == {"x": 3}
from ray.tune.search.hyperopt import HyperOptSearch
algorithm = HyperOptSearch({"x": tune.uniform(0, 1)}, metric="loss")
assert len(run(train, search_alg=algorithm).trials) == 1 and algorithm.mode == "max"
""",
    'resources_per_trial={"extra_cpu": n}': """
from ray.tune.execution.placement_groups import resource_dict_to_pg_factory
factory = resource_dict_to_pg_factory({"cpu": 1, "extra_cpu": 2})
assert factory.required_resources == {"CPU": 3}, factory
""",
    "tune.function": "assert tune.function(len) is len",
    "tune.EarlyStopping": "assert tune.EarlyStopping('loss', mode='min').stop_all() is False",
    "tune.DurableTrainable": """
class Old(tune.DurableTrainable):
    def step(self):
        return {"loss": 1, "done": True}
assert run(Old).trials[0].last_result["loss"] == 1
""",
    "tune.durable": "assert run(tune.durable(train)).trials[0].last_result['loss'] == 1",
    "tune.Analysis": "assert len(tune.Analysis(run(train).experiment_path).trials) == 1",
    "utils.pin_in_object_store": """
from ray.tune.utils import pin_in_object_store
assert pin_in_object_store([1]) == [1]
""",
    "utils.get_pinned_object": """
from ray.tune.utils import get_pinned_object
assert get_pinned_object([1]) == [1]
""",
    "Result.log_dir": """
result = tune.ResultGrid(run(train))[0]
assert result.log_dir == result.path
""",
    "Result.logdir": """
result = tune.ResultGrid(run(train))[0]
assert result.logdir == result.path
""",
    "Trial.logdir": "trial = run(train).trials[0]\nassert trial.logdir == trial.path",
    "Trial.local_dir": "trial = run(train).trials[0]\nassert trial.local_dir in trial.path",
    "ExperimentAnalysis.get_best_logdir": """
analysis = run(train)
assert analysis.get_best_logdir("loss", "min") == analysis.trials[0].path
""",
    "ExperimentAnalysis.best_logdir": """
analysis = run(train, metric="loss", mode="min")
assert analysis.best_logdir == analysis.trials[0].path
""",
    "ExperimentAnalysis.get_trial_checkpoints_paths": """
analysis = saved()
paths = analysis.get_trial_checkpoints_paths(analysis.trials[0], "loss")
assert [(os.path.basename(path), value) for path, value in paths] == [
    ("checkpoint_000000", 0), ("checkpoint_000001", 1)
]
""",
    "ExperimentAnalysis.fetch_trial_dataframes": """
analysis = run(train)
(frame,) = analysis.fetch_trial_dataframes().values()
assert list(frame["loss"]) == [1]
""",
    "analysis.trial_dataframes[directory]": """
analysis = run(train)
path = analysis.trials[0].path
assert analysis.get_all_configs()[path] == {}
assert list(analysis.trial_dataframes[path]["loss"]) == [1]
""",
    "analysis.get_best_checkpoint(directory)": """
analysis = saved()
best = analysis.get_best_checkpoint(analysis.trials[0].path, "loss", "max")
assert os.path.basename(best.path) == "checkpoint_000001"
""",
    "os.path.join(checkpoint, file)": """
best = saved().best_checkpoint
with open(os.path.join(best, "state")) as file:
    assert file.read() == "2"
assert best + "/state" == best.path + "/state"
""",
    "Checkpoint.from_dict": """
checkpoint = tune.Checkpoint.from_dict({"step": 3})
assert os.path.isdir(checkpoint.path)
""",
    "Checkpoint.to_dict": """
class Old(Trainable):
    def step(self):
        return {"loss": 1, "done": True}
    def save_checkpoint(self, checkpoint_dir):
        return {"step": 3}
checkpoint = run(Old, checkpoint_at_end=True).trials[0].checkpoint
assert checkpoint.to_dict() == {"step": 3}
""",
    "Checkpoint.from_bytes": """
make = tune.Checkpoint.from_bytes
open("file", "w").close()
checkpoint = make(tune.Checkpoint.from_directory(os.getcwd()).to_bytes())
assert "file" in os.listdir(checkpoint.path)
""",
    "Checkpoint.to_bytes": _CHECKPOINT + "assert checkpoint.to_bytes()",
    "Checkpoint.get_internal_representation": _CHECKPOINT
    + "assert checkpoint.get_internal_representation() == ('local_path', os.getcwd())",
    "Checkpoint.from_uri": "assert tune.Checkpoint.from_uri('memory://a').path == 'memory://a'",
    "Checkpoint.to_uri": _CHECKPOINT
    + "checkpoint.to_uri('file://' + os.getcwd() + '/copy')\nassert os.path.isdir('copy')",
    "Checkpoint.to_air_checkpoint": _CHECKPOINT
    + "assert checkpoint.to_air_checkpoint() is checkpoint",
    "Checkpoint.uri": _CHECKPOINT + "assert checkpoint.uri is None",
    **{
        f"Checkpoint.{name}": _CHECKPOINT + f"assert checkpoint.{name} == os.getcwd()"
        for name in ("value", "dir_or_data", "local_path")
    },
    "Checkpoint.get_preprocessor": _CHECKPOINT + "assert checkpoint.get_preprocessor() is None",
    "Checkpoint.set_preprocessor": _CHECKPOINT + "checkpoint.set_preprocessor(3)",
    "session": "from ray.tune import session\nassert session.get_checkpoint",
    "track": "from ray.tune import track",
    "suggest": "from ray.tune.suggest.hyperopt import HyperOptSearch",
    **{old: f"import ray.tune.{old}" for old in OLD_PLACES if not old.startswith("suggest")},
    "trial": "from ray.tune.trial import Trial",
    "air": "from ray.air import RunConfig",
    "train": "from ray.train import RunConfig",
    "wandb.wandb_mixin": """
os.environ["WANDB_MODE"] = "offline"
import wandb
from ray.tune.integration.wandb import wandb_mixin
@wandb_mixin
def old(config):
    wandb.log({"loss": 1})
    tune.report({"loss": 1, "name": wandb.run.name})
trial = run(old, config={"wandb": {"project": "p"}, "x": 1}).trials[0]
assert trial.last_result["name"] == str(trial)
""",
    "wandb.WandbLogger": """
os.environ["WANDB_MODE"] = "offline"
from ray.tune.integration.wandb import WandbLogger
run(train, config={"wandb": {"project": "p"}, "x": 1}, callbacks=[WandbLogger.as_callback({})])
""",
    "mlflow.mlflow_mixin": """
import mlflow
os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"  # A database takes 15 s.
from ray.tune.integration.mlflow import mlflow_mixin
uri = f"file://{os.getcwd()}/mlruns"
@mlflow_mixin
class Old(Trainable):
    def step(self):
        mlflow.log_metric("loss", 1)
        return {"loss": 1, "done": True}
run(Old, config={"mlflow": {"experiment_name": "e", "tracking_uri": uri}})
(found,) = mlflow.MlflowClient(uri).search_runs([mlflow.get_experiment_by_name("e").experiment_id])
assert found.data.metrics["loss"] == 1
""",
    "mlflow.MLFlowLogger": """
from ray.tune.integration.mlflow import MLFlowLogger
""",
}
# Rows whose pieces need libraries that take long to load.
SLOW = {name for name in CASES if name.startswith(("wandb.", "mlflow."))}


def without_shim(text: str) -> str:
    """The piece after its imports were changed by hand."""
    text = text.replace("from ray import tune", "import localtune as tune")
    return text.replace("ray.tune", "localtune").replace("from ray.", "from localtune.")
