"""Samples the load of the machine while a trainable works."""

from __future__ import annotations

import threading

_GPU_QUERY = (
    "nvidia-smi",
    "--query-gpu=index,utilization.gpu,memory.used,memory.total",
    "--format=csv,noheader,nounits",
)
# Bounds the wait for a driver that hangs.
_GPU_QUERY_TIMEOUT_S = 5.0


class UtilMonitor:
    """Samples the use of CPU, memory and GPUs in a background thread.

    Args:
        start: Whether to sample. If False, :meth:`get_data` always returns an empty dict.
        delay: Seconds between two samples.

    Example:
        >>> monitor = UtilMonitor(start=False)
        >>> monitor.get_data()
        {}
        >>> monitor.stop()
    """

    def __init__(self, start: bool = True, delay: float = 0.7) -> None:
        self._delay = delay
        self._lock = threading.Lock()
        self._samples: dict[str, list[float]] = {}
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        if start:
            self._thread = threading.Thread(
                target=self._run, name="localtune-util-monitor", daemon=True
            )
            self._thread.start()

    def get_data(self) -> dict[str, float]:
        """Returns the means of the samples since the last call.

        Returns:
            ``cpu_util_percent``, ``ram_util_percent`` and, for each NVIDIA GPU,
            ``gpu_util_percent<id>`` and ``vram_util_percent<id>``; all from 0 to 100. Empty if
            there is no new sample.
        """
        with self._lock:
            samples, self._samples = self._samples, {}
        return {name: sum(values) / len(values) for name, values in samples.items()}

    def stop(self) -> None:
        """Ends the sampling and waits until the thread has ended."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        import psutil

        has_gpu_tool = _has_gpu_tool()
        psutil.cpu_percent()  # Starts the interval that the first sample ends.
        while not self._stopping.wait(self._delay):
            sample = {
                "cpu_util_percent": psutil.cpu_percent(),
                "ram_util_percent": psutil.virtual_memory().percent,
            }
            if has_gpu_tool:
                sample.update(parse_gpu_usage(_query_gpus()))
            with self._lock:
                for name, value in sample.items():
                    self._samples.setdefault(name, []).append(value)


def parse_gpu_usage(text: str) -> dict[str, float]:
    """Parses the output of ``nvidia-smi``: index, use, used memory, total memory.

    Args:
        text: One line for each GPU, with values separated by commas and without units. Lines
            in which the driver does not report a value are ignored.

    Returns:
        ``gpu_util_percent<id>`` and ``vram_util_percent<id>`` for each GPU, 0 to 100.

    Example:
        >>> parse_gpu_usage("0, 50, 1024, 4096")
        {'gpu_util_percent0': 50.0, 'vram_util_percent0': 25.0}
    """
    usage = {}
    for line in text.splitlines():
        index, *cells = (cell.strip() for cell in line.split(","))
        try:
            busy, used, total = (float(cell) for cell in cells)
        except ValueError:
            continue
        usage[f"gpu_util_percent{index}"] = busy
        usage[f"vram_util_percent{index}"] = 100.0 * used / total
    return usage


def _has_gpu_tool() -> bool:
    import shutil

    return shutil.which(_GPU_QUERY[0]) is not None


def _query_gpus() -> str:
    import subprocess

    try:
        done = subprocess.run(
            _GPU_QUERY,
            capture_output=True,
            text=True,
            timeout=_GPU_QUERY_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
