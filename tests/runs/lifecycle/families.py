"""Trials that start processes of every kind and write down the ids of all of them."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import localtune as tune

# Each as many seconds as no test takes, so that a process that slips away is seen.
_AGE_S = 600


def note_own_id(folder: str) -> None:
    Path(folder, str(os.getpid())).touch()


def live(folder: str) -> None:
    note_own_id(folder)
    time.sleep(_AGE_S)


def start_daemon(folder: str) -> None:
    """Forks twice, with a session of its own, as a daemon does; waits until it lives."""
    before = len(os.listdir(folder))
    code = (
        "import os, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0:\n"
        f"        open(os.path.join({folder!r}, str(os.getpid())), 'w').close()\n"
        f"        time.sleep({_AGE_S})\n"
        "    os._exit(0)\n"
    )
    subprocess.run([sys.executable, "-S", "-c", code], check=True)
    while len(os.listdir(folder)) == before:
        time.sleep(0.01)


def start_child(folder: str) -> None:
    """Starts a process in the worker's own group."""
    child = subprocess.Popen(["sleep", str(_AGE_S)])
    Path(folder, str(child.pid)).touch()


def start_stranger(folder: str) -> None:
    """Starts a process in a session of its own, without anything of the worker's environment."""
    child = subprocess.Popen(["sleep", str(_AGE_S)], start_new_session=True, env={})
    Path(folder, str(child.pid)).touch()


def start_pool(folder: str) -> Any:
    """Starts a pool whose processes are busy."""
    before = len(os.listdir(folder))
    pool = multiprocessing.get_context("fork").Pool(2)
    pool.map_async(live, [folder, folder], chunksize=1)
    while len(os.listdir(folder)) < before + 2:
        time.sleep(0.01)
    return pool


def run_family(config: dict[str, Any]) -> None:
    """Starts all of them, reports, and then does what ``config["end"]`` says."""
    folder = config["folder"]
    note_own_id(folder)
    start_child(folder)
    start_daemon(folder)
    if config.get("stranger"):
        start_stranger(folder)
    pool = start_pool(folder)
    Path(folder, "..", "ready").touch()
    tune.report({"value": 1})
    if config["end"] == "never":
        time.sleep(_AGE_S)
    elif config["end"] == "kill":
        os.kill(os.getpid(), 9)
    del pool


def fit(start_method: str, config: dict[str, Any], results: str, **options: Any) -> Any:
    """Runs one family to its end."""
    return tune.Tuner(
        run_family,
        param_space=config,
        run_config=tune.RunConfig(storage_path=results, verbose=0, **options),
        # Its steps do not end when they are told to.
        executor=tune.ProcessExecutor(num_cpus=1, start_method=start_method, stop_timeout_s=1.0),
    ).fit()


if __name__ == "__main__":
    family = {"folder": os.path.abspath("ids"), "end": "never", "stranger": "stranger" in sys.argv}
    fit(sys.argv[1], family, os.path.abspath("results"))
