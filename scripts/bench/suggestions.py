"""How long slots are idle while a slow searcher thinks.

Two slots, trials of 1 s, a searcher that takes 200 ms per suggestion. A slot is idle from the end
of one trial to the start of the next one in it; the first suggestions, before there is anything to
do meanwhile, are not counted.
"""

from __future__ import annotations

import tempfile
import time
from typing import Any

from _common import SLOTS, options, verdict

import localtune as tune
from localtune.execution.local_process import ProcessExecutor
from localtune.search import BasicVariantGenerator

TARGET = 0.02


class Slow(BasicVariantGenerator):
    """Random search that pretends to have a model."""

    learns = True

    def next_suggestion(self) -> Any:
        time.sleep(0.2)
        return super().next_suggestion()


def sleeps(config: dict[str, Any]) -> None:
    """One trial: a second of nothing."""
    started = time.monotonic()
    time.sleep(1.0)
    tune.report({"x": config["x"], "started": started, "ended": time.monotonic()})


def idle_share(trials: int) -> float:
    """Part of the slots' time in which they are idle."""
    with tempfile.TemporaryDirectory(prefix="localtune-bench-") as directory:
        grid = tune.Tuner(
            sleeps,
            param_space={"x": tune.uniform(0, 1)},
            tune_config=tune.TuneConfig(num_samples=trials, search_alg=Slow()),
            run_config=tune.RunConfig(storage_path=directory, verbose=0),
            executor=ProcessExecutor(num_cpus=SLOTS),
        ).fit()
    spans = sorted((r.metrics["started"], r.metrics["ended"]) for r in grid)
    # From the second trial's start to the first end after which no trial is left to start.
    begin, end = spans[SLOTS - 1][0], sorted(span[1] for span in spans)[-SLOTS]
    busy = sum(max(min(e, end) - max(s, begin), 0.0) for s, e in spans)
    return 1 - busy / (SLOTS * (end - begin))


def main() -> None:
    given = options(__doc__, trials=20)
    verdict(
        "idle slots with a searcher of 200 ms, 2 slots, trials of 1 s",
        idle_share(given.trials),
        at_most=TARGET,
        detail=f"{given.trials} trials",
    )


if __name__ == "__main__":
    main()
