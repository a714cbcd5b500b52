"""What ClusterExecutor refuses, and what it does when agents are cut off, stopped, or too many."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import localtune as tune
from localtune.execution.cluster.engine import ClusterError, Inbox
from localtune.execution.cluster.executor import ClusterExecutor, check_options
from localtune.execution.cluster.local import LocalEngine
from localtune.execution.cluster.relay import Relay
from localtune.execution.executor import Exited
from localtune.execution.slots import Slot
from localtune.resources import PlacementGroupFactory
from localtune.testing.chaos import ChaosTrainable
from localtune.testing.executor_contract import DEADLINE_S, ExecutorSession, expect
from localtune.worker import messages
from localtune.worker.program import WorkerProgram
from tests.heavy import long_but

PACKAGE = Path(tune.__file__).parent


class OtherVersions(LocalEngine):
    """Its second node has another version of the package."""

    def __init__(self, path: Path) -> None:
        super().__init__([{"CPU": 1}] * 2)
        self.path = path

    def make_relay(self, node_id: str) -> Relay:
        is_other = node_id == "node-2"
        return Relay(node_id, path=[str(self.path), *sys.path]) if is_other else Relay(node_id)


class CutOff(LocalEngine):
    """Its node can be cut off: nothing reaches it, or comes from it, or ends it."""

    def __init__(self) -> None:
        super().__init__([{"CPU": 1}])
        self.is_cut = False
        self._cut: list[tuple[Relay, threading.Thread]] = []

    def listen(self, inbox: Inbox) -> None:
        super().listen(CutInbox(self, inbox))

    def send(self, node_id: str, data: bytes) -> None:
        if not self.is_cut:
            super().send(node_id, data)

    def stop_agent(self, node_id: str) -> None:
        if self.is_cut and node_id in self._relays:
            relay = self._relays.pop(node_id)
            self._cut.append((relay, self._threads.pop(node_id)))
        else:
            super().stop_agent(node_id)

    def close(self) -> None:
        self.is_cut = False
        super().close()
        for relay, thread in self._cut:
            relay.close()
            thread.join()


class CutInbox:
    """Lets nothing through while the node is cut off."""

    def __init__(self, engine: CutOff, inbox: Inbox) -> None:
        self._engine = engine
        self._inbox = inbox

    def received(self, node_id: str, data: bytes) -> None:
        if not self._engine.is_cut:
            self._inbox.received(node_id, data)

    def agent_ended(self, node_id: str, why: str) -> None:
        if not self._engine.is_cut:
            self._inbox.agent_ended(node_id, why)

    def changed(self) -> None:
        self._inbox.changed()


@pytest.mark.long
def test_a_node_with_another_version_is_refused_by_name_before_the_first_trial(
    tmp_path: Path,
) -> None:
    shutil.copytree(PACKAGE, tmp_path / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / PACKAGE.name / "_version.py").write_text('__version__ = "0.0.1"\n')
    executor = ClusterExecutor(OtherVersions(tmp_path))
    pattern = rf"node-2: it has localtune 0\.0\.1, not {re.escape(tune.__version__)}"
    with pytest.raises(ClusterError, match=pattern):
        executor.open(WorkerProgram(ChaosTrainable))


def test_storage_that_a_node_does_not_see_is_refused_with_both_remedies(tmp_path: Path) -> None:
    executor = ClusterExecutor(LocalEngine([{"CPU": 1}]))
    # A path by which this process alone finds the directory.
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        executor.use_directory(f"/proc/self/fd/{fd}")
        with pytest.raises(ClusterError, match=r"node-1: it does not see .* network .* URI"):
            executor.open(WorkerProgram(ChaosTrainable))
    finally:
        os.close(fd)
    assert list(tmp_path.iterdir()) == []


def test_nothing_stays_in_the_storage_that_all_nodes_see(tmp_path: Path) -> None:
    executor = ClusterExecutor(LocalEngine([{"CPU": 1}] * 2))
    executor.use_directory(str(tmp_path))
    executor.open(WorkerProgram(ChaosTrainable))
    executor.close()
    assert list(tmp_path.iterdir()) == []


class Dies(LocalEngine):
    """The agents of its nodes cannot import the package."""

    def make_relay(self, node_id: str) -> Relay:
        return Relay(node_id, path=[each for each in sys.path if each.endswith(".zip")])


@pytest.mark.long
def test_a_node_whose_agent_does_not_start_is_refused_by_name(
    capfd: pytest.CaptureFixture[str],
) -> None:
    executor = ClusterExecutor(Dies([{"CPU": 1}]), start_timeout_s=20)
    with pytest.raises(ClusterError, match=r"node-1: its agent ended with exit code 1"):
        executor.open(WorkerProgram(ChaosTrainable))


def test_a_request_that_no_node_can_meet_lists_the_nodes() -> None:
    executor = ClusterExecutor(LocalEngine([{"CPU": 2}, {"CPU": 4, "GPU": 1}]))
    assert executor.why_never(PlacementGroupFactory([{"CPU": 4}])) == ""
    assert executor.why_never(PlacementGroupFactory([{"CPU": 2}, {"CPU": 4}])) == ""
    reason = executor.why_never(PlacementGroupFactory([{"CPU": 5}]))
    assert "node-1: CPU 2; node-2: CPU 4, GPU 1" in reason
    assert executor.why_never(PlacementGroupFactory([{"CPU": 3}] * 2, "STRICT_PACK"))


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"node_timeout_s": 0}, "node_timeout_s"),
        ({"idle_s": -1}, "idle_s"),
        ({"start_timeout_s": 0}, "start_timeout_s"),
        ({"max_node_losses": -1}, "max_node_losses"),
        ({"start_method": "fork"}, "start_method"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(options: dict[str, float], name: str) -> None:
    with pytest.raises(ValueError, match=name):
        ClusterExecutor(LocalEngine([{"CPU": 1}]), **options)  # type: ignore[arg-type]


def test_a_slot_has_the_gpus_of_its_node() -> None:
    executor = ClusterExecutor(LocalEngine([{"CPU": 4, "GPU": 2}]))
    with session_of(executor) as session:
        request = PlacementGroupFactory([{"CPU": 1, "GPU": 1}])
        slots = [wait_for_slot(session, request) for _ in range(2)]
        assert {slot.gpu_ids for slot in slots} == {("0",), ("1",)}
        assert [slot.environment["CUDA_VISIBLE_DEVICES"] for slot in slots] == [
            slot.gpu_ids[0] for slot in slots
        ]
        plain = wait_for_slot(session, PlacementGroupFactory([{"CPU": 1}]))
        assert plain.environment["CUDA_VISIBLE_DEVICES"] == ""
        for slot in (*slots, plain):
            executor.release(slot)


def test_other_requests_get_what_idle_reservations_hold() -> None:
    executor = ClusterExecutor(LocalEngine([{"CPU": 2}]))
    with session_of(executor) as session:
        one = PlacementGroupFactory([{"CPU": 1}])
        for slot in [wait_for_slot(session, one) for _ in range(2)]:
            executor.release(slot)
        executor.release(wait_for_slot(session, PlacementGroupFactory([{"CPU": 2}])))
        executor.release(wait_for_slot(session, one))


@pytest.mark.long
def test_what_no_trial_needs_is_given_back() -> None:
    engine = LocalEngine([{"CPU": 2}])
    executor = ClusterExecutor(engine, idle_s=0.1)
    with session_of(executor) as session:
        executor.release(wait_for_slot(session, PlacementGroupFactory([{"CPU": 2}])))
        deadline = time.monotonic() + DEADLINE_S
        while not engine._placing.ask(10**9, [{"CPU": 2}], "PACK"):
            engine._placing.release(10**9)
            assert time.monotonic() < deadline
            executor.wait(0.1)


def test_a_node_that_joins_is_used() -> None:
    engine = LocalEngine([{"CPU": 1}])
    executor = ClusterExecutor(engine)
    with session_of(executor) as session:
        one = PlacementGroupFactory([{"CPU": 1}])
        first = wait_for_slot(session, one)
        assert executor.reserve(one) is None
        engine.add_node({"CPU": 1})
        second = wait_for_slot(session, one)
        assert {first.node, second.node} == {"node-1", "node-2"}


@pytest.mark.long
def test_workers_of_a_node_that_is_cut_off_end_before_their_end_is_told(tmp_path: Path) -> None:
    engine = CutOff()
    executor = ClusterExecutor(engine, node_timeout_s=2.0)
    with ExecutorSession(executor, ChaosTrainable, tmp_path) as session:
        worker = session.start()
        expect(session.answer(worker), messages.Ready)
        process = psutil.Process(session.process_id(worker))
        engine.is_cut = True
        exit = session.exit_of(worker)
        assert exit.node_lost and "has not answered for 2 s" in exit.describe()
        assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
        engine.is_cut = False
        again = session.start()
        expect(session.answer(again), messages.Ready)


@pytest.mark.long
def test_a_node_that_is_lost_too_often_is_left_out(tmp_path: Path) -> None:
    engine = LocalEngine([{"CPU": 1}])
    executor = ClusterExecutor(engine, node_timeout_s=1.0, max_node_losses=1)
    with ExecutorSession(executor, ChaosTrainable, tmp_path) as session:
        for _ in range(2):
            worker = session.start()
            expect(session.answer(worker), messages.Ready)
            os.kill(engine.agent_pids()["node-1"], signal.SIGKILL)
            assert session.exit_of(worker).node_lost
        why = executor.why_never(PlacementGroupFactory([{"CPU": 1}]))
        assert "no node left" in why and "The last one was lost: its agent" in why
        assert "localtune resume NAME --executor processes" in why
        assert executor.reserve(PlacementGroupFactory([{"CPU": 1}])) is None


PARENT = """
import sys
from localtune.execution.cluster.executor import ClusterExecutor
from localtune.execution.cluster.local import LocalEngine
import localtune as tune

def train(config):
    print("trial", flush=True)
    import threading
    threading.Event().wait()

engine = LocalEngine([{"CPU": 1}] * 2)
tune.Tuner(
    train,
    tune_config=tune.TuneConfig(num_samples=2),
    run_config=tune.RunConfig(name="run", storage_path=sys.argv[1], verbose=0),
    executor=ClusterExecutor(engine, node_timeout_s=2.0),
).fit()
"""


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A run with two trials that never end, both of which have started."""
    script = tmp_path / "sweep.py"
    script.write_text(PARENT)
    process = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process:
        try:
            assert [process.stdout.readline() for _ in range(2)] == ["trial\n"] * 2
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("signum", long_but([signal.SIGKILL], [signal.SIGKILL, signal.SIGSTOP]))
def test_agents_end_all_their_trials_when_the_parent_is_gone(
    parent: subprocess.Popen[str], signum: signal.Signals
) -> None:
    family = psutil.Process(parent.pid).children(recursive=True)
    assert len(family) >= 4
    os.kill(parent.pid, signum)
    _, alive = psutil.wait_procs(family, timeout=10)
    assert [each for each in alive if each.status() != psutil.STATUS_ZOMBIE] == []


UNREAD = """
import os, sys
from localtune.execution.cluster.executor import ClusterExecutor
from localtune.execution.cluster.local import LocalEngine
import localtune as tune

def train(config):
    for step in range(3):
        print("much " * 30_000, flush=True)
        tune.report({"step": step})

results = tune.Tuner(
    train,
    run_config=tune.RunConfig(name="run", storage_path=sys.argv[1], verbose=0),
    executor=ClusterExecutor(LocalEngine([{"CPU": 1}])),
).fit()
os.write(2, f"{results.num_terminated} ended".encode())
"""


@pytest.mark.long
def test_a_run_goes_on_when_the_reader_of_its_output_has_gone(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", UNREAD, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    with process:
        assert process.stderr.read() == "1 ended"
    assert process.returncode == 0


def session_of(executor: ClusterExecutor) -> ExecutorSession:
    return ExecutorSession(executor, ChaosTrainable, Path())


def wait_for_slot(session: ExecutorSession, request: PlacementGroupFactory) -> Slot:
    deadline = time.monotonic() + DEADLINE_S
    while (slot := session.executor.reserve(request)) is None:
        assert time.monotonic() < deadline, f"no slot for {request}"
        assert not any(isinstance(event, Exited) for event in session.executor.wait(0.1))
    return slot


def test_an_unknown_argument_of_an_engine_is_named_with_all_that_there_are() -> None:
    class Ours(ClusterExecutor):
        def __init__(self, address: str, **options: Any) -> None:
            check_options(type(self), options)
            super().__init__(LocalEngine([{"CPU": 1}]), **options)

    assert Ours("here", idle_s=1.0).resources() == {"CPU": 1}
    with pytest.raises(TypeError, match=r"Ours has no argument 'adress'\. .*'address'"):
        Ours("here", adress="there")


class WithoutModulesBeside(LocalEngine):
    """Its node finds no module in one directory of this process's path."""

    how_to_upload = "upload(it)"

    def __init__(self, directory: Path) -> None:
        super().__init__([{"CPU": 1}])
        self.directory = directory

    def make_relay(self, node_id: str) -> Relay:
        return Relay(node_id, path=[each for each in sys.path if each != str(self.directory)])


@pytest.mark.parametrize("how", ["imported by the trial", "of the trainable"])
def test_a_module_that_a_node_does_not_have_is_named_with_the_ways_to_bring_it_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    (tmp_path / "beside.py").write_text("def train(config):\n    pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    def train(config: dict[str, Any]) -> None:
        __import__("beside")

    monkeypatch.setitem(sys.modules, "beside", sys)  # So the module goes at the end of the test.
    del sys.modules["beside"]
    beside = __import__("beside")
    results = tune.Tuner(
        train if how == "imported by the trial" else beside.train,
        run_config=tune.RunConfig(name="run", storage_path=tmp_path, verbose=0),
        executor=ClusterExecutor(WithoutModulesBeside(tmp_path)),
    ).fit()
    [error] = results.errors
    assert "the node node-1. It has no module 'beside'." in str(error)
    assert "PYTHONPATH, or upload them: upload(it)." in str(error)
