"""The template: what it shares among trials, when it refuses, and what its death means."""

from __future__ import annotations

import logging
import os
import signal
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import localtune as tune
from localtune.execution import local_process
from localtune.execution.process import fork_launcher, guard_client, template_client
from localtune.testing.chaos import ChaosTrainable
from localtune.testing.executor_contract import ExecutorSession, expect
from localtune.trainable.function_trainable import wrap_function
from localtune.worker import messages
from tests.runs.lifecycle.programs import is_gone, wait_until


@pytest.fixture
def write_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Writes a module that only this test and its workers can import."""
    folder = tmp_path / "modules"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    written: list[str] = []

    def write(name: str, source: str) -> None:
        head = f"import os\nwith open({str(tmp_path / 'imports')!r}, 'a') as file:\n"
        head += "    file.write(str(os.getpid()) + '\\n')\n"
        head += f"is_parent = os.getpid() == {os.getpid()}\n"
        (folder / f"{name}.py").write_text(head + textwrap.dedent(source))
        written.append(name)

    yield write
    for name in written:
        sys.modules.pop(name, None)


def importers(tmp_path: Path) -> list[int]:
    """Ids of the processes that have imported the module, but for this one."""
    pids = [int(line) for line in (tmp_path / "imports").read_text().split()]
    return [pid for pid in pids if pid != os.getpid()]


def fit(trainable: Any, tmp_path: Path, num_samples: int = 3, **options: Any) -> Any:
    options.setdefault("start_method", "template")
    return tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(num_samples=num_samples),
        run_config=tune.RunConfig(storage_path=tmp_path / "results", verbose=0),
        executor=tune.ProcessExecutor(num_cpus=2, **options),
    ).fit()


DRAWS = """
    import random
    import numpy
    def train(config):
        return {"random": random.random(), "numpy": float(numpy.random.rand())}
"""


def test_a_module_is_imported_once_per_sweep(tmp_path: Path, write_module: Any) -> None:
    write_module("imported_once", DRAWS)
    import imported_once  # type: ignore[import-not-found]

    grid = fit(imported_once.train, tmp_path)
    assert not grid.errors
    assert len(importers(tmp_path)) == 1


def test_trials_draw_different_random_numbers(tmp_path: Path, write_module: Any) -> None:
    write_module("draws", DRAWS)
    import draws  # type: ignore[import-not-found]

    grid = fit(draws.train, tmp_path)
    for name in ("random", "numpy"):
        assert len({result.metrics[name] for result in grid}) == 3


def test_a_module_that_seeds_numpy_has_its_way(tmp_path: Path, write_module: Any) -> None:
    write_module("seeds", DRAWS + "    numpy.random.seed(7)\n")
    import seeds  # type: ignore[import-not-found]

    grid = fit(seeds.train, tmp_path)
    assert len({result.metrics["numpy"] for result in grid}) == 1


REFUSED = {
    "threads": """
        import threading
        thread = threading.Thread(target=threading.Event().wait, daemon=True)
        if not is_parent:
            thread.start()
        def train(config):
            return {"alive": thread.is_alive()}
    """,
    # Its interpreter would wait for the thread when it ends.
    "threads that do not end": """
        import threading
        if not is_parent:
            threading.Thread(target=threading.Event().wait).start()
        def train(config):
            return {"alive": True}
    """,
    "processes": """
        import subprocess
        if not is_parent:
            child = subprocess.Popen(["sleep", "600"])
        def train(config):
            return {"alive": child.poll() is None}
    """,
}


@pytest.mark.parametrize("why", REFUSED)
def test_a_module_that_forbids_forks_is_loaded_by_each_worker(
    tmp_path: Path, write_module: Any, caplog: pytest.LogCaptureFixture, why: str
) -> None:
    name = f"refused_{len(why)}"
    write_module(name, REFUSED[why])
    module = __import__(name)
    with caplog.at_level(logging.WARNING, logger="localtune"):
        grid = fit(module.train, tmp_path)
    assert [result.metrics["alive"] for result in grid] == [True] * 3
    # The template that refused, and one per trial.
    assert len(importers(tmp_path)) == 4
    (record,) = caplog.records
    assert f"importing it starts {why.split()[0]}" in record.getMessage()


def test_only_named_modules_are_preloaded(tmp_path: Path, write_module: Any) -> None:
    write_module("named", DRAWS)
    import named  # type: ignore[import-not-found]

    assert not fit(named.train, tmp_path, preload=["named"]).errors
    assert len(importers(tmp_path)) == 1


def test_an_empty_preload_lets_each_worker_load_the_trainable(
    tmp_path: Path, write_module: Any
) -> None:
    write_module("unnamed", DRAWS)
    import unnamed  # type: ignore[import-not-found]

    assert not fit(unnamed.train, tmp_path, preload=[]).errors
    assert len(importers(tmp_path)) == 3


def test_a_trainable_that_cannot_be_loaded_fails_in_its_trial(
    tmp_path: Path, write_module: Any
) -> None:
    write_module(
        "breaks_elsewhere",
        """
        if not is_parent:
            raise LookupError("only in workers")
        def train(config):
            return {}
        """,
    )
    import breaks_elsewhere  # type: ignore[import-not-found]

    grid = fit(breaks_elsewhere.train, tmp_path, num_samples=2)
    assert [type(error.cause) for error in grid.errors] == [LookupError, LookupError]


def test_what_a_module_makes_of_signals_holds_for_trials_and_not_for_the_template(
    tmp_path: Path, write_module: Any
) -> None:
    write_module(
        "sets_signals",
        """
        import signal
        if not is_parent:
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)
            signal.signal(signal.SIGUSR1, lambda *args: None)
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
        def train(config):
            handlers = [signal.getsignal(each) for each in (signal.SIGCHLD, signal.SIGUSR1)]
            blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
            return {"ignored": handlers[0] == signal.SIG_IGN, "handled": callable(handlers[1]),
                    "blocked": [each.name for each in blocked]}
        """,
    )
    import sets_signals  # type: ignore[import-not-found]

    grid = fit(sets_signals.train, tmp_path)
    assert not grid.errors
    for result in grid:
        seen = {key: result.metrics[key] for key in ("ignored", "handled", "blocked")}
        assert seen == {"ignored": True, "handled": True, "blocked": ["SIGUSR2"]}


def template_of(worker_pid: int) -> int:
    return psutil.Process(worker_pid).ppid()


class DiesOnce(ChaosTrainable):
    """Kills its template in the second step, unless it goes on from a checkpoint."""

    def step(self) -> dict[str, Any]:
        result = super().step()
        if self.steps == 2 and self.iteration == self.iterations_here:
            os.kill(os.getppid(), signal.SIGKILL)
        self.iterations_here += 1
        return result

    def setup(self, config: dict[str, Any]) -> None:
        self.iterations_here = 0
        super().setup(config)


def test_trials_survive_the_death_of_their_template(tmp_path: Path) -> None:
    grid: Any = tune.Tuner(
        DiesOnce,
        run_config=tune.RunConfig(
            storage_path=tmp_path,
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=1),
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=1),
        ),
        executor=tune.ProcessExecutor(num_cpus=1, start_method="template"),
    ).fit()
    assert not grid.errors
    assert grid[0].metrics["steps"] == 3
    assert "template process was killed" in Path(grid[0].path, "error.txt").read_text()


def session(tmp_path: Path, trainable: type = ChaosTrainable) -> ExecutorSession:
    executor = tune.ProcessExecutor(num_cpus=1000, start_method="template")
    return ExecutorSession(executor, trainable, tmp_path)


def test_a_new_template_serves_after_the_old_one_was_killed(tmp_path: Path) -> None:
    with session(tmp_path) as opened:
        workers = [opened.start(), opened.start()]
        for worker in workers:
            expect(opened.answer(worker), messages.Ready)
        pids = {worker: opened.process_id(worker) for worker in workers}
        os.kill(template_of(pids[workers[0]]), signal.SIGKILL)
        for worker in workers:
            assert "template process was killed" in opened.exit_of(worker).describe()
            assert is_gone(pids[worker])
        expect(opened.answer(opened.start()), messages.Ready)


def test_a_worker_that_a_template_has_forked_after_its_guard_died_is_not_forked_again(
    tmp_path: Path,
) -> None:
    """It may have read its first command. The next one would wait for that without end."""
    with session(tmp_path) as opened:
        first = opened.start()
        expect(opened.answer(first), messages.Ready)
        template = psutil.Process(template_of(opened.process_id(first)))
        template.suspend()
        second = opened.start()
        # The kernel continues the template, which has a request and no guard.
        os.kill(template.ppid(), signal.SIGKILL)
        wait_until(lambda: is_gone(template.pid), "the template has ended")
        for worker in (first, second):
            assert "guard process was killed" in opened.exit_of(worker).describe()


def test_a_worker_that_a_dead_template_had_not_forked_is_forked_by_the_next(
    tmp_path: Path,
) -> None:
    with session(tmp_path) as opened:
        first = opened.start()
        expect(opened.answer(first), messages.Ready)
        template = template_of(opened.process_id(first))
        os.kill(template, signal.SIGSTOP)
        second = opened.start()
        os.kill(template, signal.SIGKILL)
        expect(opened.answer(second), messages.Ready)
        opened.exit_of(first)


def test_a_template_that_does_not_report_any_more_does_not_stall_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_process, "_CLOSE_TIMEOUT_S", 0.1)
    monkeypatch.setattr(guard_client, "END_TIMEOUT_S", 0.1)
    opened = session(tmp_path)
    with opened:
        worker = opened.start()
        expect(opened.answer(worker), messages.Ready)
        pid = opened.process_id(worker)
        os.kill(template_of(pid), signal.SIGSTOP)
    wait_until(lambda: is_gone(pid), "the worker ends")


def test_a_guard_and_a_base_that_are_stopped_while_they_start_are_continued(
    tmp_path: Path, write_module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fork_launcher, "_LOOK_S", 0.1)
    source = """
        import signal
        if not is_parent:
            for pid in (os.getppid(), os.getpid()):
                os.kill(pid, signal.SIGSTOP)
        def train(config):
            return {"value": 1}
    """
    write_module("stops", source)
    import stops  # type: ignore[import-not-found]

    assert not fit(stops.train, tmp_path, memory_check_s=None).errors
    (base,) = importers(tmp_path)
    assert psutil.Process(base).status() != psutil.STATUS_STOPPED


def test_the_parent_does_not_wait_for_a_template_that_reads_nothing(tmp_path: Path) -> None:
    """It is asked for more workers than its socket could hold requests."""
    with session(tmp_path) as opened:
        first = opened.start()
        expect(opened.answer(first), messages.Ready)
        template = template_of(opened.process_id(first))
        os.kill(template, signal.SIGSTOP)
        others = [opened.start() for _ in range(400)]
        assert expect(opened.ask(first, messages.Train()), messages.Trained).result["steps"] == 1
        # Most of them were not requested yet, so the parent need not wait for it.
        for worker in others[template_client._MOST_ASKED :]:
            opened.end(worker)
        os.kill(template, signal.SIGCONT)
        for worker in others[: template_client._MOST_ASKED]:
            expect(opened.answer(worker), messages.Ready)


def test_workers_that_were_not_asked_for_come_when_others_have_started(tmp_path: Path) -> None:
    with session(tmp_path) as opened:
        workers = [opened.start() for _ in range(3 * template_client._MOST_ASKED)]
        for worker in workers:
            expect(opened.answer(worker), messages.Ready)
            opened.end(worker, force=True)


def test_a_killed_worker_whose_template_does_not_report_it_ends_with_the_template(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_process, "_CLOSE_TIMEOUT_S", 0.1)
    monkeypatch.setattr(template_client, "_STUCK_S", 0.1)
    with session(tmp_path) as opened:
        worker = opened.start()
        expect(opened.answer(worker), messages.Ready)
        os.kill(template_of(opened.process_id(worker)), signal.SIGSTOP)
        assert "template process was killed" in opened.end(worker, force=True).describe()
        expect(opened.answer(opened.start()), messages.Ready)


HANGS = """
    import time
    import localtune as tune
    class Hangs(tune.Trainable):
        pass
    if not is_parent:
        open({path!r}, "w").close()
        time.sleep(600)
"""


def test_a_worker_whose_template_hangs_in_an_import_can_be_killed(
    tmp_path: Path, write_module: Any
) -> None:
    hanging = tmp_path / "hanging"
    write_module("hangs", HANGS.format(path=str(hanging)))
    import hangs  # type: ignore[import-not-found]

    with session(tmp_path, hangs.Hangs) as opened:
        worker = opened.start({"text": "x" * 1_000_000})
        wait_until(hanging.exists, "the import hangs")
        assert opened.end(worker, force=True).exit_code == -signal.SIGKILL


def test_a_worker_that_is_killed_before_anybody_knows_its_process_ends(tmp_path: Path) -> None:
    with session(tmp_path) as opened:
        first = opened.start()
        expect(opened.answer(first), messages.Ready)
        template = template_of(opened.process_id(first))
        for _ in range(2):
            opened.end(opened.start(), force=True)
        wait_until(
            lambda: (
                {child.pid for child in psutil.Process(template).children()}
                == {opened.process_id(first)}
            ),
            "only the first worker is left",
        )


def test_a_trainable_that_ends_the_template_fails_its_trial(
    tmp_path: Path, write_module: Any
) -> None:
    write_module(
        "ends_it",
        """
        import localtune as tune
        class Ends(tune.Trainable):
            pass
        if not is_parent:
            os._exit(3)
        """,
    )
    import ends_it  # type: ignore[import-not-found]

    with session(tmp_path, ends_it.Ends) as opened:
        exit = opened.exit_of(opened.start({"text": "x" * 1_000_000}))
        assert exit.exit_code == 3
        assert "before it started the worker" in exit.describe()


def test_a_large_config_reaches_a_worker_of_a_template_that_refused(
    tmp_path: Path, write_module: Any
) -> None:
    write_module(
        "refuses_large",
        """
        import localtune as tune, threading
        from localtune.testing.chaos import ChaosTrainable
        class Refused(ChaosTrainable):
            pass
        if not is_parent:
            threading.Thread(target=threading.Event().wait, daemon=True).start()
        """,
    )
    import refuses_large  # type: ignore[import-not-found]

    with session(tmp_path, refuses_large.Refused) as opened:
        expect(opened.answer(opened.start({"text": "x" * 1_000_000})), messages.Ready)


def test_a_refusal_is_heard_after_the_end_of_the_template(
    tmp_path: Path, write_module: Any
) -> None:
    write_module("refuses_early", REFUSED["threads"])
    import refuses_early  # type: ignore[import-not-found]

    with session(tmp_path, wrap_function(refuses_early.train)) as opened:
        before = set(psutil.Process().children())
        workers = [opened.start(), opened.start()]
        # The parent reads no packet of the template before it has ended.
        (guard,) = set(psutil.Process().children()) - before
        imports = tmp_path / "imports"
        wait_until(lambda: imports.exists() and importers(tmp_path), "the template imports")
        wait_until(lambda: not guard.children(), "the template ends")
        for worker in workers:
            expect(opened.answer(worker), messages.Ready)


def test_arguments_longer_than_a_packet_reach_the_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["script", *(f"file-{n}" for n in range(20_000))])
    grid = fit(counts_arguments, tmp_path, num_samples=1)
    assert grid[0].metrics["count"] == 20_001


def counts_arguments(config: dict[str, Any]) -> dict[str, Any]:
    return {"count": len(sys.argv)}
