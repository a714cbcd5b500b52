"""A script whose trial does what a plain script may do; run by a test with a start method."""

# Without types, as users write scripts.
# mypy: ignore-errors

import asyncio
import json
import multiprocessing
import operator
import os
import signal
import subprocess
import sys
import threading

import localtune as tune


def double(number):
    return 2 * number


def handle_a_signal():
    received = []
    signal.signal(signal.SIGUSR1, lambda number, frame: received.append(number))
    os.kill(os.getpid(), signal.SIGUSR1)
    return received == [signal.SIGUSR1]


def interrupt_itself():
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        return "KeyboardInterrupt"
    return "ignored"


async def gather():
    return await asyncio.gather(asyncio.sleep(0, 1), asyncio.to_thread(double, 2))


def count_in_a_thread():
    found = []
    thread = threading.Thread(target=lambda: found.append(threading.current_thread().name))
    thread.start()
    thread.join()
    return len(found)


def train(config):
    with multiprocessing.get_context("fork").Pool(2) as pool:
        forked = pool.map(double, [1, 2])
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        spawned = pool.map(operator.neg, [1, 2])
    tune.report(
        {
            "is main thread": threading.current_thread() is threading.main_thread(),
            "signal": handle_a_signal(),
            "interrupt": interrupt_itself(),
            "asyncio": asyncio.run(gather()),
            "fork": forked,
            "spawn": spawned,
            "threads": count_in_a_thread(),
            "subprocess": subprocess.run(["echo", "hi"], capture_output=True, text=True).stdout,
            "stdin": sys.stdin.read(),
        }
    )


grid = tune.Tuner(
    train,
    run_config=tune.RunConfig(storage_path=os.path.abspath("results"), verbose=0),
    executor=tune.ProcessExecutor(num_cpus=1, start_method=sys.argv[1]),
).fit()
assert not grid.errors, grid.errors[0]
print(json.dumps(grid[0].metrics))
