"""The process of a program: nothing of it escapes."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from localtune.trainable.command.process import ProgramProcess

# Prints the ids of a background job and of a process that has left the session.
FAMILY = """
sleep 600 & echo $!
python -c 'import os, time; os.setsid(); print(os.getpid(), flush=True); time.sleep(600)' &
wait
""".replace("python", sys.executable)


def start(directory: Path, source: str) -> ProgramProcess:
    return ProgramProcess(
        ["sh", "-c", source], shell=False, cwd=str(directory), environment=os.environ
    )


@pytest.fixture
def family(tmp_path: Path) -> Iterator[tuple[ProgramProcess, list[psutil.Process]]]:
    process = start(tmp_path, FAMILY)
    pids = [int(line) for line in lines_of(process, 2)]
    yield process, [psutil.Process(pid) for pid in [process.pid, *pids]]
    process.end(0)
    process.close()


def lines_of(process: ProgramProcess, count: int) -> list[str]:
    output = b""
    while output.count(b"\n") < count:
        output += os.read(process.output_fds[0], 1000)
    return output.decode().split()


Family = tuple[ProgramProcess, list[psutil.Process]]


def test_the_end_reaches_all_that_it_has_started(family: Family) -> None:
    process, members = family
    process.end(5)
    assert process.poll() == -signal.SIGTERM
    assert psutil.wait_procs(members, timeout=5)[1] == []


def test_what_a_process_has_left_is_ended(family: Family) -> None:
    process, members = family
    members[0].kill()
    assert process.wait(5) == -signal.SIGKILL
    assert all(each.is_running() for each in members[1:])
    process.end_rest()
    assert psutil.wait_procs(members[1:], timeout=5)[1] == []


def test_one_that_ignores_the_signal_is_killed(tmp_path: Path) -> None:
    process = start(tmp_path, "trap '' TERM; echo ready; while true; do sleep 0.01; done")
    lines_of(process, 1)
    process.end(0.05)
    assert process.poll() == -signal.SIGKILL
    process.close()


def test_it_is_held_until_all_have_released_it(family: Family) -> None:
    process, (leader, *_) = family
    process.hold()
    process.hold()
    process.release()
    assert leader.status() == psutil.STATUS_STOPPED
    process.release()
    assert leader.status() != psutil.STATUS_STOPPED
    process.hold()
    process.end(5)
    assert process.poll() == -signal.SIGTERM


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere it is not told")
def test_it_knows_what_is_being_written(tmp_path: Path) -> None:
    source = "exec 3> state; exec 4< state; echo a; read go; exec 3>&-; echo b; read go"
    process = ProgramProcess(
        ["sh", "-c", source],
        shell=False,
        cwd=str(tmp_path),
        environment=os.environ,
        takes_input=True,
    )
    lines_of(process, 1)
    assert process.writes_below(str(tmp_path))
    assert not process.writes_below(str(tmp_path / "state"))
    process.write(b"go\n")
    lines_of(process, 1)
    assert not process.writes_below(str(tmp_path))
    process.end(5)
    process.close()


def test_what_is_written_to_one_that_never_reads_is_dropped(tmp_path: Path) -> None:
    process = ProgramProcess(
        ["sleep", "600"],
        shell=False,
        cwd=str(tmp_path),
        environment=os.environ,
        takes_input=True,
    )
    for _ in range(100):
        process.write(b"x" * 10_000)
    process.end(5)
    process.close()


def test_what_is_written_to_one_that_has_ended_is_dropped(tmp_path: Path) -> None:
    process = ProgramProcess(
        ["true"], shell=False, cwd=str(tmp_path), environment=os.environ, takes_input=True
    )
    assert process.wait(5) == 0
    process.write(b"go\n")
    process.end_rest()
    process.close()
