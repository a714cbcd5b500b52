"""A run on a real terminal: started by a test as a program of its own."""

from __future__ import annotations

import sys

from localtune.testing import ManualClock
from tests.progress_reporter.runs import Run


def main(trials: int) -> None:
    run = Run(stream=sys.stdout, clock=ManualClock(), environ={"TERM": "xterm-256color"})
    run.setup(total_num_samples=trials)
    for number in range(trials):
        trial = run.start()
        run.step(0.5)
        run.result(trial, 1, loss=1 / (number + 2))
        run.step(0.5)
        if number == 3:
            run.fail(trial)
        else:
            run.finish(trial)
        run.step(0.5)
        if number == 5:
            print("from a callback")
    run.end()
    print("printed after the run")


if __name__ == "__main__":
    main(int(sys.argv[1]))
