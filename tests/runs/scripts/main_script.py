"""A script without a guard, run by a test with a start method as its argument.

No module imports it: all that it defines belongs to ``__main__``.
"""

# Without types, as users write scripts.
# mypy: ignore-errors

import functools
import json
import os
import pickle
import sys

import localtune as tune

with open("runs", "a") as file:
    file.write("run\n")


class Note:
    def __init__(self, text):
        self.text = text


class Saver(tune.Trainable):
    def step(self):
        return {"value": 7, "done": True}

    def save_checkpoint(self, checkpoint_dir):
        with open(os.path.join(checkpoint_dir, "note.pkl"), "wb") as file:
            pickle.dump(Note("from the worker"), file)


def main(config):
    # Its name is that of many a function, and plain pickle finds it.
    return {"value": pickle.loads(pickle.dumps(main)) is main}


def make_closure(offset):
    def train(config):
        tune.report({"value": config["x"] + offset})

    return train


def make_class(offset):
    class Local(tune.Trainable):
        def step(self):
            return {"value": self.config["x"] + offset, "done": True}

        def save_checkpoint(self, checkpoint_dir):
            return {}

    return Local


class Model:
    def __init__(self, offset):
        self.offset = offset

    def train(self, config):
        copied = pickle.loads(pickle.dumps(Note("plain")))
        tune.report({"value": config["x"] + self.offset, "is_same": type(copied) is Note})


def add(offset, config):
    tune.report({"value": config["x"] + offset, "is_same": pickle.loads(pickle.dumps(add)) is add})


def surroundings(config):
    tune.report(
        {
            "value": None,
            "argv": list(sys.argv),
            "path": list(sys.path),
            "is_helper": __import__("helper_beside_the_script").ANSWER,
            "main": sorted(vars(sys.modules["__main__"])),
        }
    )


def fit(trainable):
    grid = tune.Tuner(
        trainable,
        param_space={"x": 1},
        run_config=tune.RunConfig(storage_path=os.path.abspath("results"), verbose=0),
        executor=tune.ProcessExecutor(num_cpus=1, start_method=sys.argv[1]),
    ).fit()
    assert not grid.errors, grid.errors[0]
    return grid[0]


import helper_beside_the_script  # noqa: E402

saved = fit(Saver)
with open(os.path.join(saved.checkpoint.path, "note.pkl"), "rb") as file:
    note = pickle.load(file)
told = {
    "lambda": fit(lambda config: {"value": config["x"] + 1}).metrics["value"],
    "closure": fit(make_closure(2)).metrics["value"],
    "local class": fit(make_class(3)).metrics["value"],
    "partial": fit(functools.partial(add, 4)).metrics,
    "bound method": fit(Model(5).train).metrics,
    "imported": fit(helper_beside_the_script.train).metrics["value"],
    "main": fit(main).metrics["value"],
    "note": [type(note) is Note, note.text],
    "surroundings": fit(surroundings).metrics,
    "own path": list(sys.path),
}
print(json.dumps(told, default=str))
