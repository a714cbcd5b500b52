"""Workers are ended before memory runs out: which, when, and what is said about it."""

from __future__ import annotations

import math
import mmap
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.error import WorkerDiedError
from localtune.execution import machine
from localtune.execution.executor import WorkerExit
from localtune.execution.process.cgroup import Cgroup
from localtune.execution.process.memory_usage import _portable_process_bytes, tree_bytes
from localtune.execution.process.memory_watch import MemoryWatch, default_reserve_bytes
from localtune.resources import resource_dict_to_pg_factory
from localtune.testing.executor_contract import ExecutorSession, expect
from localtune.trainable.function_trainable import wrap_function
from localtune.trial.trial import Trial
from localtune.worker import messages
from localtune.worker.assignment import assignment_of
from tests.runs.lifecycle.programs import START_METHODS, wait_until
from tests.small_runs import fit, rows, statuses

MB = 1_000_000


# -- decisions -------------------------------------------------------------------------------------


class Scene:
    """A watch over workers that hold what the test says."""

    def __init__(self, reserve: float = 1000 * MB, left: int = 5000 * MB) -> None:
        self.left = left
        self.held: dict[int, int] = {}
        self.exact: dict[int, int] = {}
        self.looks: list[tuple[int, bool]] = []
        self.watch = MemoryWatch(1.0, reserve, left=lambda: self.left, held_by=self._held_by)

    def _held_by(self, pid: int, exact: bool) -> int:
        self.looks.append((pid, exact))
        return self.exact.get(pid, self.held[pid]) if exact else self.held[pid]

    def add(self, worker_id: int, held: int, request: float | None = None) -> None:
        resources = {"cpu": 1.0} if request is None else {"cpu": 1.0, "memory": request}
        trial = Trial(
            "trial",
            trial_id=f"{worker_id}",
            experiment_path="/nowhere",
            placement_group_factory=resource_dict_to_pg_factory(resources),
        )
        self.watch.assign(worker_id, assignment_of(trial))
        self.held[worker_id] = held

    def look(self) -> list[int]:
        return [each.worker_id for each in self.watch.look({pid: pid for pid in self.held})]

    def end(self, worker_id: int, code: int | None = -9, note: str = "") -> WorkerExit:
        del self.held[worker_id]
        return self.watch.release(worker_id, WorkerExit(code, note))


def test_no_worker_is_measured_while_enough_is_left_and_no_trial_requests_memory() -> None:
    scene = Scene()
    scene.add(1, 400 * MB)
    scene.add(2, 90_000 * MB)
    assert scene.look() == []
    assert scene.looks == []


def test_a_worker_beyond_its_request_goes_and_the_note_has_the_figures() -> None:
    scene = Scene()
    scene.add(1, 300 * MB, request=100 * MB)
    scene.add(2, 99 * MB, request=100 * MB)
    scene.add(3, 700 * MB)
    assert scene.look() == [1]
    exit = scene.end(1)
    assert exit.exit_code == -9
    assert not exit.out_of_memory
    assert exit.describe() == (
        "The worker process was killed by SIGKILL: its processes held 286.1 MiB of memory, and "
        "its trial asked for 95.4 MiB; 4.7 GiB was left. Also running: trial_3 667.6 MiB, trial_2 "
        '94.4 MiB. Ask for more (with_resources, "memory"), or let the trial use less.'
    )


def test_what_a_worker_shares_with_others_does_not_count_against_its_request() -> None:
    scene = Scene()
    scene.add(1, 300 * MB, request=100 * MB)
    scene.exact[1] = 80 * MB
    assert scene.look() == []
    assert scene.looks == [(1, False), (1, True)]


def test_when_memory_is_short_the_youngest_that_holds_much_goes() -> None:
    scene = Scene(left=900 * MB)
    scene.add(1, 900 * MB)
    scene.add(2, 800 * MB)
    scene.add(3, 200 * MB)  # little beside the others
    scene.add(4, 1 * MB)
    assert scene.look() == [2]
    exit = scene.end(2)
    assert exit.out_of_memory
    assert "memory ran short: 858.3 MiB was left, less than the reserve of 953.7 MiB" in exit.note
    assert "its processes held 762.9 MiB" in exit.note
    assert "trial_1 858.3 MiB, trial_3 190.7 MiB, trial_4 976.6 KiB" in exit.note


def test_a_worker_that_got_another_trial_is_young_again() -> None:
    scene = Scene(left=0)
    scene.add(1, 900 * MB)
    scene.add(2, 900 * MB)
    scene.add(1, 900 * MB)
    assert scene.look() == [1]


def test_the_next_one_goes_only_when_the_one_before_has_ended() -> None:
    scene = Scene(left=0)
    scene.add(1, 900 * MB)
    scene.add(2, 900 * MB)
    assert scene.look() == [2]
    assert scene.look() == []
    scene.end(2)
    assert scene.look() == [1]


def test_workers_that_hold_next_to_nothing_are_not_to_blame() -> None:
    scene = Scene(left=0)
    scene.add(1, 10 * MB)
    scene.add(2, 60 * MB)
    assert scene.look() == []


def test_a_reserve_of_zero_never_ends_anybody() -> None:
    scene = Scene(reserve=0, left=0)
    scene.add(1, 900 * MB)
    assert scene.look() == []


def test_many_neighbours_are_summed_up() -> None:
    scene = Scene(left=0)
    for worker_id in range(1, 10):
        scene.add(worker_id, 900 * MB)
    assert scene.look() == [9]
    assert "3 more 2.5 GiB." in scene.end(9).note


def test_an_end_for_another_reason_keeps_it() -> None:
    scene = Scene(left=0)
    for worker_id in range(1, 5):
        scene.add(worker_id, 900 * MB)
    assert scene.end(1, 0) == WorkerExit(0)
    assert scene.end(2, -9, "killed by localtune") == WorkerExit(-9, "killed by localtune")
    assert scene.end(3, -11) == WorkerExit(-11)
    assert scene.look() == [4]
    assert scene.end(4, 0) == WorkerExit(0), "it came to its end before the signal came"


def test_a_worker_that_the_kernel_ended_for_want_of_memory_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    count = 3
    monkeypatch.setattr(machine, "oom_kill_count", lambda: count)
    scene = Scene()
    for worker_id in (1, 2, 3):
        scene.add(worker_id, MB)
    assert scene.end(1) == WorkerExit(-9)
    count = 4
    exit = scene.end(2)
    assert exit.out_of_memory
    assert "the kernel ended it, because memory ran out" in exit.describe()
    assert scene.end(3) == WorkerExit(-9)


def test_memory_is_looked_at_more_often_when_it_gets_short() -> None:
    scene = Scene()
    assert scene.watch.seconds_left() is None
    scene.add(1, MB)
    scene.look()
    assert (scene.watch.seconds_left() or 0.0) > 0.5
    scene.left = 3000 * MB
    scene.look()
    assert (scene.watch.seconds_left() or 1.0) < 0.5


@pytest.mark.parametrize(
    ("total", "reserve"),
    [(2**29, 2**29 / 10), (2**32, 200 * 2**20), (2**35, 0.03 * 2**35), (2**40, 2**31)],
)
def test_the_reserve_fits_small_and_large_machines(total: float, reserve: float) -> None:
    assert math.isclose(default_reserve_bytes(total), reserve)


@pytest.mark.parametrize(
    ("name", "value"),
    [("memory_check_s", 0), ("memory_check_s", -1), ("memory_reserve_bytes", -1)],
)
def test_a_setting_that_makes_no_sense_is_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} must be .* but got {value}"):
        tune.ProcessExecutor(**{name: value})  # type: ignore[arg-type]


# -- measuring -------------------------------------------------------------------------------------

HOLDER = (
    "import os, sys, time\n"
    "held = bytearray(b'x') * 60_000_000\n"
    "child = os.fork() if len(sys.argv) > 1 else 0\n"
    "print('ready', flush=True)\n"
    "time.sleep(600)\n"
)


@pytest.fixture
def holder(request: pytest.FixtureRequest) -> Iterator[int]:
    """A process that holds 60 MB, with the parameter it is forked when it holds them."""
    arguments = [sys.executable, "-S", "-c", HOLDER, *request.param]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    for _ in range(1 + len(request.param)):
        process.stdout.readline()
    yield process.pid
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()


@pytest.mark.parametrize("holder", [[]], indirect=True)
def test_the_memory_of_a_process_is_the_part_that_it_has_written_to(holder: int) -> None:
    for amount in (
        tree_bytes(holder),
        tree_bytes(holder, exact=True),
        _portable_process_bytes(holder, exact=False),
        _portable_process_bytes(holder, exact=True),
    ):
        assert 60 * MB < amount < 90 * MB


@pytest.mark.parametrize("holder", [["fork"]], indirect=True)
def test_shared_memory_counts_once_where_it_is_counted_exactly(holder: int) -> None:
    assert tree_bytes(holder) > 120 * MB
    assert 60 * MB < tree_bytes(holder, exact=True) < 90 * MB


def test_a_process_that_has_ended_holds_nothing() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert tree_bytes(process.pid) == tree_bytes(process.pid, exact=True) == 0


def test_a_file_that_is_mapped_into_memory_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(b"x" * 80 * MB)
    before = tree_bytes(os.getpid(), exact=True)
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as data:
        assert data[:: mmap.PAGESIZE].count(b"x") == len(data[:: mmap.PAGESIZE])
        assert tree_bytes(os.getpid(), exact=True) - before < 40 * MB


def test_what_is_left_is_no_more_than_there_is() -> None:
    assert 0 < machine.memory_left_bytes() < machine.memory_bytes()
    assert machine.oom_kill_count() >= 0


@pytest.mark.parametrize(
    ("membership", "files", "left"),
    [
        ("0::/job\n", {}, None),
        ("0::/job\n", {"job/memory.max": "max", "job/memory.current": "5"}, None),
        ("0::/job\n", {"job/memory.max": "1000", "job/memory.current": "900"}, 100),
        (
            "0::/job\n",
            {
                "job/memory.max": "1000",
                "job/memory.current": "900",
                "job/memory.stat": "anon 500\ninactive_file 200\nactive_file 100\n",
                "memory.max": "2000",
                "memory.current": "1950",
            },
            50,
        ),
        (
            "4:memory:/job\n",
            {
                "memory/job/memory.limit_in_bytes": "1000",
                "memory/job/memory.usage_in_bytes": "900",
                "memory/job/memory.stat": "inactive_file 1\ntotal_inactive_file 300\n",
                "memory/memory.limit_in_bytes": str(2**63 - 4096),
                "memory/memory.usage_in_bytes": "123456",
            },
            400,
        ),
    ],
)
def test_the_tightest_control_group_limits_the_memory_that_is_left(
    tmp_path: Path, membership: str, files: dict[str, str], left: int | None
) -> None:
    cgroup = make_cgroup(tmp_path, membership, files)
    assert cgroup.memory_left() == left
    assert machine.memory_left_bytes(cgroup) >= 0
    if left is not None:
        assert machine.memory_left_bytes(cgroup) == left


@pytest.mark.parametrize(
    ("membership", "files", "count"),
    [
        ("0::/job\n", {"job/memory.events": "oom 4\noom_kill 3\n"}, 3),
        ("4:memory:/job\n", {"memory/job/memory.oom_control": "under_oom 0\noom_kill 2"}, 2),
        ("0::/job\n", {}, None),
    ],
)
def test_a_control_group_counts_processes_that_the_kernel_has_killed(
    tmp_path: Path, membership: str, files: dict[str, str], count: int | None
) -> None:
    cgroup = make_cgroup(tmp_path, membership, files)
    assert cgroup.oom_kill_count() == count
    if count is not None:
        assert machine.oom_kill_count(cgroup) == count


def make_cgroup(tmp_path: Path, membership: str, files: dict[str, str]) -> Cgroup:
    (tmp_path / "membership").write_text(membership)
    for name, text in files.items():
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Cgroup(str(tmp_path / "root"), str(tmp_path / "membership"))


# -- real workers ----------------------------------------------------------------------------------


def holds(config: dict[str, Any]) -> None:
    """Takes as much memory as ``config["bytes"]`` says, and a breath; goes on when it may."""
    kept = bytearray(b"x") * config["bytes"]
    Path("held").touch()
    tune.report({"held": len(kept)})
    for number in range(config.get("reports", 1)):
        if "go" in config:
            wait_until(Path(config["go"]).exists, "the test lets it go on")
        tune.report({"held": len(kept), "number": number})


def waits_in_a_child(config: dict[str, Any]) -> None:
    """The same in a process of its own."""
    subprocess.run([sys.executable, "-S", "-c", HOLDER], check=False)


def executor(start_method: str = "template", **options: Any) -> tune.ProcessExecutor:
    options = {"memory_reserve_bytes": 0, "memory_check_s": 0.05, **options}
    return tune.ProcessExecutor(num_cpus=4, start_method=start_method, **options)


@pytest.mark.parametrize("start_method", START_METHODS)
def test_a_trial_that_takes_more_than_it_asked_for_dies_alone(
    tmp_path: Path, start_method: str
) -> None:
    never = str(tmp_path / "never")
    space = {
        "bytes": tune.grid_search([200 * MB, 1 * MB]),
        "go": tune.sample_from(lambda config: never if config["bytes"] > MB else str(tmp_path)),
    }
    asking = tune.with_resources(holds, {"cpu": 1, "memory": 100 * MB})
    grid = fit(asking, tmp_path, space, executor=executor(start_method))
    assert statuses(grid) == ["ERROR", "TERMINATED"]
    error = grid[0].error
    assert isinstance(error, WorkerDiedError)
    assert error.exit_code == -signal.SIGKILL
    assert "of memory, and its trial asked for 95.4 MiB" in str(error)
    assert "likely" not in str(error)
    assert "asked for 95.4 MiB" in Path(grid[0].path, "error.txt").read_text()


def test_what_a_trial_has_started_counts_too(tmp_path: Path) -> None:
    asking = tune.with_resources(waits_in_a_child, {"cpu": 1, "memory": 50 * MB})
    grid = fit(asking, tmp_path, executor=executor())
    assert "its trial asked for 47.7 MiB" in str(grid[0].error)


def test_without_a_watch_no_worker_is_killed(tmp_path: Path) -> None:
    asking = tune.with_resources(holds, {"cpu": 1, "memory": 10 * MB})
    watchless = executor(memory_check_s=None, memory_reserve_bytes=10**18)
    grid = fit(asking, tmp_path, {"bytes": 100 * MB}, executor=watchless)
    assert statuses(grid) == ["TERMINATED"]


def test_when_the_machine_is_short_the_youngest_goes_first(tmp_path: Path) -> None:
    short = executor(memory_reserve_bytes=10**18)
    never = str(tmp_path / "never")
    with ExecutorSession(short, wrap_function(holds), tmp_path) as session:
        workers = [session.start({"bytes": 100 * MB, "go": never}) for _ in range(2)]
        small = session.start({"bytes": 1, "go": never})
        for worker in (*workers, small):
            expect(session.answer(worker), messages.Ready)
        for worker in (*workers, small):
            session.executor.send(worker, messages.Train())
        # The executor looks at memory within its waits only.
        holding = [tmp_path / f"trial_{worker}" / "held" for worker in (*workers, small)]
        wait_until(lambda: all(each.exists() for each in holding), "all hold their memory")
        first = session.exit_of(workers[1])
        assert workers[0] in session.executor.process_ids()
        second = session.exit_of(workers[0])
        for exit in (first, second):
            assert exit.exit_code == -signal.SIGKILL
            assert exit.out_of_memory
            assert "memory ran short" in exit.note
        assert "Also running: trial_1 " in first.note
        assert "Also running: trial_3 " in second.note
        assert small in session.executor.process_ids()


def test_after_a_shortage_the_trial_is_tried_again_with_fewer_neighbours(tmp_path: Path) -> None:
    short = executor(memory_reserve_bytes=10**18, memory_check_s=0.02)
    space = {"bytes": tune.grid_search([100 * MB, 101 * MB]), "go": str(tmp_path / "never")}
    grid = fit(holds, tmp_path, space, executor=short, max_failures=2)
    # A machine that is always short: each is tried as often as it may be, and the run ends.
    assert statuses(grid) == ["ERROR", "ERROR"]
    assert [Path(each.path, "error.txt").read_text().count("Failure #") for each in grid] == [3, 3]


def test_workers_are_ended_by_the_kernel_before_their_parent(tmp_path: Path) -> None:
    def train(config: dict[str, Any]) -> dict[str, Any]:
        child = [sys.executable, "-S", "-c", "print(open('/proc/self/oom_score_adj').read())"]
        own = Path("/proc/self/oom_score_adj").read_text()
        return {"own": int(own), "child": int(subprocess.check_output(child))}

    before = Path("/proc/self/oom_score_adj").read_text()
    for start_method in START_METHODS:
        grid = fit(train, tmp_path, name=start_method, executor=executor(start_method))
        assert (rows(grid[0])[0]["own"], rows(grid[0])[0]["child"]) == (500, 500)
    assert Path("/proc/self/oom_score_adj").read_text() == before
