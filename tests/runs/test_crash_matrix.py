"""Where user code fails, times how: which error, which state, on every executor.

Those of clusters are in ``clusters/test_crashes.py``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import localtune as tune
from localtune.testing.chaos import EXIT_CODE, FAULTS
from tests.runs.crashes import CHECKS, MakeExecutor

EXECUTORS: dict[str, MakeExecutor] = {
    "template": lambda: tune.ProcessExecutor(num_cpus=1, start_method="template"),
    "spawn": lambda: tune.ProcessExecutor(num_cpus=1, start_method="spawn"),
    "portable": lambda: tune.ProcessExecutor(num_cpus=1, start_method="portable"),
    "inprocess": lambda: "inprocess",
}
# Faults that a parent survives which shares its process with the trials.
SURVIVABLE = ("raise", "sys.exit")
CASES = [
    (place, executor, fault)
    for place in CHECKS
    for executor in EXECUTORS
    for fault in (SURVIVABLE if executor == "inprocess" else FAULTS)
]


@pytest.mark.parametrize(("place", "executor", "fault"), CASES)
def test_a_fault_has_the_consequences_of_its_place(
    tmp_path: Path, place: str, executor: str, fault: str
) -> None:
    CHECKS[place](tmp_path, EXECUTORS[executor], fault)


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault not in SURVIVABLE])
def test_in_one_process_a_crash_ends_the_parent_as_it_would_a_script(
    tmp_path: Path, fault: str
) -> None:
    script = (
        "import localtune as tune\n"
        "from localtune.testing.chaos import ChaosTrainable\n"
        f"tune.Tuner(ChaosTrainable, param_space={{'place': 'step', 'fault': {fault!r}}},\n"
        f"    run_config=tune.RunConfig(storage_path={str(tmp_path)!r}, verbose=0),\n"
        "    executor='inprocess').fit()\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, timeout=60.0
    )
    codes = {"os._exit": EXIT_CODE, "segfault": -11, "abort": -6, "SIGKILL": -9}
    assert done.returncode == codes[fault]
