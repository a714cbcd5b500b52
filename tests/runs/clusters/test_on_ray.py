"""Tests of runs on clusters, on a cluster of Ray, in a process of their own."""

from __future__ import annotations

import faulthandler
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest

from tests.runs.clusters import test_crashes, test_runs, test_survival

pytestmark = pytest.mark.slow

_ROOT = Path(__file__).parents[3]

if find_spec("ray"):

    @pytest.mark.timeout(1200)
    @pytest.mark.parametrize("module", [test_runs, test_crashes, test_survival])
    def test_runs_on_a_cluster_of_ray(tmp_path: Path, module: ModuleType) -> None:
        command = [
            *(sys.executable, "-m", "pytest", "-c", os.devnull, "--rootdir", str(_ROOT)),
            *("--noconftest", "-p", "no:cacheprovider", "--import-mode=importlib", "-q"),
            *("--tb=short", str(module.__file__)),
        ]
        environment = {**os.environ, "PYTHONPATH": str(_ROOT), "LOCALTUNE_TEST_CLUSTER": "ray"}
        # All those tests take longer than one of them may.
        faulthandler.cancel_dump_traceback_later()
        # Ray lets nodes import modules from the directory where the script was started.
        run = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, run.stdout[-10_000:] + run.stderr[-2_000:]
