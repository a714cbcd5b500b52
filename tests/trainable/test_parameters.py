from __future__ import annotations

import base64
import gc
import os
import pickle
import subprocess
import sys
import threading
import weakref
from typing import Any

import cloudpickle
import numpy as np
import pytest

from localtune.error import TuneError
from localtune.trainable.function_trainable import wrap_function
from localtune.trainable.parameters import (
    Parameters,
    dumps_with_parameters,
    loads_with_parameters,
)
from localtune.trainable.trainable import Trainable
from localtune.trainable.util import with_parameters, with_resources
from localtune.trial.trial_info import StorageContext

pytestmark = pytest.mark.slow

BIG = np.ones(2 * 1024 * 1024)
SMALL_BYTES = 100 * 1024


def train(config: dict[str, Any], data: Any = None) -> dict[str, Any]:
    return {"sum": float(np.sum(data))}


class Summing(Trainable):
    def setup(self, config: dict[str, Any], data: Any = None) -> None:
        self.data = data

    def step(self) -> dict[str, Any]:
        return {"sum": float(np.sum(self.data)), "done": True}


def in_new_process(code: str, data: bytes) -> subprocess.CompletedProcess[str]:
    """Run code where ``data`` is known, and no value of this process."""
    prelude = "import base64, pickle, sys\ndata = base64.b64decode(sys.stdin.read())\n"
    return subprocess.run(
        [sys.executable, "-c", prelude + code],
        input=base64.b64encode(data).decode(),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("trainable", [train, Summing])
def test_what_is_bound_stays_out_of_a_plain_pickle(trainable: Any) -> None:
    bound = with_parameters(trainable, data=BIG)
    assert len(cloudpickle.dumps(bound)) < SMALL_BYTES
    assert len(cloudpickle.dumps(with_resources(bound, {"cpu": 1}))) < SMALL_BYTES


def test_a_wrapped_function_pickles_small() -> None:
    wrapped = wrap_function(with_parameters(train, data=BIG))
    assert len(cloudpickle.dumps(wrapped)) < SMALL_BYTES


def test_a_plain_pickle_finds_the_values_in_the_same_process() -> None:
    bound = with_parameters(train, data=BIG)
    again = pickle.loads(cloudpickle.dumps(bound))
    assert again({}) == {"sum": BIG.size}
    assert again._parameters.values["data"] is BIG


def test_a_plain_pickle_finds_the_values_in_a_forked_child() -> None:
    bound = with_parameters(train, data=BIG)
    data = cloudpickle.dumps(bound)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, str(pickle.loads(data)({})).encode())
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as file:
        assert file.read().decode() == str(bound({}))
    os.waitpid(child, 0)


@pytest.mark.parametrize("trainable", [train, Summing])
def test_a_plain_pickle_is_refused_in_another_process(trainable: Any) -> None:
    data = cloudpickle.dumps(with_parameters(trainable, data=BIG))
    done = in_new_process("pickle.loads(data)", data)
    assert done.returncode == 1
    assert "Pass the trainable with its parameters again" in done.stderr


def test_a_plain_pickle_is_refused_once_the_values_are_gone() -> None:
    data = cloudpickle.dumps(with_parameters(train, data=[1]))
    gc.collect()
    with pytest.raises(TuneError, match="with its parameters again"):
        pickle.loads(data)


@pytest.mark.parametrize("kind", ["function", "class", "wrapped", "with resources"])
def test_a_payload_brings_the_values_to_another_process(kind: str) -> None:
    bound: Any = with_parameters(Summing if kind == "class" else train, data=BIG)
    if kind == "wrapped":
        bound = wrap_function(bound)
    elif kind == "with resources":
        bound = with_resources(bound, {"cpu": 1})
    code = """
from localtune.trainable.parameters import loads_with_parameters
from localtune.trial.trial_info import StorageContext
from localtune.trainable.function_trainable import wrap_function
import os, tempfile
trainable = loads_with_parameters(data)
if not isinstance(trainable, type):
    trainable = wrap_function(trainable)
with tempfile.TemporaryDirectory() as path:
    made = trainable({}, storage=StorageContext(path, path))
    print(made.train()["sum"])
    made.stop()
"""
    done = in_new_process(code, dumps_with_parameters(bound))
    assert (done.stdout, done.stderr) == (f"{float(BIG.size)}\n", "")


def test_a_payload_takes_code_of_main_along() -> None:
    script = """
import sys
import localtune.trainable.util as util
from localtune.trainable.parameters import dumps_with_parameters
class Data:
    def __init__(self): self.values = [1, 2]
def train(config, data):
    return {"sum": sum(data.values)}
bound = util.with_parameters(train, data=Data())
sys.stdout.buffer.write(dumps_with_parameters(bound))
"""
    payload = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout
    assert loads_with_parameters(payload)({}) == {"sum": 3}


def test_values_are_in_a_payload_once() -> None:
    bound = with_parameters(train, data=BIG)
    copies = [bound, pickle.loads(cloudpickle.dumps(bound)), with_resources(bound, {"cpu": 2})]
    assert len(dumps_with_parameters(copies)) < BIG.nbytes + SMALL_BYTES


def test_values_may_hold_bound_trainables() -> None:
    inner = with_parameters(train, data=[1, 2])

    def outer(config: dict[str, Any], fn: Any) -> Any:
        return fn(config)

    again = loads_with_parameters(dumps_with_parameters(with_parameters(outer, fn=inner)))
    assert again({}) == {"sum": 3}


def test_a_payload_read_in_the_same_process_shares_the_values() -> None:
    bound = with_parameters(train, data=BIG)
    again = loads_with_parameters(dumps_with_parameters(bound))
    assert again._parameters.values["data"] is BIG


def test_a_payload_of_an_unpicklable_value_names_it() -> None:
    bound = with_parameters(train, data={"lock": threading.Lock()})
    with pytest.raises(TypeError, match=r"of its parameter 'data', item 'lock', a _thread"):
        dumps_with_parameters(bound, "train")


def test_pickles_are_small_again_after_a_payload() -> None:
    bound = with_parameters(train, data=BIG)
    with pytest.raises(TypeError):
        dumps_with_parameters([bound, threading.Lock()])
    dumps_with_parameters(bound)
    assert len(cloudpickle.dumps(bound)) < SMALL_BYTES


class Weighty:
    pass


@pytest.mark.parametrize("trainable", [train, Summing])
def test_values_go_with_the_last_reference(trainable: Any) -> None:
    value = Weighty()
    is_alive = weakref.ref(value)
    bound = with_parameters(trainable, data=value)
    copy = pickle.loads(cloudpickle.dumps(bound))
    del value, bound
    gc.collect()
    assert is_alive()
    del copy
    gc.collect()
    assert is_alive() is None


def test_two_bindings_are_apart() -> None:
    given = [Parameters({"a": 1}), Parameters({"a": 2})]
    assert [one.values["a"] for one in pickle.loads(pickle.dumps(given))] == [1, 2]


def test_worker_side_changes_stay_local(storage: StorageContext) -> None:
    def changing(config: dict[str, Any], data: list[int]) -> dict[str, Any]:
        data.append(1)
        return {"length": len(data)}

    data = [0]
    payload = dumps_with_parameters(with_parameters(changing, data=data))
    code = """
from localtune.trainable.parameters import loads_with_parameters
print(loads_with_parameters(data)({}))
"""
    assert in_new_process(code, payload).stdout == "{'length': 2}\n"
    assert data == [0]
