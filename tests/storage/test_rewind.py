"""Going back in ``result.json`` and ``progress.csv``, whatever they hold and wherever they tear."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import localtune as tune
from localtune.experiment.status import Status
from localtune.experiment.trial import Trial
from localtune.storage.history import read_results, rewind
from tests.logger.recorder import Recorder
from tests.records import make_trial
from tests.runs import first_time, fit, rows

NAMES = ("result.json", "progress.csv")
# What tells rows, cells and lines apart, and what only looks like it.
AWKWARD: list[Any] = [
    None,
    1,
    0.5,
    float("nan"),
    "a,b",
    'q"q',
    '"',
    "a\nb",
    "a\r\nb",
    "a\rb",
    "x\n",
    "",
]
AWKWARD += ["\x0c", "\u2028", "\x85", "ä", "\ud800", [1, "a\nb"], {"deep": '\n"'}]


def report_all(directory: Path, values: Sequence[Any]) -> Trial:
    """A trial that reports each value as ``note``, in its own column, and as its last column."""
    trial = make_trial(directory)
    recorder = Recorder()
    recorder.start(trial)
    for value in values:
        recorder.report(trial, note=value, nested={"note": value})
    recorder.end()
    return trial


def append(trial: Trial, count: int) -> None:
    """Goes on from where the trial's record stands, with loggers that know nothing of before."""
    recorder = Recorder()
    recorder.start(trial)
    for _ in range(count):
        recorder.report(trial, note="again", nested={"note": "again"})
    recorder.end()


def csv_rows(trial: Trial) -> list[list[str]]:
    with open(Path(trial.path, "progress.csv"), encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def json_iterations(trial: Trial) -> list[int]:
    return [result["training_iteration"] for result in read_results(trial.path)]


def csv_iterations(trial: Trial) -> list[int]:
    header, *body = csv_rows(trial)
    column = header.index("training_iteration")
    return [int(row[column]) for row in body]


@pytest.mark.parametrize("iteration", range(5))
@pytest.mark.parametrize("values", [[1, 2, 3, 4], ["a\nb", 'x"\r\n', "\u2028", "\x0c,"]])
def test_both_files_are_cut_back_to_an_iteration(
    values: list[Any], iteration: int, tmp_path: Path
) -> None:
    trial = report_all(tmp_path, values)
    before = csv_rows(trial)

    assert rewind(trial.path, iteration) == (iteration < 4)

    assert json_iterations(trial) == list(range(1, iteration + 1))
    assert csv_rows(trial) == (before[: iteration + 1] if iteration else [])


def test_what_is_kept_keeps_every_byte(tmp_path: Path) -> None:
    trial = report_all(tmp_path, AWKWARD)
    before = {name: Path(trial.path, name).read_bytes() for name in NAMES}

    rewind(trial.path, len(AWKWARD) - 1)

    for name in NAMES:
        after = Path(trial.path, name).read_bytes()
        assert before[name].startswith(after) and 0 < len(after) < len(before[name])


def test_nothing_to_cut_leaves_the_files_alone(tmp_path: Path) -> None:
    trial = report_all(tmp_path, [1, 2])
    before = [os.stat(os.path.join(trial.path, name)) for name in NAMES]

    assert not rewind(trial.path, 2)
    assert not rewind(trial.path, 99)

    assert [os.stat(os.path.join(trial.path, name)) for name in NAMES] == before


def test_without_files_there_is_nothing_to_cut(tmp_path: Path) -> None:
    assert not rewind(str(tmp_path), 0)
    assert os.listdir(tmp_path) == []


def test_only_one_of_the_files_may_be_there(tmp_path: Path) -> None:
    trial = report_all(tmp_path, [1, 2, 3])
    Path(trial.path, "result.json").unlink()

    assert rewind(trial.path, 1)
    assert csv_iterations(trial) == [1]


def test_several_rewinds_leave_each_iteration_once(tmp_path: Path) -> None:
    trial = report_all(tmp_path, ["a\nb"] * 6)

    for back_to, count in ((4, 1), (2, 5), (0, 3), (3, 2)):
        rewind(trial.path, back_to)
        trial.last_result = {"training_iteration": back_to}
        trial.status = Status.PENDING
        append(trial, count)
        assert (
            json_iterations(trial) == csv_iterations(trial) == list(range(1, back_to + count + 1))
        )


def test_a_header_without_rows_goes_or_is_kept_whole(tmp_path: Path) -> None:
    trial = report_all(tmp_path, [1])
    path = Path(trial.path, "progress.csv")
    header = path.read_bytes().splitlines(keepends=True)[0]

    for torn in (header, header[:-1], header[:-2], header[:10], b""):
        path.write_bytes(torn)
        rewind(trial.path, 0)
        assert path.read_bytes() in (b"", header)


def test_the_columns_are_those_of_the_new_first_result_after_going_back_to_the_start(
    tmp_path: Path,
) -> None:
    trial = report_all(tmp_path, [1, 2])

    rewind(trial.path, 0)
    recorder = Recorder()
    trial.last_result = {}
    trial.status = Status.PENDING
    recorder.start(trial)
    recorder.report(trial, other=3)
    recorder.end()

    assert "other" in csv_rows(trial)[0] and csv_iterations(trial) == [1]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [1, "ä", "x\n", 'a"\r\nb'])
def test_a_last_line_that_is_torn_anywhere_is_cut_off(
    value: Any, name: str, tmp_path: Path
) -> None:
    trial = report_all(tmp_path, [value] * 3)
    path = Path(trial.path, name)
    whole = path.read_bytes()
    rewind(trial.path, 2)
    kept = path.read_bytes()

    for end in range(len(kept) + 1, len(whole)):
        path.write_bytes(whole[:end])
        assert rewind(trial.path, 3)
        assert path.read_bytes() == kept


@settings(max_examples=60)
@given(
    values=st.lists(st.sampled_from(AWKWARD), min_size=1, max_size=5),
    iteration=st.integers(0, 6),
    cut=st.floats(0, 1),
)
def test_a_torn_file_becomes_whole_rows_up_to_the_iteration(
    values: list[Any], iteration: int, cut: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    trial = report_all(tmp_path_factory.mktemp("torn"), values)
    whole = csv_rows(trial)
    for name in NAMES:
        path = Path(trial.path, name)
        os.truncate(path, int(path.stat().st_size * cut))

    rewind(trial.path, iteration)

    kept = csv_rows(trial)
    assert kept == whole[: len(kept)] and len(kept) <= iteration + 1
    count = len(json_iterations(trial))
    assert json_iterations(trial) == list(range(1, count + 1)) and count <= iteration


# -- in runs ------------------------------------------------------------------------------------


def failing(config: dict[str, Any]) -> None:
    """Saves at each second step; fails once at step 4, after reporting it, and before step 6."""
    checkpoint = tune.get_checkpoint()
    start = 0 if checkpoint is None else int(Path(checkpoint.path, "step").read_text())
    for step in range(start + 1, 8):
        saved = None
        if step % 2 == 0 and step != 4:
            Path("made").mkdir(exist_ok=True)
            Path("made", "step").write_text(str(step))
            saved = tune.Checkpoint.from_directory("made")
        if step == 6 and first_time(config["marker"] + "_b"):
            raise ValueError("before step 6")
        tune.report({"step": step, "note": "two\nlines"}, checkpoint=saved)
        if step == 4 and first_time(config["marker"] + "_a"):
            raise ValueError("after step 4")


def test_after_retries_each_iteration_stands_once_in_each_file(tmp_path: Path) -> None:
    grid = fit(failing, tmp_path, {"marker": str(tmp_path / "marker")}, max_failures=2)

    (result,) = grid
    assert result.error is None
    assert [row["step"] for row in rows(result)] == [1, 2, 3, 4, 5, 6, 7]
    assert [row["training_iteration"] for row in rows(result)] == [1, 2, 3, 4, 5, 6, 7]
    with open(Path(result.path, "progress.csv"), encoding="utf-8", newline="") as file:
        assert [int(row["step"]) for row in csv.DictReader(file)] == [1, 2, 3, 4, 5, 6, 7]
    stats = grid._experiment_analysis.trials[0].metric_analysis["step"]
    assert (stats["avg"], stats["last-5-avg"]) == (pytest.approx(4), 5)
