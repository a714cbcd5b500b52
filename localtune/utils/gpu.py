"""Waiting for a GPU that another process still holds."""

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
    """Waits until a GPU's memory is (almost) free.

    Args:
        gpu_id: Index or UUID of the GPU; None is the first that this process may use.
        target_util: Share of the memory in use that counts as free, 0 to 1.
        retry: How often to look.
        delay_s: Seconds between two looks.
        gpu_memory_limit: Memory in use that counts as free, in MiB; in place of ``target_util``.

    Returns:
        True once it is free.

    Raises:
        RuntimeError: if it is not free in time, or the driver's tool is not there.
        ValueError: if there is no such GPU.
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
        f"GPU {wanted} is still in use after {retry} looks, {delay_s:g} s apart: {used_mib:g} of "
        f"{total_mib:g} MiB."
    )


def _first_visible() -> str:
    import os

    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0].strip()
    return visible or "0"


def _memory_of(gpu_id: str) -> tuple[float, float]:
    """(used, total) memory of a GPU in MiB."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        raise RuntimeError("wait_for_gpu needs the driver's tool nvidia-smi, which is not there.")
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
