"""``result.json`` and ``progress.csv`` say what the record says, whatever is done to them."""

from __future__ import annotations

import csv
import json
import logging
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import localtune as tune
from localtune.trial.history_files import read_results
from localtune.trial.status import Status
from localtune.trial.trial import Trial
from tests.logger.recorder import Recorder
from tests.records import make_trial
from tests.small_runs import first_time, fit, rows

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


def begin(directory: Path, values: Sequence[Any]) -> tuple[Recorder, Trial]:
    """A running trial that reported each value as ``note``, also nested and in its last column."""
    trial = make_trial(directory, config={"lr": 0.1})
    recorder = Recorder()
    recorder.start(trial)
    for value in values:
        recorder.report(trial, note=value, nested={"note": value})
    return recorder, trial


def start_again(recorder: Recorder, trial: Trial, count: int) -> None:
    """A worker takes the trial up from its first results."""
    recorder.rewind(trial, count)
    trial.status = Status.PENDING
    recorder.start(trial)


def csv_rows(trial: Trial) -> list[list[str]]:
    with open(Path(trial.path, "progress.csv"), encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def iterations(trial: Trial) -> list[int]:
    """What both files say."""
    of_json = [result["training_iteration"] for result in read_results(trial.path)]
    header, *body = csv_rows(trial) or [["training_iteration"]]
    column = header.index("training_iteration")
    assert [int(row[column]) for row in body] == of_json
    return of_json


# -- going back -----------------------------------------------------------------------------------


@pytest.mark.parametrize("count", range(5))
@pytest.mark.parametrize("is_told", [True, False])
@pytest.mark.parametrize("values", [[1, 2, 3, 4], ["a\nb", 'x"\r\n', "\u2028", "\x0c,"]])
def test_a_trial_that_goes_back_finds_its_first_results(
    values: list[Any], is_told: bool, count: int, tmp_path: Path
) -> None:
    recorder, trial = begin(tmp_path, values)
    before = csv_rows(trial)
    whole = {name: Path(trial.path, name).read_bytes() for name in NAMES}
    if is_told:
        recorder.recover(trial)

    start_again(recorder, trial, count)

    assert iterations(trial) == list(range(1, count + 1))
    assert csv_rows(trial) == (before[: count + 1] if count else [])
    assert all(whole[name].startswith(Path(trial.path, name).read_bytes()) for name in NAMES)
    recorder.report(trial, note="again", nested={"note": "again"})
    assert iterations(trial) == list(range(1, count + 2))
    recorder.end()
    assert sorted(os.listdir(trial.path)) == ["params.json", "params.pkl", *sorted(NAMES)]


def test_several_ways_back_leave_each_iteration_once(tmp_path: Path) -> None:
    recorder, trial = begin(tmp_path, ["a\nb"] * 6)

    for back_to, more in ((4, 1), (2, 5), (0, 3), (3, 2)):
        start_again(recorder, trial, back_to)
        for _ in range(more):
            recorder.report(trial, note="again")
        assert iterations(trial) == list(range(1, back_to + more + 1))
    recorder.end()


def test_a_trial_that_comes_back_where_it_was_leaves_the_files_alone(tmp_path: Path) -> None:
    recorder, trial = begin(tmp_path, [1, 2])
    before = [os.stat(os.path.join(trial.path, name)) for name in NAMES]

    start_again(recorder, trial, 2)

    assert [os.stat(os.path.join(trial.path, name)) for name in NAMES] == before
    recorder.end()


def test_the_columns_are_those_of_the_results_that_are_left(tmp_path: Path) -> None:
    recorder, trial = begin(tmp_path, [1, 2])

    start_again(recorder, trial, 0)
    recorder.report(trial, other=3)
    recorder.end()

    assert csv_rows(trial)[0] == ["training_iteration", "trial_id", "other"]


# -- after a crash --------------------------------------------------------------------------------


def mended(recorder: Recorder, trial: Trial) -> None:
    """Another process takes the trial up, with loggers that know nothing of before."""
    later = Recorder()
    later.take_over(recorder)
    start_again(later, trial, trial.result_count)
    later.end()


def _cut_out(data: bytes) -> bytes:
    return data[: len(data) // 3] + data[len(data) // 2 :]


DAMAGE: dict[str, Callable[[bytes], bytes | None]] = {
    "missing": lambda data: None,
    "emptied": lambda data: b"",
    "torn": lambda data: data[:-7],
    "torn early": lambda data: data[:7],
    "a line is lost": lambda data: b"".join(data.splitlines(keepends=True)[:-1]),
    "a line in the middle is lost": lambda data: b"".join(
        line for n, line in enumerate(data.splitlines(keepends=True)) if n != 1
    ),
    "twice": lambda data: data * 2,
    "zeros in the middle": lambda data: data[:100] + bytes(64) + data[164:],
    "zeros at the end": lambda data: data[:-80] + bytes(80),
    "zeros": lambda data: bytes(len(data)),
    "garbled in the middle": lambda data: data[:150] + b'\xff{"x\r\n,,' + data[160:],
    "cut out": _cut_out,
    "garbled from the start": lambda data: b"\x01\x02\x03\x04" + data[4:],
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("name", NAMES)
def test_whatever_is_missing_or_garbled_comes_back_from_the_record(
    tmp_path: Path, name: str, damage: str
) -> None:
    recorder, trial = begin(tmp_path, [1, "a\nb", 2.5, "x" * 200, None])
    whole = {each: Path(trial.path, each).read_bytes() for each in NAMES}
    data = DAMAGE[damage](whole[name])
    Path(trial.path, name).unlink()
    if data is not None:
        Path(trial.path, name).write_bytes(data)

    mended(recorder, trial)

    assert {each: Path(trial.path, each).read_bytes() for each in NAMES} == whole


@pytest.mark.parametrize("damage", ["torn", "zeros in the middle", "zeros", "twice"])
@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_holds_nothing_else_than_results_is_not_kept(
    tmp_path: Path, name: str, damage: str
) -> None:
    recorder, trial = begin(tmp_path, [1, 2, 3])
    path = Path(trial.path, name)
    path.write_bytes(DAMAGE[damage](path.read_bytes()) or b"")

    mended(recorder, trial)

    kept = [each for each in os.listdir(trial.path) if "aside" in each]
    # What is twice in a table has a header among its rows.
    assert kept == (["progress.csv.aside"] if (name, damage) == (NAMES[1], "twice") else [])


@settings(max_examples=60)
@given(
    values=st.lists(st.sampled_from(AWKWARD), min_size=1, max_size=5),
    count=st.integers(0, 5),
    cut=st.floats(0, 1),
)
def test_torn_files_come_back_up_to_any_result(
    values: list[Any], count: int, cut: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    recorder, trial = begin(tmp_path_factory.mktemp("torn"), values)
    recorder.rewind(trial, min(count, len(values)))
    for name in NAMES:
        path = Path(trial.path, name)
        os.truncate(path, int(path.stat().st_size * cut))

    mended(recorder, trial)

    assert iterations(trial) == list(range(1, min(count, len(values)) + 1))


# -- files of the user's own ----------------------------------------------------------------------


MINE = b'{"mine": 1}\n'


def _write(path: Path) -> None:
    path.write_bytes(MINE)


def _replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(MINE)
    other.replace(path)


def _append(path: Path) -> None:
    with open(path, "ab") as file:
        file.write(MINE)


def _make_directory(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.mkdir()
    (path / "mine").write_bytes(MINE)


def _make_link(path: Path) -> None:
    path.unlink(missing_ok=True)
    target = path.with_name("target")
    target.write_bytes(MINE)
    path.symlink_to(target)


DEEDS = [_write, _replace, _append, _make_directory, _make_link]


def user_content(trial_dir: str) -> list[bytes]:
    found = [path.read_bytes() for path in Path(trial_dir).rglob("*") if path.is_file()]
    return [data for data in found if MINE in data]


@pytest.mark.parametrize("deed", DEEDS)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("when", ["before", "between results", "after the last", "for the next"])
def test_what_the_user_put_there_is_kept_and_the_history_goes_on(
    tmp_path: Path,
    name: str,
    deed: Callable[[Path], None],
    when: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    trial = make_trial(tmp_path)
    path = Path(trial.path, name)
    recorder = Recorder()
    if when == "before":
        deed(path)
    recorder.start(trial)
    with caplog.at_level(logging.WARNING):
        for step in range(4):
            if when == "between results" and step == 2:
                deed(path)
            recorder.report(trial, step=step)
        if when in ("after the last", "for the next"):
            deed(path)
        if when == "for the next":
            mended(recorder, trial)
        else:
            recorder.complete(trial)
            recorder.end()

    assert iterations(trial) == [1, 2, 3, 4]
    assert (
        MINE in path.with_name(f"{name}.aside").read_bytes() if deed is not _make_directory else 1
    )
    assert len(user_content(trial.path)) >= 1
    assert not path.is_symlink()
    said = [each for each in caplog.messages if "is not what localtune wrote" in each]
    assert len(said) == 1


@pytest.mark.parametrize("deed", [_write, _replace, _append, Path.unlink])
def test_who_fights_for_the_name_has_it_until_the_end(
    tmp_path: Path, deed: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    trial = make_trial(tmp_path)
    recorder = Recorder()
    recorder.start(trial)
    for step in range(50):
        deed(Path(trial.path, "result.json"))
        recorder.report(trial, step=step)
        if deed is not Path.unlink and step > 2:
            assert MINE in Path(trial.path, "result.json").read_bytes()
        elif deed is Path.unlink:
            Path(trial.path, "result.json").touch()
    recorder.complete(trial)
    recorder.end()

    assert iterations(trial) == list(range(1, 51))
    assert len(os.listdir(trial.path)) <= 7
    assert sum("is not what localtune wrote" in each for each in caplog.messages) <= 1


def test_a_trial_directory_that_was_removed_comes_back(tmp_path: Path) -> None:
    recorder, trial = begin(tmp_path, [1, 2])
    shutil.rmtree(trial.path)

    recorder.report(trial, note=3)
    recorder.complete(trial)
    recorder.end()

    assert iterations(trial) == [1, 2, 3]


# -- in runs --------------------------------------------------------------------------------------


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


def writes_own_files(config: dict[str, Any]) -> None:
    """Uses every name that localtune uses, before and after its own results."""
    for step in range(4):
        for name in (*NAMES, "params.json", "params.pkl", "error.txt", "error.pkl"):
            Path(name).write_text(json.dumps({"mine": step}))
        tune.report({"loss": step, **({"late": 1} if step == 2 else {})})
    raise ValueError("at the end")


def test_a_trial_that_uses_all_of_the_names_keeps_its_files(tmp_path: Path) -> None:
    grid = fit(writes_own_files, tmp_path, {"x": tune.grid_search([1, 2])})

    for result in grid:
        assert isinstance(result.error, ValueError)
        directory = Path(result.path)
        assert [row["loss"] for row in read_results(result.path)] == [0, 1, 2, 3]
        with open(directory / "progress.csv", encoding="utf-8", newline="") as file:
            assert [row["late"] for row in csv.DictReader(file)] == ["", "", "1", ""]
        assert "at the end" in (directory / "error.txt").read_text()
        kept = [path.read_text() for path in directory.iterdir() if path.suffix != ".pkl"]
        mine = [text for text in kept if text == '{"mine": 3}']
        # The names of params.json and params.pkl are the trial's until it starts again.
        assert len(mine) == 5 and (directory / "params.pkl").read_text() == '{"mine": 3}'
