from __future__ import annotations

import logging
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.analysis import ExperimentAnalysis
from localtune.storage.experiment_db import ExperimentDB
from localtune.trial.trial import Trial
from tests.records import add_checkpoint, add_results, make_trial
from tests.small_runs import fit, make_tuner

NAN = float("nan")

ROOT = Path(__file__).parents[2]
WITHOUT_PANDAS = """
import sys
sys.modules["pandas"] = None
from localtune.analysis import ExperimentAnalysis
from localtune.error import ExtraMissingError
from localtune.analysis.result_grid import ResultGrid
analysis = ExperimentAnalysis(sys.argv[1], default_metric="loss", default_mode="min")
print(analysis.best_config["x"], len(ResultGrid(analysis)))
tables = [
    analysis.dataframe,
    lambda: analysis.results_df,
    lambda: analysis.best_result_df,
    lambda: analysis.best_dataframe,
    lambda: analysis.trial_dataframes,
    ResultGrid(analysis).get_dataframe,
    lambda: ResultGrid(analysis)[0].metrics_dataframe,
]
for table in tables:
    try:
        table()
    except ExtraMissingError as error:
        print(error)
"""


def trials_with(tmp_path: Path, *histories: list[Any], key: str = "loss") -> list[Trial]:
    """A trial for each list of values."""
    trials = []
    for number, values in enumerate(histories):
        trial = make_trial(tmp_path, number, config={"x": number})
        add_results(trial, [{key: value} for value in values])
        trials.append(trial)
    return trials


def analysis_of(tmp_path: Path, *histories: list[Any], **options: Any) -> ExperimentAnalysis:
    return ExperimentAnalysis(str(tmp_path), trials=trials_with(tmp_path, *histories), **options)


def best_number(analysis: ExperimentAnalysis, *args: Any, **options: Any) -> int | None:
    trial = analysis.get_best_trial(*args, **options)
    return None if trial is None else int(trial.config["x"])


def objective(config: dict[str, Any]) -> None:
    for step in range(3):
        tune.report({"loss": abs(config["x"] - step), "eval": {"acc": config["x"] + step}})


# -- the best -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "scope", "number"),
    [
        ("min", "last", 1),
        ("max", "last", 0),
        ("min", "all", 0),
        ("max", "all", 2),
        ("min", "avg", 1),
        ("max", "avg", 2),
        ("min", "last-5-avg", 1),
        ("max", "last-5-avg", 2),
        ("min", "last-10-avg", 1),
    ],
)
def test_the_best_trial_by_mode_and_scope(
    mode: str, scope: str, number: int, tmp_path: Path
) -> None:
    analysis = analysis_of(tmp_path, [1, 9, 9], [2, 2, 2], [30, 3, 3])

    assert best_number(analysis, "loss", mode, scope) == number


def test_scopes_look_back_five_and_ten_results(tmp_path: Path) -> None:
    analysis = analysis_of(tmp_path, [0] * 6 + [10] * 5, [6] * 11)

    assert best_number(analysis, "loss", "min", "last-5-avg") == 1
    assert best_number(analysis, "loss", "min", "last-10-avg") == 0


@pytest.mark.parametrize("mode", ["min", "max"])
def test_of_equal_trials_the_first_is_the_best(mode: str, tmp_path: Path) -> None:
    assert best_number(analysis_of(tmp_path, [1], [1], [1]), "loss", mode) == 0


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("value", [NAN, math.inf, -math.inf])
def test_nan_and_infinity_are_left_out(value: float, mode: str, tmp_path: Path) -> None:
    assert best_number(analysis_of(tmp_path, [value], [1], [value]), "loss", mode) == 1


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("histories", [([NAN], [1], [NAN]), ([1], [NAN]), ([NAN], [NAN], [1])])
def test_nan_is_never_the_best_even_if_it_is_let_in(
    histories: tuple[list[float], ...], mode: str, tmp_path: Path
) -> None:
    analysis = analysis_of(tmp_path, *histories)

    assert best_number(analysis, "loss", mode, filter_nan_and_inf=False) == histories.index([1])


def test_infinity_is_the_best_if_it_is_let_in(tmp_path: Path) -> None:
    analysis = analysis_of(tmp_path, [1], [-math.inf], [math.inf])

    assert best_number(analysis, "loss", "min", filter_nan_and_inf=False) == 1
    assert best_number(analysis, "loss", "max", filter_nan_and_inf=False) == 2


def test_of_nothing_but_nan_the_first_is_the_best_if_it_is_let_in(tmp_path: Path) -> None:
    analysis = analysis_of(tmp_path, [NAN], [NAN])

    assert best_number(analysis, "loss", "max", filter_nan_and_inf=False) == 0
    assert best_number(analysis, "loss", "max") is None


def test_trials_without_the_metric_are_left_out(tmp_path: Path) -> None:
    assert best_number(analysis_of(tmp_path, [], ["text"], [3]), "loss", "min") == 2


def test_a_metric_that_no_trial_has_is_none_and_a_warning_that_names_a_near_miss(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    analysis = analysis_of(tmp_path, [1], [2])

    with caplog.at_level(logging.WARNING):
        assert analysis.get_best_trial("lss", "min") is None
        assert analysis.get_best_config("lss", "min") is None

    assert "There is no best trial by 'lss'" in caplog.text
    assert "Did you mean 'loss'? Reported were: loss, training_iteration." in caplog.text


def test_without_results_the_warning_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert analysis_of(tmp_path, []).get_best_trial("loss", "min") is None

    assert "no trial has reported a number." in caplog.text


def test_metric_and_mode_may_be_defaults(tmp_path: Path) -> None:
    analysis = analysis_of(tmp_path, [1], [2], default_metric="loss", default_mode="max")

    assert best_number(analysis) == 1
    assert best_number(analysis, mode="min") == 0
    assert analysis.get_best_config() == {"x": 1}


def test_a_default_mode_alone_means_the_metric_of_bare_numbers(tmp_path: Path) -> None:
    trials = trials_with(tmp_path, [1], [2], key="_metric")
    analysis = ExperimentAnalysis(trials=trials, default_mode="max")

    assert best_number(analysis) == 1


@pytest.mark.parametrize(
    ("args", "text"),
    [
        ((), "metric is not known"),
        (("loss",), "mode is not known"),
        (("loss", "most"), "mode must be 'min' or 'max', but got 'most'"),
        (("loss", "min", "best"), "scope must be one of last, all, avg, .* but got 'best'"),
    ],
)
def test_questions_that_make_no_sense_are_refused(
    args: tuple[Any, ...], text: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=text):
        analysis_of(tmp_path, [1]).get_best_trial(*args)


def test_an_unknown_default_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="but got 'most'"):
        ExperimentAnalysis(trials=[], default_mode="most")


@pytest.mark.parametrize(
    "member",
    [
        "best_trial",
        "best_config",
        "best_result",
        "best_result_df",
        "best_dataframe",
        "best_checkpoint",
    ],
)
def test_the_best_members_need_a_metric_and_a_trial_that_has_it(
    member: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="The metric is not known"):
        getattr(analysis_of(tmp_path, [1]), member)
    with pytest.raises(ValueError, match="no best trial by 'loss': its value is NaN"):
        getattr(analysis_of(tmp_path, [NAN], default_metric="loss", default_mode="min"), member)


# -- checkpoints --------------------------------------------------------------------------------


def checkpointed(tmp_path: Path, *scores: Any, number: int = 0) -> Trial:
    trial = make_trial(tmp_path, number, config={"x": number})
    for result in add_results(trial, [{"score": s, "eval": {"acc": s}} for s in scores]):
        add_checkpoint(trial, result)
    return trial


def name_of(checkpoint: tune.Checkpoint | None) -> str:
    assert checkpoint is not None
    return Path(checkpoint.path).name


@pytest.mark.parametrize("metric", ["score", "eval/acc"])
def test_the_best_checkpoint_of_a_trial(metric: str, tmp_path: Path) -> None:
    trial = checkpointed(tmp_path, 2, 5, NAN, 1, 5)
    analysis = ExperimentAnalysis(trials=[trial])

    assert name_of(analysis.get_best_checkpoint(trial, metric, "max")) == "checkpoint_000001"
    assert name_of(analysis.get_best_checkpoint(trial, metric, "min")) == "checkpoint_000003"


def test_the_best_checkpoint_is_by_the_defaults_or_else_the_iteration(tmp_path: Path) -> None:
    trial = checkpointed(tmp_path, 2, 1, 5)

    by_default = ExperimentAnalysis(trials=[trial], default_metric="score", default_mode="min")
    assert name_of(by_default.get_best_checkpoint(trial)) == "checkpoint_000001"
    assert name_of(by_default.best_checkpoint) == "checkpoint_000001"
    by_iteration = ExperimentAnalysis(trials=[trial])
    assert name_of(by_iteration.get_best_checkpoint(trial)) == "checkpoint_000002"


def test_there_is_no_best_checkpoint_without_one_that_has_the_metric(tmp_path: Path) -> None:
    trial = checkpointed(tmp_path, NAN)
    analysis = ExperimentAnalysis(trials=[trial])

    assert analysis.get_best_checkpoint(trial, "score", "max") is None
    assert analysis.get_best_checkpoint(trial, "other", "max") is None
    assert analysis.get_best_checkpoint(make_trial(tmp_path, 1), "score", "max") is None


def test_a_metric_for_checkpoints_needs_a_mode(tmp_path: Path) -> None:
    trial = checkpointed(tmp_path, 2, 1, 5)

    with pytest.raises(ValueError, match="The mode is not known"):
        ExperimentAnalysis(trials=[trial]).get_best_checkpoint(trial, "score")


def test_the_last_checkpoint_is_that_of_the_highest_iteration(tmp_path: Path) -> None:
    short, long = checkpointed(tmp_path, 9), checkpointed(tmp_path, 1, 2, 3, number=1)
    analysis = ExperimentAnalysis(trials=[short, long])

    checkpoint = analysis.get_last_checkpoint()
    assert checkpoint is long.checkpoint
    assert analysis.get_last_checkpoint(short) is short.checkpoint
    assert analysis.get_last_checkpoint(metric="score", mode="max") is short.checkpoint
    assert ExperimentAnalysis(trials=[]).get_last_checkpoint() is None


# -- tables -------------------------------------------------------------------------------------


def test_a_table_of_last_results(tmp_path: Path) -> None:
    frame = analysis_of(tmp_path, [3, 1], [], [2, 4]).dataframe()

    assert list(frame["loss"]) == [1, 4]
    assert list(frame["config/x"]) == [0, 2]
    assert list(frame["logdir"]) == list(frame["trial_id"]) == ["abc_00000", "abc_00002"]


def test_a_table_does_not_use_the_defaults(tmp_path: Path) -> None:
    analysis = analysis_of(tmp_path, [3, 1, 2], default_metric="loss", default_mode="min")

    assert list(analysis.dataframe()["loss"]) == [2]
    assert list(analysis.dataframe("loss")["loss"]) == [2]
    assert list(analysis.dataframe("other")["loss"]) == [2]


@pytest.mark.parametrize(
    ("metric", "mode", "text"),
    [
        (None, "min", "mode goes with a metric, but got mode='min' and no metric."),
        ("loss", "most", "mode must be 'min' or 'max', but got 'most'"),
    ],
)
def test_a_table_takes_no_mode_without_a_metric_and_no_other_mode(
    metric: str | None, mode: str | None, text: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=re.escape(text)):
        analysis_of(tmp_path, [1]).dataframe(metric, mode)


# -- runs -----------------------------------------------------------------------------------------


@pytest.fixture
def run_thrice(tmp_path: Path) -> Path:
    """An experiment of three runs with 1, 2 and 3 trials."""
    for number in (1, 2, 3):
        fit(objective, tmp_path, {"x": tune.grid_search(list(range(number)))})
    return tmp_path / "run"


def test_the_latest_run_is_read_and_others_are_told_of(
    run_thrice: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.clear()
    analysis = ExperimentAnalysis(run_thrice)

    assert (analysis.run, len(analysis.trials)) == (3, 3)
    (record,) = caplog.records
    assert "has 3 runs; this is run 3, the latest. Read another one with run=2." in record.message


@pytest.mark.parametrize("run", [1, 2, 3])
def test_each_run_can_be_read(run_thrice: Path, run: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.clear()
    analysis = ExperimentAnalysis(run_thrice, run=run)

    assert (analysis.run, len(analysis.trials), caplog.records) == (run, run, [])
    assert sorted(analysis.trial_dataframes) == sorted(each.trial_id for each in analysis.trials)


@pytest.mark.parametrize("run", [0, 4, -1, "1", True, 1.0])
def test_a_run_that_does_not_exist_is_an_error(run_thrice: Path, run: Any) -> None:
    with pytest.raises(ValueError, match=r"has no run|run must be the number of a run"):
        ExperimentAnalysis(run_thrice, run=run)


def test_a_run_goes_with_no_trials_that_are_given(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="but got 1 together with trials"):
        ExperimentAnalysis(trials=[make_trial(tmp_path)], run=1)


def test_a_second_fit_and_what_reads_its_trials_tell_of_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tuner = make_tuner(objective, tmp_path, {"x": 1})
    tuner.fit()
    tuner.fit()

    assert len(tuner.get_results()) == 1
    assert [record for record in caplog.records if "runs" in record.message] == []


def test_the_mode_of_another_metric_is_not_used_without_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    analysis = analysis_of(tmp_path, [1], [2], default_metric="other", default_mode="max")

    assert best_number(analysis, "loss") == 1
    assert "with the mode of 'other', 'max': pass a mode with the metric." in caplog.text
    caplog.clear()
    assert best_number(analysis, "loss", "min") == 0
    assert best_number(analysis, "other") is None
    assert "with the mode of" not in caplog.text


def test_all_configs(tmp_path: Path) -> None:
    trial = make_trial(tmp_path, config={"lr": 0.1, "net": {"layers": 2}})
    analysis = ExperimentAnalysis(trials=[trial])

    assert analysis.get_all_configs() == {"abc_00000": {"lr": 0.1, "net": {"layers": 2}}}
    assert analysis.get_all_configs(prefix=True) == {
        "abc_00000": {"config/lr": 0.1, "config/net/layers": 2}
    }


def test_results_by_trial_id(tmp_path: Path) -> None:
    analysis = analysis_of(tmp_path, [1, 2], [])

    assert analysis.results["abc_00000"]["loss"] == 2
    assert analysis.results["abc_00001"] == {}
    assert list(analysis.results_df.index) == ["abc_00000", "abc_00001"]
    assert analysis.results_df.loc["abc_00000", "loss"] == 2


def test_tables_of_nothing_are_empty(tmp_path: Path) -> None:
    analysis = analysis_of(tmp_path, [], [])

    assert len(analysis.dataframe()) == len(analysis.dataframe("loss", "min")) == 0
    assert [len(frame) for frame in analysis.trial_dataframes.values()] == [0, 0]
    assert len(ExperimentAnalysis(trials=[]).results_df) == 0


# -- after a run --------------------------------------------------------------------------------


def test_a_run_is_the_same_in_a_fresh_object(tmp_path: Path) -> None:
    grid = fit(objective, tmp_path, {"x": tune.grid_search([0, 2, 5])})

    analysis = ExperimentAnalysis(grid.experiment_path, default_metric="loss", default_mode="min")

    assert [trial.path for trial in analysis.trials] == [result.path for result in grid]
    assert analysis.best_config == {"x": 2}
    assert analysis.best_result == grid.get_best_result("loss", "min").metrics
    assert analysis.best_trial.metric_analysis["loss"]["max"] == 2
    assert analysis.experiment_path == grid.experiment_path == str(tmp_path / "run")


def test_a_file_in_the_directory_stands_for_the_directory(tmp_path: Path) -> None:
    grid = fit(objective, tmp_path, {"x": 1})

    analysis = ExperimentAnalysis(Path(grid.experiment_path) / "experiment.db")

    assert (len(analysis.trials), analysis.experiment_path) == (1, grid.experiment_path)


def test_all_results_of_each_trial_are_a_table(tmp_path: Path) -> None:
    grid = fit(objective, tmp_path, {"x": tune.grid_search([0, 2])})
    analysis = ExperimentAnalysis(grid.experiment_path, default_metric="loss", default_mode="min")

    frames = analysis.trial_dataframes
    assert [list(frame["loss"]) for frame in frames.values()] == [
        [0, 1, 2],
        [2, 1, 0],
    ]
    best = analysis.best_dataframe
    assert list(best["eval/acc"]) == [2, 3, 4]
    assert list(best["config/x"]) == [2, 2, 2]
    assert list(best["training_iteration"]) == [1, 2, 3]
    assert list(analysis.best_result_df.index) == [analysis.best_trial.trial_id]
    assert list(analysis.best_result_df["config/x"]) == [2]


@pytest.mark.parametrize(
    ("metric", "mode", "iterations"),
    [
        ("loss", "min", [1, 3]),
        ("loss", "max", [3, 1]),
        ("eval/acc", "max", [3, 3]),
        ("eval/acc", "min", [1, 1]),
    ],
)
def test_a_table_of_best_rows(
    metric: str, mode: str, iterations: list[int], tmp_path: Path
) -> None:
    fit(objective, tmp_path, {"x": tune.grid_search([0, 2])})

    frame = ExperimentAnalysis(tmp_path / "run").dataframe(metric, mode)

    assert list(frame["training_iteration"]) == iterations


def test_the_best_row_is_never_that_of_a_nan(tmp_path: Path) -> None:
    def some_nan(config: dict[str, Any]) -> None:
        for loss in config["losses"]:
            tune.report({"loss": loss})

    losses = [[NAN, 2.0, 1.0, NAN], [NAN, NAN]]
    fit(some_nan, tmp_path, {"losses": tune.grid_search(losses)})
    analysis = ExperimentAnalysis(tmp_path / "run")

    assert list(analysis.dataframe("loss", "max")["training_iteration"]) == [2]
    assert list(analysis.dataframe("loss", "min")["training_iteration"]) == [3]


def test_the_best_row_has_the_configuration_that_it_was_made_with(tmp_path: Path) -> None:
    (result,) = fit(objective, tmp_path, {"x": 0})
    (trial,) = ExperimentAnalysis(result.path + "/..").trials

    trial.config = {"x": 99}  # As a scheduler does that perturbs it.

    frame = ExperimentAnalysis(trials=[trial]).dataframe("loss", "min")
    assert list(frame["config/x"]) == [0]


def test_best_rows_come_from_the_csv_file_if_there_is_no_other(tmp_path: Path) -> None:
    grid = fit(objective, tmp_path, {"x": 2})
    Path(str(grid[0].path), "result.json").unlink()

    frame = ExperimentAnalysis(tmp_path / "run").dataframe("loss", "max")

    assert (list(frame["loss"]), list(frame["config/x"])) == ([2], [2])


# -- misuse -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [".", "gone"])
def test_a_directory_without_an_experiment_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"There is no experiment in .* it has no experiment\.db"):
        ExperimentAnalysis(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_it_needs_a_directory_or_trials() -> None:
    with pytest.raises(ValueError, match="needs the directory of an experiment, or its trials"):
        ExperimentAnalysis()


def test_an_experiment_without_trials_is_empty(tmp_path: Path) -> None:
    ExperimentDB(str(tmp_path)).close()

    analysis = ExperimentAnalysis(tmp_path)

    assert (analysis.trials, analysis.results, analysis.get_all_configs()) == ([], {}, {})


def test_without_pandas_only_tables_are_missing(tmp_path: Path) -> None:
    fit(objective, tmp_path, {"x": tune.grid_search([0, 2])})

    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_PANDAS, tmp_path / "run"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )

    first, *told = done.stdout.splitlines()
    assert first == "2 2"
    assert len(told) == 7
    for line in told:
        assert re.fullmatch(
            r"A DataFrame of results needs the package 'pandas', which is not installed\. "
            r'Install it with: pip install "localtune-runner\[pandas\]"',
            line,
        )
