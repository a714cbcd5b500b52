"""Tests of localtune.old_names.scan."""

from __future__ import annotations

import ast

import pytest

from localtune.old_names.scan import find_old_uses

SCRIPT = """
import os
from functools import partial
import ray
from ray import tune
from ray.air import session
from ray.tune import Trainable
from ray.tune.integration.wandb import wandb_mixin  # wandb.wandb_mixin
from ray.tune.suggest.hyperopt import HyperOptSearch
try:
    from ray.tune import report
except ImportError:
    report = None

@wandb_mixin  # wandb.wandb_mixin
def train(config, checkpoint_dir=None, data=None):  # def train(config, checkpoint_dir=None)
    if session.get_checkpoint():  # session.get_checkpoint
        state = session.get_checkpoint().to_dict()  # Checkpoint.to_dict; session.get_checkpoint
    with tune.checkpoint_dir(step=1) as directory:  # tune.checkpoint_dir
        pass
    tune.report(loss=1, checkpoint=None)  # tune.report(loss=x)
    report(**state)  # tune.report(loss=x)
    ray.tune.report(float(state))  # tune.report(x)
    tune.report({"a": 1}, checkpoint=None)
    tune.report(state)
    tune.track.log(x=1)  # track.log
    session.report({"x": 1})  # session.report

class Old(Trainable):
    def _setup(self, config):  # Trainable._setup
        pass
    def _train(self):  # Trainable._train
        return {}
    def _save(self, checkpoint_dir):  # Trainable._save
        path = os.path.join(checkpoint_dir, "x")
        return path  # save_checkpoint() -> path

class Both(Trainable):
    def step(self): return self._train()
    def _train(self): return {}
    def save_checkpoint(self, checkpoint_dir):
        os.path.join(checkpoint_dir, "x")
        return checkpoint_dir

def classic(config, reporter):  # def train(config, reporter)
    def tune(x): pass
    tune.report(loss=1)

def bound(config, checkpoint_dir=None): pass
def unknown(config, reporter, checkpoint_dir=None): pass

analysis = tune.run(
    partial(train, data=1),
    local_dir="x",  # tune.run(local_dir=)
    resume="AUTO",
    search_alg=HyperOptSearch(max_concurrent=3),  # Searcher(max_concurrent=)
    resources_per_trial={"cpu": 1, "extra_cpu": 2},  # resources_per_trial={"extra_cpu": n}
)
tune.run(bound if 1 else 0, resume="LOCAL")  # tune.run(resume="LOCAL")
tune.run(tune.with_parameters(bound, checkpoint_dir="y"))
print(analysis.get_best_logdir("x"))  # ExperimentAnalysis.get_best_logdir
for trial in analysis.trials:
    print(trial.logdir, trial.path)  # Trial.logdir
result = tune.Tuner(classic).fit().get_best_result()
print(result.log_dir, result.metrics)  # Result.log_dir
os.path.join(result.checkpoint, "x")  # os.path.join(checkpoint, file)
print(analysis.get_best_trial("a", "max").checkpoint.value)  # Checkpoint.value
tune.Analysis("x").best_logdir  # ExperimentAnalysis.best_logdir; tune.Analysis
analysis.trial_dataframes[analysis.best_trial.path]  # analysis.trial_dataframes[directory]
analysis.get_best_checkpoint(analysis.best_trial.path)  # analysis.get_best_checkpoint(directory)
tune.Checkpoint.from_dict({})  # Checkpoint.from_dict
somebody = lambda x: x.best_logdir  # ExperimentAnalysis.best_logdir
ray.tune.run_experiments({"a": {"run": train, "repeat": 2}})  # Experiment(repeat=)
class Paths(Trainable):
    def save_checkpoint(self, checkpoint_dir):
        path = Path(checkpoint_dir) / "x"
        return str(path)  # save_checkpoint() -> path
def in_dict(config, reporter): pass  # def train(config, reporter)
ray.tune.run_experiments({"a": {"run": in_dict}})
def named(config, reporter): pass  # def train(config, reporter)
tune.Experiment("a", run=named)
tune.run(in_dict, checkpoint_at_end=True, name="x")  # checkpoint_at_end= of a function
tune.run(Both, checkpoint_at_end=True)
tune.utils.validate_save_restore(
    Both, use_object_store=1)  # validate_save_restore(use_object_store=)
first = somebody(second); second = somebody(first)
somebody(1).log_dir, somebody(2).to_dict()
"""


def test_all_uses_are_found_and_nothing_else() -> None:
    expected = {
        (number, name)
        for number, line in enumerate(SCRIPT.splitlines(), start=1)
        for name in line.partition("  # ")[2].split("; ")
        if name
    }
    found = {(use.line, use.name) for use in find_old_uses(ast.parse(SCRIPT))}
    assert found == expected


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("from localtune import session", ["session"]),
        ("import localtune.suggest.hyperopt", ["suggest"]),
        ("from localtune.air.config import RunConfig", ["air"]),
        ("import localtune as tune\ntune.track.log(x=1)", ["track.log"]),
        ("from . import tune\ntune.report(loss=1)", []),
        ("import other as tune\ntune.report(loss=1)", []),
    ],
)
def test_imports_decide_what_a_name_means(text: str, names: list[str]) -> None:
    assert [use.name for use in find_old_uses(ast.parse(text))] == names


def test_alternatives_for_other_releases_are_found_unless_they_must_be_certain() -> None:
    tree = ast.parse(
        "from ray import tune\n"
        "try: tune.report(loss=1)\nexcept TypeError: pass\n"
        "try: tune.report(loss=1)\nexcept Exception: tune.report(loss=2)\n"
        "if version > 1: pass\nelse: tune.report(loss=1)\n"
    )
    assert [use.line for use in find_old_uses(tree)] == [2, 4, 5, 7]
    assert [use.line for use in find_old_uses(tree, certain=True)] == [4, 5]


def test_names_that_the_text_does_not_bind_are_asked_for() -> None:
    tree = ast.parse("t.report(loss=1)\nu.report(loss=1)")
    uses = find_old_uses(tree, {"t": "localtune"}.get)
    assert [(use.name, use.line) for use in uses] == [("tune.report(loss=x)", 1)]


def test_arguments_in_dictionaries_are_found_unless_they_may_be_for_another_release() -> None:
    tree = ast.parse(
        "from ray import tune\nkw = {'a': 1, **dict(local_dir='x', name='b')}\n"
        "kw['queue_trials'] = True\nother(**kw)\nkw |= dict(kw2, loggers=None)\n"
        "tune.run(f, **kw)\ndef later(kw):\n    tune.run(f, **kw)\n"
    )
    assert [(use.line, use.name) for use in find_old_uses(tree)] == [
        (2, "tune.run(local_dir=)"),
        (3, "tune.run(queue_trials=)"),
        (5, "tune.run(loggers=)"),
    ]
    assert find_old_uses(tree, certain=True) == []


def test_a_dictionary_that_refers_to_itself_has_its_entries_once() -> None:
    tree = ast.parse(
        "import localtune as tune\na = dict(b, local_dir=1)\nb = dict(a)\n"
        + "a = {**a, **b}\n" * 50
        + "tune.run(f, **a)\n"
    )
    assert [use.line for use in find_old_uses(tree)] == [2]
