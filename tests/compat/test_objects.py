"""Tests of localtune.compat.objects: objects that processes share."""

from __future__ import annotations

import copy
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest

import localtune as tune
from localtune.compat import objects
from localtune.error import UntrustedDirectoryError
from tests.small_runs import make_tuner


class Point:
    def __init__(self, x: Any) -> None:
        self.x = x


def files(ray: Any) -> int:
    """The number of objects that are kept."""
    directory = ray.init(ignore_reinit_error=True)["session_dir"]
    return sum(len(name) == 2 * objects.KEY_BYTES for name in os.listdir(directory))


def test_values_come_back_as_copies_whose_arrays_share_pages(ray: Any) -> None:
    large = numpy.arange(2**18, dtype=float)  # it is mapped, others are read
    value: Any = {
        "large": large,
        "small": numpy.ones((3, 2)),
        "empty": numpy.ones(0),
        "point": Point(1),
    }
    ref = ray.put(value)

    first, second = ray.get([ref, ref])

    assert first is not second and type(first["point"]) is Point
    for name in ("large", "small", "empty"):
        assert numpy.array_equal(first[name], value[name])
        assert not first[name].flags.writeable and first[name].ctypes.data % 64 == 0
    assert ray.get([]) == [] and ray.get(ray.put([ref]))[0] == ref
    assert ray.wait([ref]) == ([ref], [])
    # What is in hand stays when the object goes.
    del ref
    assert files(ray) == 1 and first["large"].sum() == large.sum()


def test_a_file_goes_with_its_references_unless_others_may_have_one(ray: Any) -> None:
    ref = ray.put(1)
    same = copy.deepcopy({"ref": copy.copy(ref)})["ref"]
    assert same == ref and len({same, ref}) == 1 and files(ray) == 1
    del ref, same
    assert files(ray) == 0

    loaded = pickle.loads(pickle.dumps(ray.put(2)))
    assert ray.get(loaded) == 2 and bytes.fromhex(loaded.hex()) == loaded.binary()
    directory = loaded.directory
    del loaded
    assert files(ray) == 1

    lost = ray.put(3)
    ray.shutdown()
    assert not os.path.exists(directory)
    with pytest.raises(ray.exceptions.ObjectLostError, match=r"has called ray\.shutdown\(\)"):
        ray.get(lost)


def test_bad_arguments(ray: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ref = ray.put(1)
    for bad in (1, None, (ref,), {"a": ref}):
        with pytest.raises(ValueError, match="takes a reference or a list"):
            ray.get(bad)
    for refs in ([1], [[ref]]):
        with pytest.raises(TypeError, match="in it is none"):
            ray.get(refs)
        with pytest.raises(TypeError, match="in it is none"):
            ray.wait(refs)
    with pytest.raises(TypeError, match="put a list"):
        ray.put(ref)
    with pytest.raises(TypeError, match=r"item 'lock'.*_thread\.lock"):
        ray.put({"lock": threading.Lock()})
    with pytest.raises(TypeError, match="takes a list"):
        ray.wait(ref)
    with pytest.raises(ValueError, match="one of them twice"):
        ray.wait([ref, ref])
    with pytest.raises(ValueError, match="1 to 1"):
        ray.wait([ref], num_returns=2)
    with pytest.raises(ValueError, match="timeout must be"):
        ray.wait([ref], timeout=-1)
    assert ray.wait([]) == ([], [])

    def no_room(*paths: str) -> None:
        raise OSError(28, "No space left on device")

    before = files(ray)
    monkeypatch.setattr(os, "replace", no_room)
    with pytest.raises(ray.exceptions.ObjectStoreFullError, match=r"No space left.*TMPDIR"):
        ray.put(b"much")
    assert files(ray) == before


def test_a_directory_that_others_could_have_made_is_not_read(tmp_path: Path) -> None:
    store = objects.ObjectStore(str(tmp_path))
    ref = store.put("mine")
    assert ref.value() == "mine"
    tmp_path.chmod(0o777)
    with pytest.raises(UntrustedDirectoryError):
        ref.value()
    tmp_path.chmod(0o700)


def _child(ref: Any, queue: Any) -> None:
    from localtune.compat import ray

    try:
        if ray.is_initialized():
            # A child may run the code of the script again.
            assert ray.init(num_cpus=1)["session_dir"] == ref.directory
        put = ray.put("from the child")
        queue.put((ref and ray.get(ref), ray.get(put), put.directory))
    except BaseException as error:
        queue.put((repr(error), "", ""))


def _in_child(method: str, make_ref: Callable[[], Any]) -> tuple[str | None, str, str]:
    """What a child process gets, and the directory of what it puts; the child has ended then."""
    context: Any = multiprocessing.get_context(method)
    queue = context.Queue()
    # When it has started, the process has the only reference.
    child = context.Process(target=_child, args=(make_ref(), queue))
    child.start()
    found: tuple[str | None, str, str] = queue.get()
    child.join()
    queue.close()
    queue.join_thread()
    return found


def test_child_processes_have_the_objects(ray: Any) -> None:
    own = ray.init(num_cpus=2)["session_dir"]
    expected = ("mine", "from the child")
    assert _in_child("fork", lambda: ray.put("mine")) == (*expected, own)
    # Without the shim, a child that is not forked has a cluster of its own.
    assert _in_child("spawn", lambda: ray.put("mine"))[:2] == expected


def test_the_objects_of_a_child_go_with_it() -> None:
    got, own, directory = _in_child("fork", lambda: None)
    assert (got, own) == (None, "from the child") and not os.path.exists(directory)


SPAWNING = """
import multiprocessing
import ray

ray.init(num_cpus=2)

@ray.remote
def double(x):
    return 2 * x

def child(ref, queue):
    put = ray.put(ray.get(ref) + 1)
    queue.put((put, ray.get(double.remote(put))))

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=child, args=(ray.put(1), queue))
    process.start()
    put, doubled = queue.get()
    process.join()
    print(ray.get(put), doubled)
"""


def test_a_child_of_a_script_joins_its_cluster(tmp_path: Path) -> None:
    """It also runs the first lines of the script again."""
    (tmp_path / "script.py").write_text(SPAWNING)
    done = subprocess.run(
        [sys.executable, "-m", "localtune.compat", "script.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "2 4\n", done.stderr


@pytest.mark.parametrize("start_method", ["template", "spawn"])
def test_trials_get_what_the_script_has_put(ray: Any, tmp_path: Path, start_method: str) -> None:
    def train(config: dict[str, Any], data: Any = None) -> None:
        own = ray.put([config["a"]])
        array = ray.get(config["deep"]["refs"][0])
        total = float(array.sum()) + ray.get(data).x + ray.get(own)[0]
        tune.report({"total": total, "writeable": array.flags.writeable})

    space = {
        "a": tune.grid_search([1, 2]),
        "deep": {"refs": [ray.put(numpy.ones(2**18))]},
    }
    grid: Any = make_tuner(
        tune.with_parameters(train, data=ray.put(Point(10))),
        tmp_path,
        space,
        executor=tune.ProcessExecutor(num_cpus=2, start_method=start_method),
    ).fit()

    assert [each.error for each in grid] == [None, None]
    assert [each.metrics["total"] for each in grid] == [2**18 + 11, 2**18 + 12]
    assert not any(each.metrics["writeable"] for each in grid)
    # Each trial says which object it got, in words that every program reads.
    assert "ObjectRef(" in Path(grid[0].path, "params.json").read_text()


def test_a_resumed_experiment_says_that_its_objects_have_gone(ray: Any, tmp_path: Path) -> None:
    def train(config: dict[str, Any]) -> None:
        if not os.path.exists(config["go"]):
            raise ValueError("not yet")
        tune.report({"got": ray.get(config["ref"])})

    space = {"ref": ray.put(1), "go": str(tmp_path / "go")}
    tuner = make_tuner(train, tmp_path, space, executor=tune.ProcessExecutor(num_cpus=1))
    assert tuner.fit().num_errors == 1
    (tmp_path / "go").touch()
    ray.shutdown()

    again = tune.Tuner.restore(
        str(tmp_path / "run"),
        train,
        restart_errored=True,
        executor=tune.ProcessExecutor(num_cpus=1),
    ).fit()

    assert "ray.put() again" in str(again[0].error)
