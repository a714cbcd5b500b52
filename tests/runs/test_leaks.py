"""The leak check itself, proven on real leaks of each kind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from tests.leaks import ProcessWatch, State, end_what_is_kept, leaks_since, repair
from tests.small_runs import fit, processes, reporting

ROOT = Path(__file__).parents[2]
# Says when it runs: a process that is just being started has no command line yet.
WAIT_FOR_INPUT = "input(0)"


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> ProcessWatch:
    monkeypatch.setenv("LOCALTUNE_TEST_SESSION", "set by the watch")
    return ProcessWatch()


def found_at_once(before: State, watch: ProcessWatch) -> str:
    return "\n".join(leaks_since(before, watch, deadline_s=0))


def test_nothing_is_found_where_nothing_happened(watch: ProcessWatch) -> None:
    assert leaks_since(State.now(watch), watch) == []


def test_a_running_child_is_found(watch: ProcessWatch) -> None:
    before = State.now(watch)
    command = [sys.executable, "-c", WAIT_FOR_INPUT]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stdout.read(1) == b"0"
        assert f"process {child.pid}: {sys.executable} -c input(0)" in found_at_once(before, watch)
        child.communicate(b"\n")

    assert leaks_since(before, watch) == []


def test_a_child_that_was_not_waited_for_is_found(watch: ProcessWatch) -> None:
    before = State.now(watch)
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

        assert f"process {child.pid}, which has ended" in found_at_once(before, watch)


def test_what_is_kept_for_the_next_run_is_no_leak(watch: ProcessWatch, tmp_path: Path) -> None:
    before = State.now(watch)
    fit(reporting, tmp_path, executor=processes(1))

    assert leaks_since(before, watch) == []
    assert watch.alive() > before.processes
    end_what_is_kept()
    assert watch.alive() == before.processes


def test_an_orphan_in_a_session_of_its_own_is_found_and_killed(watch: ProcessWatch) -> None:
    before = State.now(watch)
    start_orphan = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'],"
        " stdout=subprocess.DEVNULL, start_new_session=True)\n"
        "print(child.pid)"
    )
    output = subprocess.run(
        [sys.executable, "-c", start_orphan], stdout=subprocess.PIPE, check=True
    ).stdout

    assert f"process {int(output)}: " in found_at_once(before, watch)
    repair(before, watch)
    assert leaks_since(before, watch) == []


def test_a_thread_is_found_and_has_time_to_end(watch: ProcessWatch) -> None:
    before = State.now(watch)
    may_end = threading.Event()
    thread = threading.Thread(target=may_end.wait, name="lingering")
    thread.start()

    assert found_at_once(before, watch) == "thread 'lingering'"
    may_end.set()
    assert leaks_since(before, watch) == []
    thread.join()


def test_an_open_descriptor_is_found(watch: ProcessWatch, tmp_path: Path) -> None:
    before = State.now(watch)
    fd = os.open(tmp_path / "open.txt", os.O_CREAT | os.O_WRONLY)

    assert found_at_once(before, watch) == f"file descriptor {fd}: {tmp_path / 'open.txt'}"
    os.close(fd)
    assert leaks_since(before, watch) == []


def test_a_descriptor_in_a_cycle_of_garbage_is_no_leak(watch: ProcessWatch) -> None:
    class Holder:
        def __init__(self) -> None:
            self.itself = self
            self.reader, self.writer = os.pipe()

        def __del__(self) -> None:
            os.close(self.reader)
            os.close(self.writer)

    before = State.now(watch)
    Holder()

    assert leaks_since(before, watch) == []


def test_another_working_directory_is_found_and_repaired(
    watch: ProcessWatch, tmp_path: Path
) -> None:
    before = State.now(watch)
    os.chdir(tmp_path)

    assert found_at_once(before, watch).startswith(f"working directory {tmp_path}")
    repair(before, watch)
    assert leaks_since(before, watch) == []


def test_changes_of_the_environment_are_found_and_repaired(
    watch: ProcessWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCALTUNE_CHANGED", "old")
    monkeypatch.setenv("LOCALTUNE_REMOVED", "old")
    before = State.now(watch)
    os.environ["LOCALTUNE_ADDED"] = "new"
    os.environ["LOCALTUNE_CHANGED"] = "new"
    del os.environ["LOCALTUNE_REMOVED"]

    assert found_at_once(before, watch).splitlines() == [
        "environment variable LOCALTUNE_ADDED='new', which was None",
        "environment variable LOCALTUNE_CHANGED='new', which was 'old'",
        "environment variable LOCALTUNE_REMOVED=None, which was 'old'",
    ]
    repair(before, watch)
    assert leaks_since(before, watch) == []


def test_another_signal_handler_is_found_and_repaired(watch: ProcessWatch) -> None:
    before = State.now(watch)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)

    assert found_at_once(before, watch).startswith("handler of SIGUSR1")
    repair(before, watch)
    assert leaks_since(before, watch) == []


def test_a_leak_fails_the_test_that_made_it_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "test_two.py").write_text(
        f"HOME_OF_DEVELOPER = {os.environ['HOME']!r}\n"
        "import os\n"
        "def test_that_leaks():\n"
        "    os.environ['LEAKED'] = '1'\n"
        "def test_that_does_not():\n"
        "    assert 'LEAKED' not in os.environ\n"
        "    assert os.environ['HOME'] == os.path.expanduser('~') != HOME_OF_DEVELOPER\n"
    )
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider", "-v"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )

    assert "2 passed, 1 error" in run.stdout
    assert "ERROR at teardown of test_that_leaks" in run.stdout
    assert "environment variable LEAKED='1', which was None" in run.stdout
    assert run.returncode == 1


def test_a_temporary_file_is_found_and_removed(watch: ProcessWatch) -> None:
    before = State.now(watch)
    fd, path = tempfile.mkstemp()
    os.close(fd)

    assert found_at_once(before, watch) == f"temporary file {os.path.basename(path)}"
    repair(before, watch)
    assert not os.path.exists(path)


def test_another_hook_of_sys_is_found_and_repaired(watch: ProcessWatch) -> None:
    before = State.now(watch)
    sys.displayhook = lambda *_: None

    assert found_at_once(before, watch).startswith("sys.displayhook")
    repair(before, watch)
    assert leaks_since(before, watch) == []
