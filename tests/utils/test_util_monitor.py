from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from localtune.utils.util_monitor import UtilMonitor, parse_gpu_usage


@pytest.fixture
def monitor() -> Iterator[UtilMonitor]:
    monitor = UtilMonitor(delay=0.001)
    yield monitor
    monitor.stop()


def first_data(monitor: UtilMonitor) -> dict[str, float]:
    while not (data := monitor.get_data()):
        continue
    return data


def test_cpu_and_memory_are_sampled(monitor: UtilMonitor) -> None:
    data = first_data(monitor)
    assert {"cpu_util_percent", "ram_util_percent"} <= data.keys()
    assert 0 < data["ram_util_percent"] <= 100
    assert all(0 <= value <= 100 for value in data.values())


def test_reading_starts_the_mean_anew(monitor: UtilMonitor) -> None:
    monitor.stop()
    monitor._samples = {"cpu_util_percent": [10.0, 20.0, 60.0]}
    assert monitor.get_data() == {"cpu_util_percent": 30.0}
    assert monitor.get_data() == {}


def test_stop_ends_the_thread_and_may_be_repeated(monitor: UtilMonitor) -> None:
    names = [thread.name for thread in threading.enumerate()]
    assert names.count("localtune-util-monitor") == 1
    monitor.stop()
    monitor.stop()
    assert "localtune-util-monitor" not in [thread.name for thread in threading.enumerate()]


def test_a_monitor_that_is_not_started_has_no_data() -> None:
    monitor = UtilMonitor(start=False)
    assert monitor.get_data() == {}
    monitor.stop()


@pytest.fixture
def gpu_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that stands for the driver's; the first one found."""
    path = tmp_path / "nvidia-smi"
    path.write_text("#!/bin/sh\necho '0, 35, 20000, 80000'\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    return path


def test_gpus_are_sampled(gpu_tool: Path) -> None:
    monitor = UtilMonitor(delay=0.001)
    data = first_data(monitor)
    monitor.stop()
    assert (data["gpu_util_percent0"], data["vram_util_percent0"]) == (35.0, 25.0)


@pytest.mark.parametrize("script", ["#!/bin/sh\nexit 9\n", "#!/does/not/exist\n"])
def test_a_failing_driver_does_no_harm(gpu_tool: Path, script: str) -> None:
    gpu_tool.write_text(script)
    monitor = UtilMonitor(delay=0.001)
    data = first_data(monitor)
    monitor.stop()
    assert data.keys() == {"cpu_util_percent", "ram_util_percent"}


def test_gpus_are_read() -> None:
    text = "0, 35, 20000, 80000\n3, 0, 0, 16384\n"
    assert parse_gpu_usage(text) == {
        "gpu_util_percent0": 35.0,
        "vram_util_percent0": 25.0,
        "gpu_util_percent3": 0.0,
        "vram_util_percent3": 0.0,
    }


@pytest.mark.parametrize("text", ["", "\n", "no devices were found", "0, [N/A], 1, 2", "0, 1"])
def test_what_the_driver_does_not_tell_is_left_out(text: str) -> None:
    assert parse_gpu_usage(text) == {}
