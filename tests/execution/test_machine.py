"""CPUs, GPUs and threads, as this machine or a stand-in shows them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from localtune.execution import machine
from localtune.execution.local_slots import declared_resources
from tests.runs.lifecycle.programs import run_for_json


def test_affinity_limits_the_cpus(tmp_path: Path) -> None:
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "import localtune as tune; from localtune.execution import machine\n"
        "print([machine.cpu_count(), tune.ProcessExecutor().resources()['CPU']])"
    )
    assert run_for_json(["-c", code], tmp_path) == [1, 1.0]


@pytest.mark.parametrize(
    ("environ", "ids"),
    [
        ({"CUDA_VISIBLE_DEVICES": "0,1"}, ("0", "1")),
        ({"CUDA_VISIBLE_DEVICES": " 2 , 0 "}, ("2", "0")),
        ({"CUDA_VISIBLE_DEVICES": ""}, ()),
        ({"CUDA_VISIBLE_DEVICES": "-1"}, ()),
        ({"CUDA_VISIBLE_DEVICES": "0,-1,1"}, ("0",)),
        ({"CUDA_VISIBLE_DEVICES": "0,-2,1"}, ("0",)),
        ({"CUDA_VISIBLE_DEVICES": "NoDevFiles"}, ()),
        ({"CUDA_VISIBLE_DEVICES": "GPU-8932f937,MIG-4b2c"}, ("GPU-8932f937", "MIG-4b2c")),
        ({"HIP_VISIBLE_DEVICES": "1"}, ("1",)),
        ({"CUDA_VISIBLE_DEVICES": "3", "HIP_VISIBLE_DEVICES": "1"}, ("3",)),
    ],
)
def test_variables_say_which_gpus_are_there(environ: dict[str, str], ids: tuple[str, ...]) -> None:
    assert machine.gpu_ids(environ) == ids


def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, script: str) -> None:
    """Puts a program in front of all others."""
    path = tmp_path / "bin" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!{sys.executable}\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{path.parent}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.parametrize(
    ("script", "ids"),
    [
        ("print('0\\n1')", ("0", "1")),
        ("print('No devices were found')", ()),
        ("raise SystemExit(9)", ()),
        ("import sys; assert sys.argv[1] == '--query-gpu=index'; print(0)", ("0",)),
    ],
)
def test_without_the_driver_files_its_tool_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, ids: tuple[str, ...]
) -> None:
    stand_in(tmp_path, monkeypatch, "nvidia-smi", script)
    assert machine.nvidia_ids(str(tmp_path / "no driver")) == ids


def test_a_tool_that_cannot_be_run_shows_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path, monkeypatch, "nvidia-smi", "")
    (tmp_path / "bin" / "nvidia-smi").write_text("#!/no/such/interpreter\n")
    assert machine.nvidia_ids(str(tmp_path / "no driver")) == ()


def test_without_driver_and_tool_there_are_no_gpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.nvidia_ids(str(tmp_path / "no driver")) == ()


def test_the_driver_files_are_counted(tmp_path: Path) -> None:
    for name in ("0000:01:00.0", "0000:02:00.0"):
        (tmp_path / name).mkdir()
    assert machine.nvidia_ids(str(tmp_path)) == ("0", "1")


def test_the_tool_of_amd_is_asked_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, "nvidia-smi", "raise SystemExit(9)")
    stand_in(tmp_path, monkeypatch, "rocm-smi", "print('device,ID\\ncard0,x\\ncard1,y')")
    nvidia = machine.nvidia_ids()
    assert machine.gpu_ids({}) == (nvidia or ("0", "1"))


@pytest.mark.parametrize(("cpus", "threads"), [(0, "1"), (0.5, "1"), (1, "1"), (2.9, "2")])
def test_threads_follow_the_cpus_of_a_trial(cpus: float, threads: str) -> None:
    assert machine.thread_environment(cpus, {}) == dict.fromkeys(machine.THREAD_VARIABLES, threads)


def test_thread_variables_of_the_user_are_left_alone() -> None:
    limits = machine.thread_environment(2, {"OMP_NUM_THREADS": "8"})
    assert "OMP_NUM_THREADS" not in limits
    assert limits["MKL_NUM_THREADS"] == "2"


def test_the_resources_are_those_that_the_user_declares() -> None:
    resources, gpu_ids = declared_resources(3, 1.5, {"licence": 2, "memory": 1000})
    assert resources == {"CPU": 3.0, "GPU": 1.5, "licence": 2.0, "memory": 1000.0}
    assert len(gpu_ids) == 2


def test_gpus_that_no_driver_shows_get_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5")
    assert declared_resources(1, None, None)[1] == ("5",)
    assert declared_resources(1, 0, None)[1] == ()
    assert len(set(declared_resources(1, 3, None)[1])) == 3


def test_the_memory_is_the_machines_unless_given() -> None:
    assert declared_resources(1, 0, None)[0]["memory"] == machine.memory_bytes()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((-1, None, None), "num_cpus must be at least 0"),
        ((float("nan"), None, None), "num_cpus must be at least 0"),
        ((1, -0.5, None), "num_gpus must be at least 0"),
        ((1, 0, {"licence": -1}), "resources['licence'] must be a number of at least 0"),
        ((1, 0, {"x": "y"}), "resources['x'] must be a number of at least 0, but got 'y'"),
        ((1, 0, {"x": None}), "resources['x'] must be a number of at least 0, but got None"),
        ((1, 0, {3: 1}), "resources must have texts as names, but got 3"),
        ((1, 0, ["x"]), "resources must be a dict of names and amounts, but got ['x']"),
        (("2", 0, None), "num_cpus must be at least 0, or None to detect, but got '2'"),
        ((1, 0, {"cpu": 1}), "pass it as num_cpus"),
        ((1, 0, {"GPU": 1}), "pass it as num_gpus"),
    ],
)
def test_an_amount_that_makes_no_sense_is_refused(
    arguments: tuple[float, float, dict[str, float]], text: str
) -> None:
    with pytest.raises(ValueError) as caught:
        declared_resources(*arguments)
    assert text in str(caught.value)
