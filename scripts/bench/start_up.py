"""Processor time of ``python sweep.py`` with one trivial trial, with all of its processes.

The floor is an interpreter that imports psutil, cloudpickle, filelock and sqlite3. The second line
gives the same time in bare interpreters.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

from _common import in_turn, median_ratio, middle, options, scratch_dir, verdict

TARGET = 1.7
LIBRARIES = "import psutil, cloudpickle, filelock, sqlite3"

SCRIPT = """
import localtune as tune

def report_once(config):
    tune.report({{"score": config["x"]}})

if __name__ == "__main__":
    tune.Tuner(
        report_once,
        param_space={{"x": tune.uniform(0, 1)}},
        run_config=tune.RunConfig(storage_path={directory!r}, verbose=0),
    ).fit()
"""


def cpu_ms(*arguments: str) -> float:
    """Milliseconds of processor time of an interpreter, and of what it starts and waits for."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds * 1000


def main() -> None:
    given = options(__doc__, rounds=20)
    with scratch_dir() as directory:
        script = Path(directory, "sweep.py")
        script.write_text(SCRIPT.format(directory=str(directory)), encoding="utf-8")
        bare, floor, sweep = in_turn(
            given.rounds,
            lambda: cpu_ms("-c", "pass"),
            lambda: cpu_ms("-c", LIBRARIES),
            lambda: cpu_ms(str(script)),
        )
    verdict(
        "processor time of a sweep of one trial / libraries",
        median_ratio(sweep, floor),
        at_most=TARGET,
        detail=f"{middle(sweep, 'ms')}; libraries {middle(floor, 'ms')}; "
        f"{median_ratio(sweep, bare):.1f} bare interpreters of {middle(bare, 'ms')}",
    )


if __name__ == "__main__":
    main()
