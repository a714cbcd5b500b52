"""The program of a worker on its way through files: what it refers to comes back as it was."""

from __future__ import annotations

import io
import mmap
import os
import pickle
import sys
import threading
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pandas as pd
import pytest
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import localtune
from localtune.error import StorageError
from localtune.trainable.trainable import Trainable
from localtune.trainable.util import with_parameters
from localtune.utils.part_file import write_parts
from localtune.worker.program import WorkerProgram, data_path, load_program, load_program_bytes

LARGE = 300_000  # bytes that go through a map


class Reading(Trainable):
    def setup(self, config: dict[str, Any], data: Any = None) -> None:
        self.data = data


def program_with(data: Any) -> WorkerProgram:
    """A program that refers to data. (This process would know the values of parameters.)"""
    program: Any = (Reading, data)
    return WorkerProgram(program)


def written(path: Path, data: Any) -> str:
    """Writes a program into files."""
    with open(path, "wb") as file:
        parts = program_with(data).write(file)
    with open(data_path(str(path)), "wb") as file:
        write_parts(file.write, parts)
    return str(path)


def loaded(path: str) -> Any:
    """The data of a program that was written."""
    program: Any = load_program(path)
    return program[1]


def after_the_trip(path: Path, data: Any) -> Any:
    return loaded(written(path, data))


ARRAYS = hnp.arrays(
    st.one_of(
        hnp.scalar_dtypes(),
        hnp.unicode_string_dtypes(max_len=4),
        hnp.array_dtypes(max_size=3, allow_subarrays=False),
    ),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)


@st.composite
def arrays(draw: st.DrawFn) -> Any:
    """Small and large arrays, in each order, of each kind, read-only ones and views."""
    array = draw(ARRAYS)
    if draw(st.booleans()) and array.ndim:
        array = np.repeat(array, 2000, axis=draw(st.integers(0, array.ndim - 1)))
    change = draw(st.sampled_from(["none", "fortran", "transposed", "every second", "reversed"]))
    if change == "fortran":
        array = np.asfortranarray(array)
    elif change == "transposed":
        array = array.T
    elif change == "every second" and array.ndim:
        array = array[::2]
    elif change == "reversed" and array.ndim:
        array = array[::-1]
    if draw(st.booleans()):
        array.flags.writeable = False
    return array


@hypothesis.settings(max_examples=60, suppress_health_check=list(hypothesis.HealthCheck))
@hypothesis.given(arrays())
def test_arrays_come_back_as_from_any_pickle(tmp_path: Path, array: Any) -> None:
    again = after_the_trip(tmp_path / "program", array)
    usual = pickle.loads(pickle.dumps(array, pickle.HIGHEST_PROTOCOL))

    assert again.tobytes() == usual.tobytes()
    assert (again.dtype, again.shape, again.strides) == (usual.dtype, usual.shape, usual.strides)
    for flag in ("writeable", "c_contiguous", "f_contiguous", "aligned"):
        assert getattr(again.flags, flag) == getattr(usual.flags, flag)


@pytest.mark.parametrize(
    "value",
    [
        b"bytes" * LARGE,
        bytearray(b"array" * LARGE),
        {"objects": np.array([1, "two", None], dtype=object)},
        [np.ones(LARGE), np.ones(3), np.ones(0)],
        np.ma.masked_array(np.arange(LARGE), mask=np.arange(LARGE) % 2 == 0),
        [str(number) for number in range(20_000)],
    ],
    ids=["bytes", "bytearray", "objects", "several", "masked", "strings"],
)
def test_other_values_come_back_as_they_were(tmp_path: Path, value: Any) -> None:
    again = after_the_trip(tmp_path / "program", value)

    assert type(again) is type(value)
    assert str(again) == str(value)
    if not isinstance(value, (list, dict)):
        assert len(again) == len(value) and bytes(again) == bytes(value)


def test_frames_come_back_as_they_were(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "number": np.arange(50_000.0),
            "more": np.arange(50_000.0),
            "whole": np.arange(50_000),
            "text": [f"row {number}" for number in range(50_000)],
            "when": pd.date_range("2026-01-01", periods=50_000, freq="min"),
            "kind": pd.Categorical(["a", "b"] * 25_000),
        }
    )
    again = after_the_trip(tmp_path / "program", frame)

    pd.testing.assert_frame_equal(again, frame)
    again.loc[0, "number"] = -1.0
    pd.testing.assert_frame_equal(loaded(str(tmp_path / "program")), frame)


def test_an_array_is_in_the_files_once_and_in_memory_not_at_all(tmp_path: Path) -> None:
    array = np.ones(LARGE)
    file = io.BytesIO()
    (part,) = WorkerProgram(with_parameters(Reading, data=[array, array])).write(file)

    assert len(file.getvalue()) < 10_000
    assert part.obj is not None and part.nbytes == array.nbytes
    assert np.shares_memory(np.frombuffer(part), array)


def test_what_one_process_writes_into_an_array_the_next_one_does_not_see(tmp_path: Path) -> None:
    path = written(tmp_path / "program", np.ones(LARGE))
    first = loaded(path)
    first[:] = 2.0

    assert loaded(path).sum() == LARGE and first.sum() == 2 * LARGE


def test_data_that_cannot_be_mapped_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any, **options: Any) -> None:
        raise OSError(19, "No such device")

    monkeypatch.setattr(mmap, "mmap", refuse)
    again = after_the_trip(tmp_path / "program", np.ones(LARGE))

    again += 1.0
    assert again.sum() == 2 * LARGE


def test_a_program_without_data_has_one_file_only(tmp_path: Path) -> None:
    with open(tmp_path / "program", "wb") as file:
        assert WorkerProgram(Reading).write(file) == []

    assert load_program(str(tmp_path / "program")) is Reading


def test_in_one_piece_it_has_all_data() -> None:
    program: Any = load_program_bytes(program_with(np.ones(LARGE)).to_bytes())

    assert program[1].sum() == LARGE


def test_what_cannot_be_pickled_is_named(tmp_path: Path) -> None:
    program = WorkerProgram(with_parameters(Reading, data={"lock": threading.Lock()}))
    with pytest.raises(TypeError, match="item 'lock'"):
        program.write(io.BytesIO())


def test_a_full_disk_is_not_taken_for_an_object_that_cannot_be_pickled() -> None:
    class Full:
        def write(self, data: bytes) -> None:
            raise StorageError("full")

    with pytest.raises(StorageError, match="full"):
        program_with(["x"] * LARGE).write(Full())


@pytest.fixture
def main() -> Iterator[types.ModuleType]:
    """The main module, whose content is restored afterwards."""
    module = sys.modules["__main__"]
    before = dict(vars(module))
    yield module
    vars(module).clear()
    vars(module).update(before)


def test_code_of_the_main_module_comes_along(tmp_path: Path, main: types.ModuleType) -> None:
    scope: dict[str, Any] = {"__name__": main.__name__, "Trainable": Trainable}
    exec("class OfMain(Trainable):\n    def step(self):\n        return {'x': 1}", scope)
    with open(tmp_path / "program", "wb") as file:
        WorkerProgram(scope["OfMain"]).write(file)

    assert load_program(str(tmp_path / "program")).__name__ == "OfMain"
    assert not os.path.exists(data_path(str(tmp_path / "program")))


def test_what_trials_look_up_in_the_package_is_looked_up_with_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(vars(localtune), "report", raising=False)
    path = tmp_path / "program"
    with open(path, "wb") as file:
        WorkerProgram(Reading).write(file)
    load_program(os.fspath(path))
    assert "report" in vars(localtune)
