"""Reading a large experiment, against a plain SQL read of its trials into tuples.

Each command, call and floor runs in an interpreter of its own; all of its CPU time counts. The
commands `ls`, `best` and `show --top` must not take longer for more trials: they are also compared
with themselves on an experiment of 1,000 trials.

The floor reads all columns of all trials, as whoever wants all of them must. That of the three
commands reads ids, states and values only: the least that a program without an index would read.
The data frame counts from where its trials are on hand (`restore` has read them) and pandas is
loaded; its floor reads the rows in the same process. The experiment is made, not run: see
`_large.py`.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import textwrap
from functools import partial
from pathlib import Path

from _common import in_turn, median_ratio, middle, options, scratch_dir, verdict
from _large import make_large

FEW = 1_000
LEAST = "trial_id, status, value"
ALL = "trial_id, number, run, status, dirname, value, origin, progress"

FLOOR = """
    import sqlite3
    rows = sqlite3.connect({database!r}).execute("SELECT {columns} FROM trials").fetchall()
"""
RESTORE = """
    from _trainables import Reusable
    import localtune as tune
    tuner = tune.Tuner.restore({path!r}, Reusable)
"""
RESULTS = RESTORE + "    results = tuner.get_results()\n"
FRAME = """
    import sqlite3, time
    import pandas
    from _trainables import Reusable
    import localtune as tune
    results = tune.Tuner.restore({path!r}, Reusable).get_results()
    begin = time.process_time()
    rows = sqlite3.connect({database!r}).execute("SELECT {columns} FROM trials").fetchall()
    floor = time.process_time() - begin
    del rows
    begin = time.process_time()
    results.get_dataframe()
    print((time.process_time() - begin) / floor)
"""


def cpu_of(arguments: list[str]) -> float:
    """CPU time of a process and of those that it has waited for, in seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL, env=_environment())
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _environment() -> dict[str, str]:
    here = os.path.dirname(__file__)
    return {**os.environ, "PYTHONPATH": f"{here}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}


def _script(text: str, path: Path, columns: str = ALL) -> list[str]:
    database = str(path / "experiment.db")
    code = textwrap.dedent(text).format(path=str(path), database=database, columns=columns)
    return [sys.executable, "-c", code]


def _command(name: str, path: Path) -> list[str]:
    arguments = {
        "ls": ["ls", str(path.parent)],
        "best": ["best", str(path)],
        "show --top 20": ["show", str(path), "--top", "20"],
    }
    return [sys.executable, "-m", "localtune", *arguments[name]]


def measure(rounds: int, few: Path, many: Path, trials: int) -> None:
    """Prints a line for each claim."""

    def against(name: str, subject: list[str], floor: list[str]) -> None:
        times, floors = in_turn(rounds, partial(cpu_of, subject), partial(cpu_of, floor))
        verdict(
            f"CPU of {name}, {trials:,} trials / SQL read",
            median_ratio(times, floors),
            at_most=3.0,
            detail=f"{middle(times, 's', 2)}; floor {middle(floors, 's', 2)}",
        )

    for name in ("ls", "best", "show --top 20"):
        against(name, _command(name, many), _script(FLOOR, many, LEAST))
    for name in ("ls", "best", "show --top 20"):
        times, floors = in_turn(
            rounds, *(partial(cpu_of, _command(name, path)) for path in (many, few))
        )
        verdict(f"CPU of {name}, / with {FEW:,} trials", median_ratio(times, floors), at_most=1.2)
    against("Tuner.restore", _script(RESTORE, many), _script(FLOOR, many))
    against("restore and get_results", _script(RESULTS, many), _script(FLOOR, many))
    ratios = [_frame_ratio(many) for _ in range(rounds)]
    verdict(
        f"CPU of the data frame, {trials:,} trials / SQL read",
        statistics.median(ratios),
        at_most=6.0,
    )


def _frame_ratio(path: Path) -> float:
    done = subprocess.run(
        _script(FRAME, path), check=True, capture_output=True, text=True, env=_environment()
    )
    return float(done.stdout)


def main() -> None:
    given = options(__doc__, trials=100_000, rounds=5)
    with scratch_dir() as directory:
        few = make_large(directory / "few", FEW)
        many = make_large(directory / "many", given.trials)
        measure(given.rounds, few, many, given.trials)


if __name__ == "__main__":
    main()
