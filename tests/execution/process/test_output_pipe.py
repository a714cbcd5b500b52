"""The output of workers reaches its receiver in whole lines."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.execution.process.output_pipe import OutputPipe
from localtune.execution.process.waiter import Waiter
from localtune.testing.executor_contract import ExecutorSession, expect
from localtune.trainable.function_trainable import wrap_function
from localtune.worker import messages
from localtune.worker.program import WorkerProgram


def test_lines_come_whole_and_the_last_one_is_completed() -> None:
    waiter = Waiter(use_poll=True)
    texts: list[tuple[str, str]] = []
    pipe = OutputPipe(waiter, lambda *text: texts.append(text), "t1")
    os.write(pipe.write_fd, b"one\ntw")
    waiter.wait(10.0)
    assert texts == [("one\n", "t1")]
    os.write(pipe.write_fd, b"o\nth\xc3\xa9")
    pipe.close()
    assert texts == [("one\n", "t1"), ("two\n", "t1"), ("th\u00e9\n", "t1")]
    waiter.close()


def test_what_was_printed_before_the_next_trial_is_the_last_ones() -> None:
    waiter = Waiter(use_poll=True)
    texts: list[tuple[str, str]] = []
    pipe = OutputPipe(waiter, lambda *text: texts.append(text), "t1")
    os.write(pipe.write_fd, b"one\nwithout an end")
    pipe.next_source("t2")
    os.write(pipe.write_fd, b"two\n")
    pipe.close()
    assert texts == [("one\n", "t1"), ("without an end\n", "t1"), ("two\n", "t2")]
    waiter.close()


def prints(config: dict[str, Any]) -> dict[str, Any]:
    print("by print")
    os.write(2, b"by descriptor\n")
    subprocess.run([sys.executable, "-c", "print('by a subprocess')"], check=True)
    return {"done": True}


@pytest.mark.parametrize("start_method", ["template", "spawn"])
def test_prints_of_workers_come_to_the_parent(tmp_path: Path, start_method: str) -> None:
    texts: list[tuple[str, str]] = []
    executor = tune.ProcessExecutor(num_cpus=2, start_method=start_method)
    session = ExecutorSession(executor, wrap_function(prints), tmp_path)
    executor.open(WorkerProgram(wrap_function(prints)), lambda *text: texts.append(text))
    try:
        worker = session.start()
        expect(session.answer(worker), messages.Ready)
        expect(session.ask(worker, messages.Train()), messages.Trained)
        session.end(worker)
    finally:
        executor.close()
    lines = "".join(text for text, _ in texts).splitlines()
    assert sorted(lines) == ["by a subprocess", "by descriptor", "by print"]
    assert {source for _, source in texts} == {"id1"}
