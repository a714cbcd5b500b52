"""The resources of this machine, as far as this process may use them."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Mapping

from localtune.execution.process.cgroup import Cgroup

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
GPU_VARIABLES = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")


def cpu_count(cgroup: Cgroup | None = None) -> int:
    """Returns how many CPUs affinity and cgroup quota let this process use, at least 1.

    Args:
        cgroup: The control groups; None is this process's own.
    """
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    limit = (cgroup or Cgroup()).cpu_limit()
    if limit is not None:
        count = min(count, int(limit))
    return max(count, 1)


def memory_bytes(cgroup: Cgroup | None = None) -> int:
    """Returns the memory of the machine, or the cgroup's limit if that is lower.

    Args:
        cgroup: The control groups; None is this process's own.
    """
    total = _memory("MemTotal", "total")
    limit = (cgroup or Cgroup()).memory_limit()
    return total if limit is None else min(total, limit)


def memory_left_bytes(cgroup: Cgroup | None = None) -> int:
    """Returns the memory that is left on the machine, or in the cgroup if that is less.

    Args:
        cgroup: The control groups; None is this process's own.
    """
    left = _memory("MemAvailable", "available")
    limit = (cgroup or Cgroup()).memory_left()
    return left if limit is None else max(min(left, limit), 0)


def _memory(name: str, portable_name: str, path: str = "/proc/meminfo") -> int:
    """Returns a figure on the machine's memory, in bytes.

    Args:
        name: Its name in the kernel's table.
        portable_name: Its name in psutil, which takes longer to import than a run to start.
        path: The kernel's table.
    """
    with contextlib.suppress(OSError), open(path, encoding="ascii") as file:
        for line in file:
            key, _, rest = line.partition(":")
            if key == name:
                return int(rest.split()[0]) * 1024
    import psutil

    return int(getattr(psutil.virtual_memory(), portable_name))


def oom_kill_count(cgroup: Cgroup | None = None) -> int:
    """Returns how many processes the kernel has killed for lack of memory; 0 if it is not known.

    Args:
        cgroup: The control groups; None is this process's own.
    """
    count = (cgroup or Cgroup()).oom_kill_count()
    if count is not None:
        return count
    with contextlib.suppress(OSError), open("/proc/vmstat", encoding="ascii") as file:
        for line in file:
            name, _, number = line.partition(" ")
            if name == "oom_kill":
                return int(number)
    return 0


def gpu_ids(environ: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Returns the names of the GPUs that this process may use.

    They come from the variables that hide GPUs, else from the drivers' tools. No GPU library is
    imported.

    Args:
        environ: Environment that has the variables; None is this process's own.
    """
    environ = os.environ if environ is None else environ
    for variable in GPU_VARIABLES:
        visible = environ.get(variable)
        if visible is not None:
            ids = [each.strip() for each in visible.split(",") if each.strip()]
            return tuple(itertools.takewhile(_names_a_gpu, ids))
    return nvidia_ids() or _amd_ids()


def thread_environment(cpus: float, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Returns the variables that limit numerical libraries to the CPUs of a trial.

    Args:
        cpus: Number of CPUs of the trial.
        environ: Environment whose variables are left as they are; None is this process's own.
    """
    environ = os.environ if environ is None else environ
    threads = str(max(int(cpus), 1))
    return {name: threads for name in THREAD_VARIABLES if name not in environ}


def _names_a_gpu(name: str) -> bool:
    """Returns whether an entry names a GPU; any other hides itself and all after it."""
    return not name.startswith("-") and name != "NoDevFiles"


def nvidia_ids(driver_dir: str = "/proc/driver/nvidia/gpus") -> tuple[str, ...]:
    """Returns the names of all GPUs that NVIDIA's driver shows.

    Args:
        driver_dir: Directory in which the driver lists them; without it, ``nvidia-smi`` is asked.
    """
    if os.path.isdir(driver_dir):
        return tuple(str(number) for number in range(len(os.listdir(driver_dir))))
    import shutil

    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ()
    output = _run([tool, "--query-gpu=index", "--format=csv,noheader"])
    return tuple(line.strip() for line in output.splitlines() if line.strip().isdigit())


def _amd_ids() -> tuple[str, ...]:
    import shutil

    tool = shutil.which("rocm-smi")
    if tool is None:
        return ()
    output = _run([tool, "--showid", "--csv"])
    cards = sorted({line.split(",")[0] for line in output.splitlines() if line.startswith("card")})
    return tuple(card[len("card") :] for card in cards)


def _run(command: list[str]) -> str:
    import subprocess

    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10.0, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
