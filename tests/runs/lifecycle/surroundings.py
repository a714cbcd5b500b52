"""A sweep that a test starts in odd surroundings; ``outcome`` says what its trials saw."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import Any

import localtune as tune


def train(config: dict[str, Any]) -> None:
    print("a line of the trial", flush=True)
    print("an error of the trial", file=sys.stderr, flush=True)
    # Files that other code writes for the trial.
    os.write(1, b"a line of native code\n")
    subprocess.run(["sh", "-c", "echo a line of a child; echo an error of a child >&2"], check=True)
    for fd in range(3):
        os.fstat(fd)
    killed = subprocess.run(["sh", "-c", "kill -9 $$"], check=False)
    ignored = [
        signal.Signals(number).name
        for number in signal.valid_signals()
        if signal.getsignal(number) is signal.SIG_IGN and number in signal.Signals
    ]
    tune.report(
        {
            "square": config["x"] ** 2,
            "child": killed.returncode,
            "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
            "ignored": sorted(ignored),
            "directory": os.getcwd(),
        }
    )


def main(start_method: str, folder: str) -> None:
    grid = tune.Tuner(
        train,
        param_space={"x": tune.grid_search([1, 2, 3])},
        run_config=tune.RunConfig(storage_path=os.path.join(folder, "results"), name="sweep"),
        executor=tune.ProcessExecutor(num_cpus=2, start_method=start_method),
    ).fit()
    keys = ("square", "child", "blocked", "ignored")
    outcome = {
        "errors": [str(error) for error in grid.errors],
        "metrics": [{key: (each.metrics or {}).get(key) for key in keys} for each in grid],
        "directories": [(each.metrics or {}).get("directory") == each.path for each in grid],
    }
    with open(os.path.join(folder, "outcome"), "w") as file:
        json.dump(outcome, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
