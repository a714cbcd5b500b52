"""Tests of localtune.compat.remote: functions that run in other processes."""
# mypy: disable-error-code=untyped-decorator

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy
import pytest

import localtune as tune
from localtune.compat import calls
from tests.small_runs import make_tuner


class CannotLoadError(Exception):
    def __init__(self, a: int, b: int) -> None:
        super().__init__("one argument")


def test_calls_take_references_and_return_them(ray: Any) -> None:
    ray.init(num_cpus=2)

    @ray.remote
    def add(a: Any, b: Any = 1) -> Any:
        return a + b

    @ray.remote(num_return_vals=2)
    def two(x: Any) -> Any:
        return x, os.getpid()

    @ray.remote
    def kind(items: list[Any]) -> str:
        return type(items[0]).__name__

    @ray.remote
    def numbers(count: int) -> Any:
        yield from range(count)

    @ray.remote
    def outer(x: int) -> Any:
        context = ray.get_runtime_context()
        inner = ray.get(add.remote(x))
        return inner, ray.get(ray.put(x)), [ray.put(x)], context.get_task_name()

    three = add.remote(add.remote(1), b=ray.put(1))
    assert ray.get(three) == 3
    assert ray.get(add.remote(ray.put(numpy.ones(3)), three)).tolist() == [4, 4, 4]
    first, second = two.remote("x")
    assert ray.get(first) == "x" and ray.get(second) != os.getpid()
    # A reference within an argument stays one; it is there before the argument is on its way.
    assert ray.get(kind.remote([add.remote(1)])) == "ObjectRef"
    assert ray.get(list(numbers.remote(3))) == [0, 1, 2]
    assert add.options(num_returns=0).remote(1) is None
    assert ray.get(numbers.options(num_returns=2).remote(2)) == [0, 1]
    assert ray.get(add._remote(args=[1], kwargs={"b": 5}, num_cpus=2)) == 6
    inner, got, refs, name = ray.get(outer.remote(7))
    assert (inner, got, ray.get(refs), name) == (8, 7, [7], "outer")

    async def later() -> Any:
        return await add.remote(4), await asyncio.gather(add.remote(5), three)

    assert asyncio.run(later()) == (5, [6, 3]) and add.remote(1).future().result() == 2
    done, rest = [], [add.remote(each) for each in range(20)]
    while rest:
        ready, rest = ray.wait(rest, num_returns=min(3, len(rest)))
        done += ready
    assert sorted(ray.get(done)) == list(range(1, 21))


def test_errors_are_raised_again_and_processes_may_die(ray: Any, tmp_path: Path) -> None:
    ray.init(num_cpus=2)
    marker = tmp_path / "attempts"

    @ray.remote
    def fails(kind: type[Exception], *args: Any) -> None:
        raise kind(*args)

    @ray.remote
    def passes_on(value: Any) -> Any:
        return value

    @ray.remote(retry_exceptions=[KeyError], max_retries=2)
    def third_time() -> int:
        with marker.open("a") as file:
            file.write("x")
        if marker.stat().st_size < 3:
            raise KeyError("again")
        return 3

    @ray.remote(num_returns=2)
    def too_few() -> list[int]:
        return [1]

    ref = fails.remote(ValueError, "no")
    with pytest.raises(ValueError, match=r"ray::fails\(\)") as caught:
        ray.get(ref)
    error = caught.value
    assert isinstance(error, ray.exceptions.RayTaskError) and "raise kind(*args)" in str(error)
    assert type(error.cause) is ValueError and error.cause.args == ("no",)
    assert "calls.py" not in str(error)
    # What takes the value fails with the same error.
    with pytest.raises(ValueError, match=r"ray::passes_on\(\)"):
        ray.get(passes_on.remote(ref))
    with pytest.raises(ray.exceptions.RayTaskError, match="CannotLoadError") as caught:
        ray.get(fails.remote(CannotLoadError, 1, 2))
    assert not isinstance(caught.value, CannotLoadError)
    with pytest.raises(ray.exceptions.RayTaskError, match="UnicodeDecodeError"):
        ray.get(fails.remote(UnicodeDecodeError, "ascii", b"x", 0, 1, "no"))
    assert ray.get(third_time.remote()) == 3
    with pytest.raises(ValueError, match="num_returns=2, but returned 1"):
        ray.get(too_few.remote())
    with pytest.raises(TypeError, match="cannot be sent"):
        ray.get(ray.remote(lambda: threading.Lock()).remote())
    with pytest.raises(ray.exceptions.WorkerCrashedError, match=r"sys\.exit\(3\)"):
        ray.get(ray.remote(lambda: sys.exit(3)).remote())
    died = ray.remote(lambda: os._exit(3)).remote()
    with pytest.raises(ray.exceptions.WorkerCrashedError, match="ended in the middle"):
        ray.get(died)
    assert ray.get(passes_on.remote(1)) == 1


def test_calls_wait_are_cancelled_and_end(ray: Any, tmp_path: Path) -> None:
    ray.init(num_cpus=1)

    @ray.remote
    def block(name: str) -> None:
        (tmp_path / name).touch()
        while True:
            time.sleep(0.01)

    @ray.remote
    def quick() -> int:
        return os.getpid()

    @ray.remote
    def be_another_system() -> None:
        del signal.pthread_kill

    pid = ray.get(quick.remote())
    for force, is_portable in ((False, False), (False, True), (True, False)):
        if is_portable:
            ray.get(be_another_system.remote())
        name = f"started {force} {is_portable}"
        running = block.remote(name)
        waiting = quick.remote()
        assert ray.wait([running, waiting], timeout=0) == ([], [running, waiting])
        with pytest.raises(ray.exceptions.GetTimeoutError):
            ray.get(running, timeout=0.01)
        ray.cancel(waiting, force=force)
        with pytest.raises(ray.exceptions.TaskCancelledError):
            ray.get(waiting)
        while not (tmp_path / name).exists():
            assert not ray.wait([running], timeout=0.01)[0]
        assert "CPU" not in ray.available_resources()
        ray.cancel(running, force=force)
        with pytest.raises(ray.exceptions.TaskCancelledError, match="block"):
            ray.get(running)
        ray.cancel(running)
    assert ray.get(quick.remote()) != pid
    with pytest.raises(TypeError, match="takes a reference"):
        ray.cancel(1)
    # The end of the cluster ends what runs.
    running = block.remote("last")
    while not (tmp_path / "last").exists():
        assert not ray.wait([running], timeout=0.01)[0]
    ray.shutdown()
    with pytest.raises(ray.exceptions.ObjectLostError):
        ray.get(running)


def test_processes_have_the_environment_of_the_call(ray: Any) -> None:
    ray.init(num_cpus=2, num_gpus=2, runtime_env={"env_vars": {"A": "all"}})

    @ray.remote
    def look() -> Any:
        context = ray.get_runtime_context()
        names = ("CUDA_VISIBLE_DEVICES", "A", "B")
        return (
            *(os.environ.get(name) for name in names),
            ray.get_gpu_ids(),
            context.get_assigned_resources(),
            os.getpid(),
        )

    *plain, pid = ray.get(look.remote())
    assert plain == ["", "all", None, [], {"CPU": 1.0}]
    one_gpu = look.options(num_gpus=1, num_cpus=0, runtime_env={"env_vars": {"B": "one"}})
    *with_gpu, first = ray.get(one_gpu.remote())
    assert with_gpu == ["0", "all", "one", [0], {"GPU": 1.0}]
    # The process that had a GPU has ended, and the GPU is free.
    assert ray.get(one_gpu.remote())[-1] not in (pid, first)
    assert ray.get(look.options(max_calls=1).remote())[-1] != first


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda ray, f: ray.remote(3), TypeError, "takes a function or a class"),
        (lambda ray, f: ray.remote(), TypeError, "is a decorator"),
        (lambda ray, f: ray.remote(f, num_cpus=1), TypeError, "all of them by name"),
        (lambda ray, f: ray.remote(num_cpu=1)(f), ValueError, "no option 'num_cpu'"),
        (lambda ray, f: ray.remote(f).options(num_cpus=-1), ValueError, "num_cpus must be"),
        (lambda ray, f: ray.remote(f).options(num_returns="dynamic"), ValueError, "one list"),
        (lambda ray, f: ray.remote(f)(), TypeError, r"Write f\.remote"),
        (lambda ray, f: ray.remote(f).remote(1), TypeError, r"f\.remote\(\): too many"),
        (lambda ray, f: ray.remote(f).bind(), tune.TuneError, "graphs of calls"),
        (
            lambda ray, f: ray.remote(f).options(num_cpus=5000).remote(),
            ValueError,
            "can never run: it asks for",
        ),
        (lambda ray, f: ray.remote(type("Model", (), {}))(), tune.TuneError, "no actors"),
        (
            lambda ray, f: ray.remote(num_cpus=1)(type("Model", (), {})).options(x=1).remote(),
            tune.TuneError,
            r"Model\.remote\(\)",
        ),
        (lambda ray, f: ray.kill(f), ValueError, r"ray\.cancel"),
        (lambda ray, f: ray.get_actor("it"), ValueError, "no actors"),
    ],
)
def test_what_cannot_be_is_refused(ray: Any, make: Any, error: type[Exception], text: str) -> None:
    def f() -> None:
        """Does nothing."""

    with pytest.raises(error, match=text):
        make(ray, f)


def test_a_class_may_be_decorated_if_no_actor_is_made(ray: Any) -> None:
    class Model:
        """Learns."""

        @ray.method(num_returns=2)
        def step(self) -> int:
            return 1

    decorated = ray.remote(num_gpus=1)(Model)
    assert decorated.__name__ == "Model" and decorated.__doc__ == "Learns."
    assert Model().step() == 1


def test_an_async_function_is_refused_when_it_is_decorated(ray: Any) -> None:
    async def later() -> None:
        """Does nothing."""

    with pytest.raises(ValueError, match=r"asyncio\.run"):
        ray.remote(later)


def test_trials_call_functions_within_their_resources(ray: Any, tmp_path: Path) -> None:
    @ray.remote
    def square(x: int) -> tuple[int, int]:
        return x * x, os.getpid()

    def train(config: dict[str, Any]) -> None:
        found = ray.get([square.remote(each) for each in range(4)])
        processes = {pid for _, pid in found}
        asked_too_much = False
        try:
            square.options(num_cpus=2).remote(1)
        except ValueError:
            asked_too_much = True
        tune.report(
            {
                "squares": [value for value, _ in found],
                "processes": len(processes - {os.getpid()}),
                "asked_too_much": asked_too_much,
            }
        )

    ray.init(num_cpus=2)
    grid = make_tuner(train, tmp_path, executor=tune.ProcessExecutor(num_cpus=2)).fit()

    assert grid[0].error is None
    metrics: Any = grid[0].metrics
    assert (metrics["squares"], metrics["processes"]) == ([0, 1, 4, 9], 1)
    assert metrics["asked_too_much"]


def test_a_run_in_a_remote_function(ray: Any, tmp_path: Path) -> None:
    @ray.remote(num_cpus=2)
    def sweep(path: str) -> list[int]:
        def train(config: dict[str, Any]) -> None:
            tune.report({"value": config["a"]})

        tuner = tune.Tuner(
            train,
            param_space={"a": tune.grid_search([1, 2])},
            run_config=tune.RunConfig(name="inner", storage_path=path, verbose=0),
        )
        return [(each.metrics or {})["value"] for each in tuner.fit()]

    ray.init(num_cpus=2)
    assert ray.get(sweep.remote(str(tmp_path))) == [1, 2]


def test_arguments_refer_to_values_on_their_way(ray: Any) -> None:
    ref = ray.put("value")
    travelling = calls.Arguments((1, ref), {"named": ref, "nested": [ref]}).travelling()
    args, kwargs = travelling.values()
    assert args == (1, "value") and kwargs == {"named": "value", "nested": [ref]}
    assert travelling.refs() == []
