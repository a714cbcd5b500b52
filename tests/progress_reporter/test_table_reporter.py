"""What CLIReporter and JupyterNotebookReporter have in common, seen through CLIReporter."""

from __future__ import annotations

import inspect
import pickle
import re
from typing import Any

import pytest

import localtune.progress_reporter as progress_reporter
from localtune.progress_reporter import CLIReporter, JupyterNotebookReporter, ProgressReporter
from localtune.testing import ManualClock
from localtune.trial.status import Status
from localtune.trial.trial import Trial
from tests.progress_reporter.runs import ended_trial, make_trial


def reporter_at(start_s: float = 0.0, **options: Any) -> CLIReporter:
    reporter = CLIReporter(**options)
    reporter.clock = ManualClock(start_s)
    return reporter


def report(reporter: CLIReporter, trials: list[Trial], done: bool = False) -> list[str]:
    """Lines of one report without those about time."""
    from localtune.progress_reporter.cli_reporter import as_text

    text = as_text(reporter.sections(trials, done, []), reporter.max_column_length)
    return [
        re.sub(r"  +", "  ", line.strip()) for line in text.splitlines()[1:] if "──" not in line
    ]


def test_signatures_are_those_of_ray_tune() -> None:
    table_options = {
        "metric_columns": None,
        "parameter_columns": None,
        "total_samples": None,
        "max_progress_rows": 20,
        "max_error_rows": 20,
        "max_column_length": 20,
        "max_report_frequency": 5,
        "infer_limit": 3,
        "print_intermediate_tables": None,
        "metric": None,
        "mode": None,
        "sort_by_metric": False,
    }
    for cls, options in (
        (CLIReporter, table_options),
        (JupyterNotebookReporter, {"overwrite": True, **table_options}),
    ):
        parameters = inspect.signature(cls).parameters
        assert {name: each.default for name, each in parameters.items()} == options
        assert all(each.kind is each.KEYWORD_ONLY for each in parameters.values())
        assert issubclass(cls, ProgressReporter)
    for method, names in (
        ("setup", ["start_time", "total_samples", "metric", "mode", "kwargs"]),
        ("should_report", ["trials", "done"]),
        ("report", ["trials", "done", "sys_info"]),
    ):
        assert list(inspect.signature(getattr(CLIReporter, method)).parameters)[1:] == names


def test_the_package_exports_its_classes() -> None:
    for name in progress_reporter.__all__:
        assert getattr(progress_reporter, name).__name__ == name


def test_the_base_class_needs_two_methods() -> None:
    with pytest.raises(TypeError, match="abstract"):
        ProgressReporter()  # type: ignore[abstract]


def test_a_reporter_travels_with_the_tuner() -> None:
    reporter = pickle.loads(pickle.dumps(CLIReporter(metric_columns=["loss"])))

    assert report(reporter, [ended_trial(loss=1)])[1].split() == [
        "Trial",
        "name",
        "status",
        "lr",
        "batch",
        "loss",
    ]


def test_reports_at_once_then_every_few_seconds_and_at_the_end() -> None:
    reporter = reporter_at(max_report_frequency=5)
    clock = reporter.clock
    assert isinstance(clock, ManualClock)

    due = []
    for _ in range(12):
        due.append(reporter.should_report([]))
        clock.advance(1)

    assert due == [True, *[False] * 4, True, *[False] * 4, True, False]
    assert reporter.should_report([], done=True)


def test_each_run_reports_at_once() -> None:
    reporter = reporter_at()
    reporter.should_report([])
    reporter.setup(start_time=0)

    assert reporter.should_report([])


def test_the_time_since_the_start_is_shown() -> None:
    reporter = reporter_at(start_s=1_000_083.0)
    reporter.setup(start_time=1_000_000)

    (first, *_) = reporter.sections([], False, [])

    assert isinstance(first, str)
    assert re.fullmatch(r"Current time: [\d-]{10} [\d:]{8} \(running for 00:01:23\)", first)


def test_default_columns_are_shown_where_a_trial_has_them() -> None:
    trial = ended_trial(mean_loss=0.5, accuracy=0.25)

    assert report(CLIReporter(), [trial, make_trial(1)]) == [
        "Number of trials: 2 (1 PENDING, 1 TERMINATED)",
        "Trial name  status  lr  batch  loss  iter  total time (s)  accuracy",
        "train_t00000  TERMINATED  0.1  32  0.5  2  3  0.25",
        "train_t00001  PENDING  0.2  32",
    ]


def test_a_few_metrics_are_found_out() -> None:
    trial = ended_trial(a=1, b=2, c=3, d=4, note="x")

    heading = report(CLIReporter(infer_limit=2), [trial])[1]

    assert heading == "Trial name  status  lr  batch  iter  total time (s)  a  b"


def test_the_metric_of_the_run_is_found_out_first() -> None:
    reporter = CLIReporter(infer_limit=2)
    reporter.setup(metric="d", mode="max")

    heading = report(reporter, [ended_trial(a=1, b=2, d=4)])[2]

    assert heading.endswith("total time (s)  d  a")


@pytest.mark.parametrize(
    ("columns", "heading"),
    [
        (["val/f1", "gone"], "Trial name  status  lr  batch  val/f1  gone"),
        ({"val/f1": "F1"}, "Trial name  status  lr  batch  F1"),
        ([], "Trial name  status  lr  batch"),
    ],
)
def test_named_metrics_are_shown_and_no_others(columns: Any, heading: str) -> None:
    lines = report(CLIReporter(metric_columns=columns), [ended_trial(val={"f1": 0.5}, loss=1)])

    assert lines[1] == heading


@pytest.mark.parametrize(
    ("columns", "heading"),
    [(["batch"], "Trial name  status  batch"), ({"lr": "rate"}, "Trial name  status  rate")],
)
def test_named_parameters_are_shown_and_no_others(columns: Any, heading: str) -> None:
    reporter = CLIReporter(parameter_columns=columns, metric_columns=[])

    assert report(reporter, [make_trial()])[1] == heading


def test_columns_can_be_added() -> None:
    reporter = CLIReporter(metric_columns=["loss"], parameter_columns=["lr"])
    reporter.add_metric_column("val/f1", "F1")
    reporter.add_metric_column("acc")
    reporter.add_parameter_column("batch", "size")

    assert report(reporter, [ended_trial(loss=1)])[1] == (
        "Trial name  status  lr  size  loss  F1  acc"
    )


@pytest.mark.parametrize("columns", [["loss"], {"loss": "L"}])
def test_a_column_can_be_added_once(columns: Any) -> None:
    reporter = CLIReporter(metric_columns=columns, parameter_columns=columns)

    with pytest.raises(ValueError, match="there is a column 'loss' already"):
        reporter.add_metric_column("loss", "other")
    with pytest.raises(ValueError, match="there is a column 'loss' already"):
        reporter.add_parameter_column("loss")


def test_default_columns_cannot_be_added() -> None:
    with pytest.raises(ValueError, match="there is a column 'mean_loss' already"):
        CLIReporter().add_metric_column("mean_loss")


def test_one_name_is_no_list_of_columns() -> None:
    with pytest.raises(ValueError, match="must be a list or a dict of names, but got 'loss'"):
        CLIReporter(metric_columns="loss")


def test_the_columns_of_one_reporter_are_not_those_of_another() -> None:
    CLIReporter().add_metric_column("extra")
    given = {"loss": "L"}
    CLIReporter(metric_columns=given).add_metric_column("extra")

    assert given == {"loss": "L"}
    CLIReporter().add_metric_column("extra")


@pytest.mark.parametrize(("name", "value"), [("metric", "loss"), ("mode", "min")])
def test_metric_and_mode_belong_to_the_run_or_to_the_reporter(name: str, value: str) -> None:
    reporter = CLIReporter(**{name: value})  # type: ignore[arg-type]

    with pytest.raises(
        ValueError, match=f"{name} must be set only in the run or only in its reporter"
    ):
        reporter.setup(**{name: value})  # type: ignore[arg-type]


def test_a_reporter_can_serve_one_run_after_another() -> None:
    reporter = CLIReporter()
    reporter.setup(metric="loss", mode="min")
    reporter.setup(metric="loss", mode="max")

    trials = [ended_trial(0, loss=1), ended_trial(1, loss=2)]
    assert report(reporter, trials)[0].startswith("Current best trial: train_t00001 with loss=2")


def test_a_mode_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="mode must be 'min' or 'max', but got 'best'"):
        CLIReporter(mode="best")


def test_the_best_trial_is_shown_with_its_parameters() -> None:
    reporter = CLIReporter(metric="loss", mode="min")
    trials = [ended_trial(0, loss=float("nan")), ended_trial(1, loss=0.5)]

    assert report(reporter, trials)[0] == (
        "Current best trial: train_t00001 with loss=0.5 and parameters lr=0.2, batch=32"
    )


@pytest.mark.parametrize(
    ("own", "given", "told"),
    [(None, 10, "1/10"), (5, None, "1/5"), (5, 10, "1/10"), (None, -1, "1"), (None, None, "1")],
)
def test_the_number_of_trials_is_shown_with_the_total(
    own: int | None, given: int | None, told: str
) -> None:
    reporter = CLIReporter(total_samples=own)
    reporter.setup(total_samples=given)

    assert report(reporter, [make_trial()])[0] == f"Number of trials: {told} (1 PENDING)"


def test_with_too_many_trials_each_status_gets_its_share() -> None:
    trials = [ended_trial(number, loss=1) for number in range(50)]
    trials += [make_trial(number) for number in range(50, 53)]
    trials[52].set_status(Status.RUNNING)

    lines = report(CLIReporter(max_progress_rows=6, metric_columns=[]), trials)

    assert [line.split()[:2] for line in lines[2:8]] == [
        ["train_t00052", "RUNNING"],
        ["train_t00050", "PENDING"],
        ["train_t00051", "PENDING"],
        ["train_t00000", "TERMINATED"],
        ["train_t00001", "TERMINATED"],
        ["train_t00002", "TERMINATED"],
    ]
    assert lines[8] == "... 47 more trials not shown"


def test_sorting_by_metric_puts_the_best_first_and_those_without_last() -> None:
    trials = [ended_trial(0, loss=3), make_trial(1), ended_trial(2, loss=1)]
    reporter = CLIReporter(metric="loss", mode="min", sort_by_metric=True)

    lines = report(reporter, trials)

    assert [line.split()[0] for line in lines[3:6]] == [
        "train_t00002",
        "train_t00000",
        "train_t00001",
    ]


def test_long_texts_are_cut_and_paths_are_not() -> None:
    trial = ended_trial(0, Status.ERROR)
    trial.custom_trial_name = "a_very_long_name_of_a_trial"

    lines = report(CLIReporter(max_column_length=9, metric_columns=[]), [trial])

    assert lines[2].startswith("a_ve…rial  ERROR")
    assert lines[-1] == "a_ve…rial  1  /results/sweep/train_t00000/error.txt"


def test_failures_are_listed_with_their_files() -> None:
    recovered = ended_trial(1, loss=1)
    recovered.num_failures = 2
    trials = [ended_trial(0, Status.ERROR), recovered, make_trial(2)]

    assert report(CLIReporter(metric_columns=[]), trials)[-5:] == [
        "Number of errored trials: 2",
        "Trial name  # failures  error file",
        "train_t00000  1  /results/sweep/train_t00000/error.txt",
        "train_t00001*  2  /results/sweep/train_t00001/error.txt",
        "* The trial was retried after its failures.",
    ]


def test_failures_are_listed_up_to_a_limit() -> None:
    trials = [ended_trial(number, Status.ERROR) for number in range(5)]

    lines = report(CLIReporter(max_error_rows=2), trials)

    assert "Number of errored trials: 5" in lines
    assert sum("error.txt" in line for line in lines) == 2


@pytest.mark.parametrize(
    ("setting", "done", "has_table"),
    [(None, False, True), (True, False, True), (False, False, False), (False, True, True)],
)
def test_tables_can_be_left_to_the_end(setting: bool | None, done: bool, has_table: bool) -> None:
    lines = report(CLIReporter(print_intermediate_tables=setting), [make_trial()], done)

    assert (len(lines) > 1) is has_table


def test_without_trials_there_are_no_tables() -> None:
    assert report(CLIReporter(), []) == ["Number of trials: 0"]


def test_a_report_is_printed_with_facts_about_the_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    reporter = reporter_at()
    reporter.setup(start_time=0)
    reporter.report([ended_trial(loss=0.5)], False, "Scheduler: ASHA", "4\nat once")

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "== Status =="
    assert lines[2:5] == ["Scheduler: ASHA", r"4\nat once", "Number of trials: 1 (1 TERMINATED)"]
    assert lines[5].split()[-5:] == ["iter", "total", "time", "(s)", "loss"]
    assert lines[7].split() == ["train_t00000", "TERMINATED", "0.1", "32", "2", "3", "0.5"]
    assert lines[8] == ""
