"""A name that is taken hides nothing: it is said, refused, or gone on with."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.error import ExperimentExistsError
from localtune.tools.cli.main import main
from tests.runs.test_refused_runs import SCRIPT, left_alone
from tests.small_runs import Counting, begin_only, fit, make_tuner, reporting, statuses
from tests.storage.stores import faulty_store

TWO = {"x": tune.grid_search([1, 2])}


def run_function(storage: Path, **options: Any) -> tune.ExperimentAnalysis:
    given: dict[str, Any] = {"config": {"x": 1}, "executor": "inprocess", "verbose": 0}
    return tune.run(reporting, name="run", storage_path=storage, **{**given, **options})


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.WARNING)
    return caplog


def test_one_warning_says_what_is_there_and_how_to_go_on_with_it(
    tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    fit(Counting, tmp_path, {"fail_at": tune.grid_search([None, 2])}, metric="loss", mode="min")
    assert said.records == []

    fit(reporting, tmp_path, {"x": 7})

    (record,) = said.records
    text = record.getMessage()
    assert "exists already: 1 run, with 2 trials (1 finished, 1 failed), best loss=" in text
    path = str(tmp_path / "run")
    assert f"Tuner.restore('{path}', trainable)" in text and 'if_exists="resume"' in text
    assert [len(line.replace(path, "")) < 160 for line in text.splitlines()] == [True, True]
    runs = [tune.ExperimentAnalysis(path, run=number) for number in (1, 2)]
    assert [len(each.trials) for each in runs] == [2, 1]

    said.clear()
    fit(reporting, tmp_path, {"x": 8})
    (record,) = said.records
    assert "exists already: 2 runs, the latest with 1 trial (1 finished)" in record.getMessage()


def test_of_a_killed_run_it_is_said_that_trials_are_unfinished(
    tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    class Stop(tune.Callback):
        def on_trial_result(self, *arguments: Any, **info: Any) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(Counting, tmp_path, callbacks=[Stop()])
    said.clear()
    fit(reporting, tmp_path)
    assert "1 trial (1 unfinished)" in said.text


def test_a_second_fit_of_one_tuner_is_no_taken_name(
    tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    for number, if_exists in enumerate(("add", "error", "resume")):
        tuner = make_tuner(reporting, tmp_path, TWO, name=str(number), if_exists=if_exists)
        for _ in range(2):
            assert len(tuner.fit()) == 2
        path = str(tmp_path / str(number))
        assert [len(tune.ExperimentAnalysis(path, run=run).trials) for run in (1, 2)] == [2, 2]
    assert "exists already" not in said.text


def test_a_refused_fit_makes_no_name_its_own(tmp_path: Path) -> None:
    first, second = (make_tuner(reporting, tmp_path, if_exists="error") for _ in range(2))
    first.fit()
    for _ in range(2):
        with left_alone(tmp_path), pytest.raises(ExperimentExistsError):
            second.fit()


def test_an_experiment_without_trials_is_not_worth_a_word(
    tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    begin_only(make_tuner(reporting, tmp_path))
    fit(reporting, tmp_path)
    assert said.records == []


def test_error_refuses_a_taken_name_when_the_tuner_is_made(tmp_path: Path) -> None:
    fit(reporting, tmp_path, TWO)
    with left_alone(tmp_path):
        for refused in (
            lambda: make_tuner(reporting, tmp_path, if_exists="error"),
            lambda: run_function(tmp_path, if_exists="error"),
        ):
            with pytest.raises(ExperimentExistsError, match=r"1 run, with 2 trials.*another name"):
                refused()
    fit(reporting, tmp_path, name="new", if_exists="error")


def test_error_refuses_what_a_killed_run_left(tmp_path: Path) -> None:
    begun = begin_only(make_tuner(reporting, tmp_path))
    (begun / "experiment.db").unlink()
    with pytest.raises(ExperimentExistsError):
        make_tuner(reporting, tmp_path, if_exists="error")


def test_error_refuses_what_a_store_holds(tmp_path: Path) -> None:
    store, _ = faulty_store(tmp_path / "store")
    options = {"storage_filesystem": store.filesystem, "if_exists": "error"}
    make_tuner(reporting, Path(store.root), **options).fit()
    with pytest.raises(ExperimentExistsError):
        make_tuner(reporting, Path(store.root), **options)


def test_resume_starts_and_goes_on(tmp_path: Path, said: pytest.LogCaptureFixture) -> None:
    for steps in (3, 4):
        # A constant may change; the keys are the same.
        grid = fit(Counting, tmp_path, {"steps": steps}, if_exists="resume")
        assert [result.metrics["count"] for result in grid] == [3]
    analysis = tune.ExperimentAnalysis(tmp_path / "run")
    assert len(analysis.trials) == 1 and analysis.run == 1
    assert "exists already" not in said.text


@pytest.mark.parametrize(
    ("space", "config", "differs"),
    [
        ({"x": 2}, {}, "config/x was 1 and is 2."),
        ({"x": 1.0}, {}, "config/x was 1 and is 1.0."),
        ({"x": tune.grid_search([1])}, {}, "config/x was 1 and is {'grid_search': [1]}."),
        ({"deep": {"y": tune.uniform(0, 2)}}, {}, "config/deep/y was Float(0.0, 1.0).uniform() "),
        ({}, {"num_samples": 2}, "num_samples was 1 and is 2."),
        ({}, {"metric": "loss", "mode": "max"}, "metric was score and is loss; mode was min and"),
        ({}, {}, ""),
    ],
)
def test_resume_names_what_differs(
    tmp_path: Path,
    said: pytest.LogCaptureFixture,
    space: dict[str, Any],
    config: dict[str, Any],
    differs: str,
) -> None:
    def train(config: dict[str, Any]) -> None:
        tune.report({"score": 1, "loss": 1})

    def once(space: dict[str, Any], config: dict[str, Any]) -> None:
        before = {
            "x": 1,
            "nan": float("nan"),
            "object": tune.choice([Counting, object]),
            "call": tune.sample_from(lambda config: 1),
            "deep": {"y": tune.uniform(0, 1)},
        }
        goal = {"metric": "score", "mode": "min"}
        given = {**goal, **config, "if_exists": "resume"}
        fit(train, tmp_path, {**before, **space}, executor="inprocess", **given)

    once({}, {})
    assert said.records == []
    once(space, config)
    texts = [record.getMessage() for record in said.records]
    assert len(texts) == bool(differs) and all(differs in text for text in texts)
    said.clear()
    once(space, config)
    assert said.records == [], "these are its settings now"


def test_resume_goes_on_with_unfinished_trials(tmp_path: Path) -> None:
    class Stop(tune.Callback):
        def on_trial_result(self, *arguments: Any, **info: Any) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(Counting, tmp_path, callbacks=[Stop()])
    grid = fit(Counting, tmp_path, if_exists="resume")
    assert [result.metrics["count"] for result in grid] == [3]


@pytest.mark.parametrize(
    ("other", "space", "problem"),
    [
        (reporting, {"steps": 2}, "trainable 'Counting', not 'reporting'"),
        (Counting, {"stages": 2}, "Missing: steps; new: stages"),
        (Counting, {}, "Missing: steps; new: none"),
        (Counting, {"steps": 2, "deep": {"y": 1}}, "Missing: none; new: deep/y"),
    ],
)
def test_resume_refuses_another_trainable_and_other_keys(
    tmp_path: Path, other: Any, space: dict[str, Any], problem: str
) -> None:
    early = make_tuner(other, tmp_path, space, if_exists="resume")
    fit(Counting, tmp_path, {"steps": tune.grid_search([1, 2])})
    with left_alone(tmp_path):
        with pytest.raises(ValueError, match=problem):
            make_tuner(other, tmp_path, space, if_exists="resume")
        with pytest.raises(ValueError, match=problem):
            early.fit()
        with pytest.raises(ValueError, match=problem):
            tune.run(other, name="run", storage_path=tmp_path, config=space, if_exists="resume")


def test_run_has_the_argument(tmp_path: Path, said: pytest.LogCaptureFixture) -> None:
    run_function(tmp_path, if_exists="resume")
    run_function(tmp_path, if_exists="resume")
    run_function(tmp_path, resume=True)
    assert tune.ExperimentAnalysis(tmp_path / "run").run == 1
    assert said.records == []
    run_function(tmp_path)
    assert 'To go on with what is there instead: if_exists="resume", or resume=True' in said.text
    assert tune.ExperimentAnalysis(tmp_path / "run").run == 2


@pytest.mark.parametrize(
    "given",
    [
        {"resume": True, "if_exists": "add"},
        {"resume": "AUTO+ERRORED", "if_exists": "error"},
        {"resume": False, "if_exists": "resume"},
        {"resume_config": tune.ResumeConfig(), "if_exists": "add"},
    ],
)
def test_resume_and_if_exists_must_not_contradict(tmp_path: Path, given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="contradict each other"):
        run_function(tmp_path, **given)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "given", [{"resume": True, "if_exists": "resume"}, {"resume": False, "if_exists": "add"}, {}]
)
def test_resume_and_if_exists_may_agree(tmp_path: Path, given: dict[str, Any]) -> None:
    assert len(run_function(tmp_path, **given).trials) == 1


def test_another_word_is_refused(tmp_path: Path) -> None:
    for refused in (
        lambda: tune.RunConfig(if_exists="ask"),
        lambda: run_function(tmp_path, if_exists="ask"),
    ):
        with pytest.raises(ValueError, match="must be 'add', 'error' or 'resume', but got 'ask'"):
            refused()


def test_an_added_run_leaves_no_file_that_speaks_of_another_one(tmp_path: Path) -> None:
    fit(reporting, tmp_path)
    (tmp_path / "run" / "command.json").write_text("{}")
    run_function(tmp_path)
    assert not {"tuner.pkl", "command.json"} & set(os.listdir(tmp_path / "run"))


# -- the command ------------------------------------------------------------------------------


def test_the_command_refuses_a_taken_name_unless_told(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "taken_name_script.py"
    script.write_text(SCRIPT)
    storage = tmp_path / "results"
    words = ["run", f"{script}:train", "--name", "sweep", "--storage", str(storage)]
    words += ["--param", "x=1", "--verbose", "0"]

    assert main([*words, "--resume"]) == 0
    capfd.readouterr()
    with left_alone(storage):
        assert main(words) == 2
    assert "exists already (1 run, with 1 trial" in (text := capfd.readouterr().err)
    assert "--add" in text and "--resume" in text and "--name" in text
    with left_alone(storage):
        assert main([*words, "--add", "--resume"]) == 2
        assert main([*words, "--resume", "--param", "y=1"]) == 2
    assert main([*words, "--resume"]) == 0
    assert tune.ExperimentAnalysis(storage / "sweep").run == 1
    assert main([*words, "--add"]) == 0
    assert tune.ExperimentAnalysis(storage / "sweep").run == 2


def test_after_a_failure_fit_runs_again_though_the_name_was_to_be_resumed(tmp_path: Path) -> None:
    space = {"steps": 1, "fail_at": 1, "once": str(tmp_path / "once")}
    tuner = make_tuner(Counting, tmp_path, space, if_exists="resume", fail_fast="raise")
    with pytest.raises(ValueError, match="step 1 failed"):
        tuner.fit()

    assert statuses(tuner.fit()) == ["TERMINATED"]
    assert tune.ExperimentAnalysis(tmp_path / "run").run == 2


def test_a_run_that_goes_on_with_another_command_says_so(
    tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    for width in ("3", "3", "4"):
        said.clear()
        line = '{{"width": ' + width + "}}"
        command = tune.Command(["echo", line, "{x}"], name="program")
        make_tuner(command, tmp_path, {"x": 1}, if_exists="resume").fit()

    (record,) = said.records
    assert record.getMessage().startswith("The code of program is not what it was")
