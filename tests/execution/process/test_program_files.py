"""Where the program of the workers and its data go, and that nothing of them stays."""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import localtune as tune
from localtune.error import StorageError
from localtune.execution import machine
from localtune.execution.process import program_files
from localtune.execution.process.program_files import write_program
from localtune.utils import private_dir
from localtune.utils.private_dir import PREFIX, PrivateDir
from localtune.worker.program import WorkerProgram, data_path, load_program
from tests.runs.lifecycle.programs import START_METHODS, running, wait_until
from tests.small_runs import fit

DATA = np.arange(2_000_000.0)


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands for the file system in memory."""
    path = tmp_path / "memory"
    path.mkdir()
    monkeypatch.setattr(private_dir, "MEMORY_ROOT", str(path))
    return path


@pytest.fixture
def directory() -> Iterator[PrivateDir]:
    made = PrivateDir()
    yield made
    made.remove()


@contextlib.contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Has no room for larger files, as a full file system has none."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def program(data: Any) -> WorkerProgram:
    """A program that refers to data. (This process would know the values of parameters.)"""
    both: Any = (tune.Trainable, data)
    return WorkerProgram(both)


def sum_of(path: str) -> float:
    """The sum of the data of a program that was written."""
    both: Any = load_program(path)
    return float(both[1].sum())


def test_large_data_goes_to_memory_and_goes_with_the_directory(
    memory: Path, directory: PrivateDir
) -> None:
    path = write_program(program(DATA), directory)

    (other,) = memory.iterdir()
    assert Path(data_path(path)).resolve().parent == other
    assert other.stat().st_mode & 0o777 == 0o700
    assert sum_of(path) == DATA.sum()
    directory.remove()
    assert list(memory.iterdir()) == [] and not os.path.exists(directory.path)


def test_data_that_somebody_has_removed_is_named(memory: Path, directory: PrivateDir) -> None:
    path = write_program(program(DATA), directory)
    (other,) = memory.iterdir()
    Path(data_path(path)).resolve().unlink()

    with pytest.raises(StorageError, match=rf"is not in {other}.*RemoveIPC.*restore"):
        load_program(path)


def test_a_program_that_is_pickled_already_is_written_as_it_is(directory: PrivateDir) -> None:
    path = write_program(program(DATA[:3]).to_bytes(), directory)

    assert sum_of(path) == 3.0
    assert not os.path.lexists(data_path(path))


def test_small_data_stays(memory: Path, directory: PrivateDir) -> None:
    path = write_program(program(DATA[:100_000]), directory)

    assert os.path.isfile(data_path(path)) and list(memory.iterdir()) == []
    assert sum_of(path) == DATA[:100_000].sum()


@pytest.mark.parametrize("short_of", ["memory", "a place for it", "room there"])
def test_where_memory_is_short_data_goes_to_the_disk(
    memory: Path, directory: PrivateDir, monkeypatch: pytest.MonkeyPatch, short_of: str
) -> None:
    if short_of == "memory":
        monkeypatch.setattr(machine, "memory_left_bytes", lambda: 2 * DATA.nbytes - 1)
    elif short_of == "room there":
        monkeypatch.setattr(program_files, "_MOST_SHARE", 0.0)
    else:
        monkeypatch.setattr(private_dir, "MEMORY_ROOT", "")

    path = write_program(program(DATA), directory)

    assert list(memory.iterdir()) == []
    assert os.path.isfile(data_path(path)) and not os.path.islink(data_path(path))
    assert sum_of(path) == DATA.sum()


def test_a_file_system_in_memory_that_is_full_leads_to_the_disk_and_one_notice(
    memory: Path,
    directory: PrivateDir,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    write = program_files._write

    def write_into_full(parts: Any, place: PrivateDir, name: str) -> None:
        with contextlib.ExitStack() as stack:
            if Path(place.path).parent == memory:
                stack.enter_context(largest_file(1_000_000))
            write(parts, place, name)

    monkeypatch.setattr(program_files, "_write", write_into_full)
    with caplog.at_level(logging.WARNING, "localtune"):
        path = write_program(program(DATA), directory)

    (record,) = caplog.records
    assert f"cannot be written to {memory}: it goes to {directory.path}" in record.getMessage()
    assert "File too large" in record.getMessage()
    assert list(memory.iterdir()) == []
    assert sum_of(path) == DATA.sum()


def test_a_disk_that_is_full_is_an_error_that_leaves_nothing(
    memory: Path, directory: PrivateDir
) -> None:
    with (
        largest_file(1_000_000),
        pytest.raises(StorageError, match=r"File too large.*TMPDIR") as caught,
    ):
        write_program(program(DATA), directory)
    assert f"{directory.path}{os.sep}" in str(caught.value)
    assert list(memory.iterdir()) == [] and not os.path.exists(directory.path)


def test_a_program_that_cannot_be_pickled_leaves_nothing(
    memory: Path, directory: PrivateDir
) -> None:
    with pytest.raises(TypeError, match="cannot be sent"):
        write_program(program(threading.Lock()), directory)
    assert not os.path.exists(directory.path)


def in_place(config: dict[str, Any], data: Any) -> None:
    """Reports what it finds, then changes it."""
    tune.report({"found": float(data[config["at"]]), "sum": float(data.sum())})
    data[:] = -1.0
    tune.report({"found": float(data[config["at"]]), "sum": float(data.sum())})


@pytest.mark.parametrize("method", START_METHODS)
def test_each_trial_gets_the_original_and_may_write_to_it(method: str, tmp_path: Path) -> None:
    grid = fit(
        tune.with_parameters(in_place, data=DATA),
        tmp_path,
        {"at": tune.grid_search([0, 1, 1_999_999])},
        executor=tune.ProcessExecutor(num_cpus=2, start_method=method),
    )

    for result in grid:
        first, last = result.metrics_dataframe.to_dict("records")
        assert (first["found"], first["sum"]) == (result.config["at"], DATA.sum())
        assert (last["found"], last["sum"]) == (-1.0, -float(DATA.size))
    assert DATA.sum() == np.arange(2_000_000.0).sum()


KILLED = """
import os, pathlib, signal, sys
import numpy
import localtune as tune
from localtune.utils import private_dir
private_dir.MEMORY_ROOT = os.path.abspath("memory")
def train(config, data):
    pathlib.Path(config["seen"]).write_text(str(data.sum()))
    signal.pause()
if __name__ == "__main__":
    tune.Tuner(
        tune.with_parameters(train, data=numpy.ones(2_000_000)),
        param_space={"seen": os.path.abspath("seen")},
        run_config=tune.RunConfig(storage_path=os.path.abspath("results"), verbose=0),
        executor=tune.ProcessExecutor(num_cpus=1, start_method=sys.argv[1]),
    ).fit()
"""


@pytest.mark.parametrize("method", START_METHODS)
def test_data_in_memory_goes_with_a_parent_that_is_killed(method: str, tmp_path: Path) -> None:
    memory, temporary, seen = (tmp_path / name for name in ("memory", "temporary", "seen"))
    memory.mkdir()
    temporary.mkdir()
    (tmp_path / "sweep.py").write_text(KILLED)
    environment = {
        **os.environ,
        "TMPDIR": str(temporary),
        "PYTHONPATH": str(Path(tune.__file__).parents[1]),
    }
    with running(["sweep.py", method], tmp_path, env=environment) as parent:
        wait_until(lambda: seen.exists() and seen.read_text(), "the trial has read its data")
        assert [path.name.startswith(PREFIX) for path in memory.iterdir()] == [True]
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        wait_until(lambda: not [*memory.iterdir(), *temporary.glob(f"{PREFIX}*")], "all is removed")
