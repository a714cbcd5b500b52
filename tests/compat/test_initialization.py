"""Tests of localtune.compat.initialization: the limits of ray.init, and what the machine has."""
# mypy: disable-error-code=untyped-decorator

from __future__ import annotations

import inspect
import json
import os
from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.compat import cluster
from localtune.execution.default import default_executor
from tests.small_runs import make_tuner

# Names of parameters, as scripts write them.
PARAMETERS = {
    "cancel": "ray_waitable force recursive",
    "get": "object_refs timeout",
    "get_actor": "name namespace",
    "init": "address num_cpus num_gpus resources labels object_store_memory local_mode "
    "ignore_reinit_error include_dashboard dashboard_host dashboard_port job_config "
    "configure_logging logging_level logging_format logging_config log_to_driver namespace "
    "runtime_env storage enable_resource_isolation system_reserved_cpu system_reserved_memory "
    "kwargs",
    "kill": "actor no_restart",
    "method": "args kwargs",
    "put": "value _owner",
    "remote": "args kwargs",
    "shutdown": "_exiting_interpreter",
    "timeline": "filename",
    "wait": "ray_waitables num_returns timeout fetch_local",
}


def test_one_call_begins_what_shutdown_ends(ray: Any, tmp_path: Path) -> None:
    assert not ray.is_initialized()
    ray.shutdown()
    for function in (ray.cluster_resources, ray.nodes, ray.timeline):
        with pytest.raises(ray.exceptions.RaySystemError, match=r"ray\.init\(\)"):
            function()

    # Arguments of several releases.
    context = ray.init(
        num_cpus=3,
        num_gpus=2,
        resources={"license": 1},
        memory=2**30,
        object_store_memory=10**9,
        redis_max_memory=10**9,
        webui_host="127.0.0.1",
        temp_dir="/nowhere",
        _temp_dir="/nowhere",
        include_dashboard=False,
        log_to_driver=False,
    )

    assert ray.is_initialized() and ray.ObjectID is ray.ObjectRef
    with pytest.raises(RuntimeError, match="ignore_reinit_error=True"):
        ray.init(num_cpus=1)
    assert ray.init(num_cpus=1, ignore_reinit_error=True)["node_id"] == context["node_id"]
    assert context["node_ip_address"] == context.address_info["node_ip_address"]
    assert {**context} == context.address_info and len(context) == len(context.address_info)
    assert context.dashboard_url == context["webui_url"] == "" and "ray_version" in repr(context)
    resources = ray.cluster_resources()
    assert resources.items() >= {"CPU": 3, "GPU": 2, "license": 1, "memory": 2**30}.items()
    assert [name for name in resources if name.startswith("node:1")] == ["node:127.0.0.1"]
    assert ray.available_resources() == resources
    (node,) = ray.nodes()
    assert node["Alive"] and node["Resources"] == resources
    assert ray.timeline() == []
    ray.timeline(str(tmp_path / "trace.json"))
    assert json.loads((tmp_path / "trace.json").read_text()) == []
    directory = context["session_dir"]
    assert os.path.isdir(directory)

    with context:
        pass

    assert not ray.is_initialized() and not os.path.exists(directory)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"num_cpus": -1}, ValueError, "num_cpus must be at least 0"),
        ({"num_cpus": "2"}, ValueError, "num_cpus must be"),
        ({"num_gpus": 0.5}, ValueError, "num_gpus must be a whole number"),
        ({"resources": ["license"]}, ValueError, "resources must be a dict"),
        ({"resources": {"CPU": 1}}, ValueError, "pass it as num_cpus"),
        ({"resources": {"license": -1}}, ValueError, r"resources\['license'\]"),
        ({"memory": "much"}, ValueError, r"resources\['memory'\]"),
        ({"address": "ray://head:10001"}, ConnectionError, "this machine only"),
        ({"address": "10.0.0.1:6379"}, ConnectionError, "Leave the address out"),
        ({"redis_address": "10.0.0.1:6379"}, ConnectionError, "10.0.0.1:6379"),
        ({"runtime_env": "here"}, ValueError, "runtime_env must be a dict"),
        ({"runtime_env": {"env_vars": {"A": 1}}}, ValueError, "'A': 1"),
        ({"runtime_env": {"working_dir": "s3://b/x.zip"}}, ValueError, "local directory"),
        ({"num_cpu": 2}, RuntimeError, "Is it 'num_cpus'"),
        ({"_nonsense_": 2}, RuntimeError, "no argument '_nonsense_'"),
    ],
)
def test_bad_arguments_are_refused_before_anything_begins(
    ray: Any, arguments: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        ray.init(**arguments)
    assert not ray.is_initialized()


def test_addresses_of_this_machine_are_accepted(ray: Any) -> None:
    for address in (None, "auto", "local"):
        ray.init(address)
        ray.shutdown()


def test_runs_stay_within_the_limits(
    ray: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("localtune.execution.default.make", _make_executor)
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "only_in_lib.py").write_text("x = 5")
    begun = ray.init(
        num_cpus=1,
        num_gpus=1,
        runtime_env={"env_vars": {"GREETING": "hello"}, "working_dir": str(tmp_path / "lib")},
    )
    seen: list[dict[str, float]] = []

    def train(config: dict[str, Any]) -> None:
        import only_in_lib  # type: ignore[import-not-found]

        context = ray.get_runtime_context()
        tune.report(
            {
                "greeting": os.environ["GREETING"],
                "x": only_in_lib.x,
                "gpus": ray.get_gpu_ids(),
                "cpus": ray.cluster_resources()["CPU"],
                "mode": context.worker.mode,
                "assigned": context.get_assigned_resources(),
                "env": context.runtime_env["env_vars"],
                "directory": ray.init(num_cpus=8)["session_dir"],
            }
        )

    class Look(tune.Callback):
        def on_trial_result(self, iteration, trials, trial, result, **info):  # type: ignore[no-untyped-def]
            seen.append(ray.available_resources())

    grid: Any = make_tuner(
        tune.with_resources(train, {"cpu": 1, "gpu": 0.5}),
        tmp_path,
        {"a": tune.grid_search([1, 2])},
        executor=None,
        callbacks=[Look()],
    ).fit()

    expected = {
        "greeting": "hello",
        "x": 5,
        "gpus": [0],
        "cpus": 1.0,
        "mode": ray.WORKER_MODE,
        "assigned": {"CPU": 1.0, "GPU": 0.5},
        "env": {"GREETING": "hello"},
        # A second call in a worker has no effect.
        "directory": begun["session_dir"],
    }
    assert [each.error for each in grid] == [None, None]
    assert [{name: each.metrics[name] for name in expected} for each in grid] == [expected] * 2
    # One trial at a time: there is one CPU.
    assert [("CPU" in each, each["GPU"]) for each in seen] == [(False, 0.5)] * 2
    assert ray.available_resources()["CPU"] == 1.0 and ray.get_gpu_ids() == []


def test_a_run_begins_it_and_local_mode_runs_in_this_process(
    ray: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("localtune.execution.default.make", _make_executor)

    def train(config: dict[str, Any]) -> None:
        tune.report({"pid": os.getpid(), "value": ray.get(double.remote(config["value"]))})

    @ray.remote
    def double(x: int) -> tuple[int, int]:
        return 2 * x, os.getpid()

    assert isinstance(default_executor(), tune.ProcessExecutor) and ray.is_initialized()
    ray.shutdown()
    ray.init(local_mode=True)
    space = {"a": tune.grid_search([1, 2]), "value": ray.put(4)}

    grid: Any = make_tuner(train, tmp_path, space, executor=None).fit()

    assert [each.metrics["value"] for each in grid] == [(8, os.getpid())] * 2
    assert {each.metrics["pid"] for each in grid} == {os.getpid()}
    assert ray.get_runtime_context().worker.mode == ray.LOCAL_MODE


def _make_executor() -> Any:
    return cluster.ensure().make_executor()


@pytest.mark.parametrize("name", PARAMETERS)
def test_functions_take_the_parameters_that_scripts_write(ray: Any, name: str) -> None:
    assert inspect.signature(getattr(ray, name)).parameters.keys() >= set(PARAMETERS[name].split())
