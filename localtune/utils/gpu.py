"""Waits for a GPU whose memory another process still uses."""

from __future__ import annotations

import shutil
import subprocess
import time


def wait_for_gpu(
    gpu_id: int | str | None = None,
    target_util: float = 0.01,
    retry: int = 20,
    delay_s: float = 5,
    gpu_memory_limit: float | None = None,
) -> bool:
    """Waits until the memory of a GPU is (almost) free.

    Args:
        gpu_id: Index or UUID of the GPU; None is the first one that this process may use.
        target_util: Largest used share of the memory that counts as free, 0 to 1.
        retry: Number of checks.
        delay_s: Seconds between two checks.
        gpu_memory_limit: Largest used memory that counts as free, in MiB; replaces ``target_util``.

    Returns:
        True as soon as the memory is free.

    Raises:
        RuntimeError: if the memory is not free after the last check, or ``nvidia-smi`` is missing.
        ValueError: for a GPU that does not exist.
    """
    wanted = _first_visible() if gpu_id is None else str(gpu_id)
    for attempt in range(max(retry, 1)):
        if attempt:
            time.sleep(delay_s)
        used_mib, total_mib = _memory_of(wanted)
        limit_mib = target_util * total_mib if gpu_memory_limit is None else gpu_memory_limit
        if used_mib <= limit_mib:
            return True
    raise RuntimeError(
        f"GPU {wanted} is still in use after {retry} checks, {delay_s:g} s apart: {used_mib:g} of "
        f"{total_mib:g} MiB."
    )


def _first_visible() -> str:
    import os

    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0].strip()
    return visible or "0"


def _memory_of(gpu_id: str) -> tuple[float, float]:
    """Returns (used, total) memory of a GPU in MiB."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        raise RuntimeError(
            "wait_for_gpu needs the driver's program nvidia-smi, but PATH does not contain it."
        )
    query = "--query-gpu=index,uuid,memory.used,memory.total"
    done = subprocess.run(
        [tool, query, "--format=csv,noheader,nounits"],
        capture_output=True,
        text=True,
        timeout=60.0,
        check=False,
    )
    known = []
    for line in done.stdout.splitlines():
        index, uuid, used, total = (cell.strip() for cell in line.split(","))
        known.append(index)
        if gpu_id in (index, uuid):
            return float(used), float(total)
    raise ValueError(f"There is no GPU {gpu_id!r}; there are: {', '.join(known) or 'none'}.")
