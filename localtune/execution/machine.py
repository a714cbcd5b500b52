"""What this machine, or the part of it that this process may use, has to offer."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping

_CGROUP = "/sys/fs/cgroup"
# Larger limits mean "none" in the first version of cgroups.
_NO_LIMIT_BYTES = 1 << 60

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
GPU_VARIABLES = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")


def cpu_count() -> int:
    """How many CPUs this process may use: affinity and cgroup quota counted in; at least 1."""
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    quota = _cpu_quota()
    if quota is not None:
        count = min(count, int(quota))
    return max(count, 1)


def memory_bytes() -> int:
    """Memory that this process may use: the machine's, or the cgroup's limit if that is lower."""
    import psutil

    total = int(psutil.virtual_memory().total)
    limits = [
        limit
        for limit in map(
            _read_number,
            (f"{_CGROUP}/memory.max", f"{_CGROUP}/memory/memory.limit_in_bytes"),
        )
        if limit is not None and limit < _NO_LIMIT_BYTES
    ]
    return min([total, *limits])


def gpu_ids(environ: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Names of the GPUs that this process may use, () if there are none.

    Asks the variables that hide GPUs first, then the drivers' own tools; no GPU library is
    imported.
    """
    environ = os.environ if environ is None else environ
    for variable in GPU_VARIABLES:
        visible = environ.get(variable)
        if visible is not None:
            ids = tuple(each.strip() for each in visible.split(",") if each.strip())
            # -1 hides itself and what follows.
            return ids[: ids.index("-1")] if "-1" in ids else ids
    return _nvidia_ids() or _amd_ids()


def thread_environment(cpus: float, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Variables that keep numerical libraries to the CPUs of a trial, unless the user set them."""
    environ = os.environ if environ is None else environ
    threads = str(max(int(cpus), 1))
    return {name: threads for name in THREAD_VARIABLES if name not in environ}


def _cpu_quota() -> float | None:
    """CPUs that the cgroup allows, None without a limit."""
    text = _read(f"{_CGROUP}/cpu.max")
    if text is not None:
        quota, _, period = text.partition(" ")
        return None if quota == "max" else int(quota) / int(period)
    quota_us = _read_number(f"{_CGROUP}/cpu/cpu.cfs_quota_us")
    period_us = _read_number(f"{_CGROUP}/cpu/cpu.cfs_period_us")
    if quota_us is None or period_us is None or quota_us <= 0:
        return None
    return quota_us / period_us


def _nvidia_ids() -> tuple[str, ...]:
    folder = "/proc/driver/nvidia/gpus"
    if os.path.isdir(folder):
        return tuple(str(number) for number in range(len(os.listdir(folder))))
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ()
    output = _run([tool, "--query-gpu=index", "--format=csv,noheader"])
    return tuple(line.strip() for line in output.splitlines() if line.strip().isdigit())


def _amd_ids() -> tuple[str, ...]:
    tool = shutil.which("rocm-smi")
    if tool is None:
        return ()
    output = _run([tool, "--showid", "--csv"])
    cards = sorted({line.split(",")[0] for line in output.splitlines() if line.startswith("card")})
    return tuple(card[len("card") :] for card in cards)


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10.0, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def _read(path: str) -> str | None:
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return None


def _read_number(path: str) -> int | None:
    text = _read(path)
    return int(text) if text is not None and text.lstrip("-").isdigit() else None
