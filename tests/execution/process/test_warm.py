"""What outlives a run: a guard and a base, which know modules, and nothing of the run."""

from __future__ import annotations

import importlib
import os
import resource
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

import localtune as tune
from localtune.execution.process import fork_launcher
from localtune.execution.process.surroundings import surroundings
from tests.runs.lifecycle.programs import environment, is_gone, run, wait_until


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory whose modules this process and workers can import."""
    folder = tmp_path / "modules"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    return folder


@pytest.fixture
def write_module(modules: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Any]:
    """Writes a module, which notes each of its imports, and imports it."""

    def write(name: str, source: str) -> Any:
        head = f"with open({str(modules / 'imports')!r}, 'a') as file:\n    file.write('x')\n"
        (modules / f"{name}.py").write_text(head + textwrap.dedent(source))
        monkeypatch.delitem(sys.modules, name, raising=False)
        module = __import__(name)
        (modules / "imports").unlink()
        return module

    return write


def fit(trainable: Any, folder: str | Path) -> dict[str, Any]:
    """Runs one trial; returns its result."""
    grid = tune.Tuner(
        trainable,
        run_config=tune.RunConfig(storage_path=os.path.join(folder, "results"), verbose=0),
        executor=tune.ProcessExecutor(num_cpus=1, start_method="template"),
    ).fit()
    assert not grid.errors
    return dict(grid[0].metrics or {})


def kept() -> list[psutil.Process]:
    """The guard and its base, if they wait for a run."""
    children = [each for each in psutil.Process().children() if not is_gone(each.pid)]
    guards = [each for each in children if "guard" in " ".join(each.cmdline())]
    return [each for guard in guards for each in (guard, *guard.children())]


IMPORTED = """
    import os
    marks = []
    def noted(value):
        marks.append(value)
        return value
    class Value:
        def __reduce__(self):
            return noted, (1,)
    def train(config, value=None):
        noted(os.getpid())
        return {"marks": len(marks), "template": os.getppid()}
"""


def test_a_module_is_imported_once_for_two_runs(
    tmp_path: Path, modules: Path, write_module: Any
) -> None:
    module = write_module("imported_for_two", IMPORTED)
    first, second = fit(module.train, tmp_path), fit(module.train, tmp_path)
    assert (modules / "imports").read_text() == "x"
    assert first["template"] != second["template"]


def test_a_run_sees_nothing_that_loading_another_program_has_left(
    tmp_path: Path, write_module: Any
) -> None:
    module = write_module("loads_once", IMPORTED)
    trainable = tune.with_parameters(module.train, value=module.Value())
    # The mark of the trial itself, and that of its program.
    assert fit(trainable, tmp_path)["marks"] == fit(trainable, tmp_path)["marks"] == 2


def test_a_changed_module_is_imported_again(tmp_path: Path, write_module: Any) -> None:
    module = write_module("changes", "def train(config):\n    return {'value': 1}\n")
    assert fit(module.train, tmp_path)["value"] == 1
    module = write_module("changes", "def train(config):\n    return {'value': 1 + 1}\n")
    assert fit(module.train, tmp_path)["value"] == 2


def test_a_reloaded_module_is_imported_again(
    tmp_path: Path, modules: Path, write_module: Any
) -> None:
    (modules / "data").write_text("1")
    data = str(modules / "data")
    module = write_module(
        "reads_data",
        f"with open({data!r}) as file:\n    text = file.read()\n"
        "def train(config):\n    return {'value': text}\n",
    )
    assert fit(module.train, tmp_path)["value"] == "1"
    (modules / "data").write_text("2")
    importlib.reload(module)
    assert fit(module.train, tmp_path)["value"] == "2"
    (before, _) = kept()
    write_module("another", "")
    assert fit(module.train, tmp_path)["value"] == "2"
    assert not is_gone(before.pid)


def test_a_changed_variable_of_the_environment_reaches_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(config: dict[str, Any]) -> dict[str, Any]:
        return {"value": os.environ.get("OF_THE_NEXT_RUN")}

    assert fit(train, tmp_path)["value"] is None
    (before, _) = kept()
    monkeypatch.setenv("OF_THE_NEXT_RUN", "there")
    assert fit(train, tmp_path)["value"] == "there"
    assert is_gone(before.pid)


def test_what_pytest_sets_anew_in_each_test_reaches_the_next_run_and_starts_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(config: dict[str, Any]) -> dict[str, Any]:
        return {"value": os.environ["PYTEST_CURRENT_TEST"]}

    fit(train, tmp_path)
    (before, _) = kept()
    monkeypatch.setenv("PYTEST_CURRENT_TEST", "the next test")
    assert fit(train, tmp_path)["value"] == "the next test"
    assert kept()[0] == before


CHANGES: dict[str, Callable[[pytest.MonkeyPatch, Path], Any]] = {
    "environment": lambda patch, path: patch.setenv("SOME_NAME", "1"),
    "working directory": lambda patch, path: patch.chdir(path),
    "search path": lambda patch, path: patch.syspath_prepend(str(path)),
    "arguments": lambda patch, path: patch.setattr(sys, "argv", ["other"]),
    "affinity": lambda patch, path: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}),
    "umask": lambda patch, path: os.umask(0o77),
    "limits": lambda patch, path: resource.setrlimit(
        resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1])
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_processes_inherit_is_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    affinity, limit = os.sched_getaffinity(0), resource.getrlimit(resource.RLIMIT_CORE)
    before = os.umask(0o22)
    os.umask(before)
    # A machine may have one CPU, and a shell no core files.
    resource.setrlimit(resource.RLIMIT_CORE, (min(1, limit[1]), limit[1]))
    try:
        first = surroundings()
        assert surroundings() == first
        CHANGES[what](monkeypatch, tmp_path)
        is_same = (what == "affinity" and len(affinity) == 1) or (
            what == "limits" and limit[1] == 0
        )
        assert (surroundings() == first) is is_same
    finally:
        os.sched_setaffinity(0, affinity)
        os.umask(before)
        resource.setrlimit(resource.RLIMIT_CORE, limit)


def test_what_waits_holds_nothing_of_the_run_or_of_the_user(tmp_path: Path) -> None:
    fit(nothing, tmp_path)
    processes = kept()
    assert len(processes) == 2
    for process in processes:
        assert process.cwd() == "/"
        targets = {os.readlink(path) for path in Path(f"/proc/{process.pid}/fd").iterdir()}
        assert {target.partition(":")[0] for target in targets} <= {
            os.devnull,
            "socket",
            "anon_inode",
        }


def nothing(config: dict[str, Any]) -> dict[str, Any]:
    return {"value": 1}


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGSTOP])
@pytest.mark.parametrize("which", [0, 1], ids=["guard", "base"])
def test_a_run_starts_although_what_waited_for_it_was_killed_or_stopped(
    tmp_path: Path, which: int, signum: int, caplog: pytest.LogCaptureFixture
) -> None:
    fit(nothing, tmp_path)
    processes = kept()
    processes[which].send_signal(signum)
    if signum == signal.SIGKILL:
        wait_until(lambda: is_gone(processes[1].pid), "the base has ended in either case")
    assert fit(nothing, tmp_path)["value"] == 1
    assert not caplog.records


def test_what_waits_ends_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fork_launcher, "IDLE_S", 0.01)
    fit(nothing, tmp_path)
    wait_until(lambda: not kept(), "they end")
    assert fit(nothing, tmp_path)["value"] == 1


def test_shutdown_ends_what_waits(tmp_path: Path) -> None:
    fit(nothing, tmp_path)
    processes = kept()
    tune.shutdown()
    assert all(is_gone(each.pid) for each in processes)
    tune.shutdown()
    assert fit(nothing, tmp_path)["value"] == 1


def test_few_bases_are_kept(tmp_path: Path, write_module: Any) -> None:
    for name in ("of_first", "of_second", "of_third"):
        fit(write_module(name, "def train(config):\n    return {'value': 1}\n").train, tmp_path)
    wait_until(lambda: len(kept()) == 3, "a guard and two bases are left")


def test_spawned_workers_leave_nothing_that_waits(tmp_path: Path) -> None:
    tune.Tuner(
        nothing,
        run_config=tune.RunConfig(storage_path=tmp_path, verbose=0),
        executor=tune.ProcessExecutor(num_cpus=1, start_method="spawn"),
    ).fit()
    assert not kept()


FORKS = """
    import multiprocessing, os, sys
    import localtune as tune
    from tests.execution.process.test_warm import fit, kept, nothing

    def in_child():
        assert not kept()
        fit(nothing, os.path.abspath("child"))
        assert len(kept()) == 2

    if __name__ == "__main__":
        fit(nothing, os.getcwd())
        before = [each.pid for each in kept()]
        child = multiprocessing.get_context("fork").Process(target=in_child)
        child.start()
        # It has copies of the descriptors.
        fit(nothing, os.getcwd())
        child.join()
        assert child.exitcode == 0
        assert [each.pid for each in kept()] == before
        pid = os.fork()
        if pid == 0:
            sys.stdin.read()
            os._exit(0)
        tune.shutdown()
        assert not kept()
        os.kill(pid, 9)
        os.waitpid(pid, 0)
"""


def test_a_forked_process_does_not_use_what_its_parent_keeps(tmp_path: Path) -> None:
    (tmp_path / "forks.py").write_text(textwrap.dedent(FORKS))
    run(["forks.py"], tmp_path)


CLOSES_ALL = """
    import os
    from tests.execution.process.test_warm import fit, kept, nothing
    fit(nothing, os.getcwd())
    os.closerange(3, 1000)
    fit(nothing, os.getcwd())
    assert len(kept()) == 2
"""


def test_a_run_starts_although_the_program_has_closed_all_descriptors(tmp_path: Path) -> None:
    (tmp_path / "closes_all.py").write_text(textwrap.dedent(CLOSES_ALL))
    run(["closes_all.py"], tmp_path)


ONE_FIT = """
    import os
    from tests.execution.process.test_warm import fit, kept, nothing
    fit(nothing, os.getcwd())
    print(*(each.pid for each in kept()), flush=True)
    {then}
"""


@pytest.mark.parametrize("then", ["", "os._exit(0)", "os.kill(os.getpid(), 9)", "1 / 0"])
def test_nothing_waits_when_the_program_has_ended(tmp_path: Path, then: str) -> None:
    """And who reads its output sees the end of it."""
    code = textwrap.dedent(ONE_FIT).format(then=then)
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60.0,
    )
    pids = [int(each) for each in done.stdout.split()]
    assert len(pids) == 2, done.stderr
    wait_until(lambda: all(map(is_gone, pids)), "they end")
