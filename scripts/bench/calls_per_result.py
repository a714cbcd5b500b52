"""Python calls that one result costs the parent of a run, and over how many files they spread.

Subject: a function that reports in a loop. Both result files are written. Calls of Python
functions of localtune are counted between two results in the middle of the run. Calls of built-in
functions and of the standard library are not counted, nor are comprehensions: newer versions of
Python run them without a call. The count does not depend on the machine.

``--list 1`` prints the calls of the median result.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from types import FrameType
from typing import Any

from _common import options, sweep, verdict

import localtune as tune

TARGET = 108
_PACKAGE = os.path.dirname(tune.__file__) + os.sep


class CallCounter(tune.Callback):
    """Counts the calls from each result to the next one.

    Attributes:
        counts: {(file, function): calls} of each interval, in order.
    """

    def __init__(self) -> None:
        self.counts: list[Counter[tuple[str, str]]] = []

    def on_trial_result(self, *args: Any, **info: Any) -> None:
        self.counts.append(Counter())
        sys.setprofile(self._count)

    def on_trial_complete(self, *args: Any, **info: Any) -> None:
        sys.setprofile(None)

    def _count(self, frame: FrameType, event: str, argument: object) -> None:
        code = frame.f_code
        is_function = not code.co_name.startswith("<") or code.co_name == "<lambda>"
        if event == "call" and is_function and code.co_filename.startswith(_PACKAGE):
            self.counts[-1][code.co_filename.removeprefix(_PACKAGE), code.co_name] += 1


def calls_per_result(iterations: int = 100) -> Counter[tuple[str, str]]:
    """The calls of the median interval of a run.

    Args:
        iterations: How many results the run has.
    """

    def report_often(config: dict[str, Any]) -> None:
        for step in range(iterations):
            tune.report({"score": config["x"] * step})

    counter = CallCounter()
    sweep(report_often, 1, slots=1, callbacks=[counter])
    # At its ends, a run also starts and ends a trial.
    steady = counter.counts[10:-10]
    return sorted(steady, key=lambda each: each.total())[len(steady) // 2]


def main() -> None:
    given = options(__doc__, iterations=100, list=0)
    calls = calls_per_result(given.iterations)
    files = {file for file, _ in calls}
    verdict(
        "Python calls of the parent per result",
        calls.total(),
        at_most=TARGET,
        detail=f"over {len(files)} files",
    )
    if given.list:
        for (file, function), count in sorted(calls.items()):
            print(f"{count:4} {file}:{function}")


if __name__ == "__main__":
    main()
