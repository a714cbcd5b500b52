"""wait_for_gpu, with a stand-in for the driver's tool: this machine may have no GPU."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from localtune.utils import wait_for_gpu


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program ``nvidia-smi`` that prints the first line of its file, then drops it."""
    lines = tmp_path / "lines"
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\nhead -n 1 {lines}\nsed -i 1d {lines}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return lines


def test_it_waits_until_the_memory_is_free(driver: Path) -> None:
    driver.write_text("0, GPU-a, 4000, 8000\n0, GPU-a, 10, 8000\n")
    assert wait_for_gpu(0, delay_s=0.0)
    assert driver.read_text() == ""


def test_it_gives_up_and_says_what_is_in_use(driver: Path) -> None:
    driver.write_text("0, GPU-a, 4000, 8000\n" * 3)
    with pytest.raises(RuntimeError, match="4000 of 8000 MiB"):
        wait_for_gpu("GPU-a", retry=3, delay_s=0.0)


def test_a_limit_in_mib_takes_the_place_of_the_share(driver: Path) -> None:
    driver.write_text("0, GPU-a, 4000, 8000\n")
    assert wait_for_gpu(gpu_memory_limit=5000.0)


def test_an_unknown_gpu_is_an_error_that_names_those_there_are(driver: Path) -> None:
    driver.write_text("0, GPU-a, 10, 8000\n")
    with pytest.raises(ValueError, match="there are: 0"):
        wait_for_gpu(7)


def test_without_the_tool_the_error_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(RuntimeError, match="nvidia-smi"):
        wait_for_gpu(0)
