"""Each trainable that is wrong in one way gets the finding for it, and the right ones none."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.running.bench import two_configs
from localtune.tools.check import CheckReport, Finding, Verdict, check_trainable
from tests.tools.check import trainables as t

pytestmark = pytest.mark.slow

PASS, WARNING, FAILURE = Verdict.PASS, Verdict.WARNING, Verdict.FAILURE


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    yield


def findings(report: CheckReport, check: str) -> list[Finding]:
    return [each for each in report.findings if each.check == check]


def finding(report: CheckReport, check: str) -> Finding:
    found = findings(report, check)
    assert len(found) == 1, str(report)
    return found[0]


@pytest.mark.parametrize(
    "trainable", [t.Right, t.RightWithDirectory, t.NotReusable, t.EndsItsProcess, t.right]
)
def test_a_right_trainable_passes_every_check(trainable: Any) -> None:
    report = check_trainable(trainable, t.SPACE, metric="loss")

    assert report.ok and not report.warnings, str(report)
    assert [each.check for each in report.findings] == [
        "pickle",
        "setup",
        "step",
        "metrics",
        "metric",
        "save",
        "restore",
        "reset",
        "stop",
        "leftovers",
        "concurrency",
    ]


@pytest.mark.parametrize(
    ("trainable", "check", "verdict", "text", "remedy"),
    [
        (t.NotATrainable, "signature", FAILURE, "does not derive from Trainable", "Derive it"),
        (t.two_arguments, "signature", FAILURE, "one positional argument", "the config"),
        (t.FailsInSetup, "setup", FAILURE, "RuntimeError: no data", "traceback"),
        (t.WantsConfig, "setup", FAILURE, "KeyError: 'width'", "--param"),
        (t.FailsInStep, "step", FAILURE, "RuntimeError: no loss", "traceback"),
        (t.DiesInStep, "step", FAILURE, "exit code 7", "InProcessExecutor"),
        (t.FailsToSave, "save", FAILURE, "RuntimeError: no disk", "traceback"),
        (t.CannotBeSaved, "save", WARNING, "cannot be saved", "save_checkpoint"),
        (t.SavesToWorkingDirectory, "save", WARNING, "empty directory", "checkpoint_dir"),
        (t.SavesToWorkingDirectory, "restore", FAILURE, "FileNotFoundError", "checkpoint_dir"),
        (t.KeepsPathOfCheckpoint, "save", FAILURE, "its own directory", "names"),
        (t.ForgetsPartOfState, "restore", FAILURE, "goes on otherwise", "optimizer's state"),
        (t.RestoresNothing, "restore", FAILURE, "begins anew", "load_checkpoint"),
        (t.DrawsWithoutSeed, "restore", WARNING, "proves nothing", "self.trial_seed"),
        (t.DrawsWithoutSeed, "reset", WARNING, "proves nothing", "get_trial_seed"),
        (t.KeepsStepsAtReset, "reset", FAILURE, "left behind", "self.setup(new_config)"),
        (t.FailsAtReset, "reset", FAILURE, "RuntimeError: no reset", "traceback"),
        (t.FailsInCleanup, "stop", FAILURE, "cleanup raised RuntimeError", "any time"),
        (t.LeavesProcess, "leftovers", WARNING, "input()", "cleanup()"),
        (t.LeavesThread, "leftovers", WARNING, "left-over", "cleanup()"),
        (t.LeavesTemporaryFile, "leftovers", WARNING, "left-over", "TemporaryDirectory"),
        (t.WritesIntoOriginalDirectory, "files", WARNING, "model.bin", "relative"),
        (t.TakesMuchMemory, "concurrency", FAILURE, "would be killed", "with_resources"),
        (t.AsksForTooMuch, "resources", FAILURE, "can ever start", "Ask for less"),
        (t.begins_anew, "restore", FAILURE, "begins anew", "get_checkpoint"),
        (t.reports_nothing, "step", FAILURE, "reported nothing", "tune.report"),
        (t.without_checkpoint, "save", WARNING, "carried a checkpoint", "checkpoint=..."),
        (t.swallows_the_stop, "stop", FAILURE, "does not end", "TrialStopped"),
        (t.counts_in_a_global, "reset", FAILURE, "left behind", "globals"),
    ],
)
def test_a_wrong_trainable_gets_its_finding(
    trainable: Any, check: str, verdict: Verdict, text: str, remedy: str
) -> None:
    report = check_trainable(trainable, t.SPACE)

    found = finding(report, check)
    assert found.verdict is verdict, str(report)
    assert text in found.text
    assert remedy in found.remedy
    assert report.ok == (not report.failures)


def test_a_function_that_returns_a_number_needs_no_checkpoint() -> None:
    report = check_trainable(t.returns_a_number, metric="_metric")

    assert report.ok and not report.warnings, str(report)
    assert finding(report, "step").text == "Returns after 1 report."


def test_bound_parameters_and_resources_count() -> None:
    bound = tune.with_resources(tune.with_parameters(t.takes_data, data=[1, 2]), {"cpu": 0.5})

    report = check_trainable(bound, metric="loss")

    assert report.ok and not report.warnings, str(report)


def test_a_trial_that_is_done_is_not_asked_to_go_on() -> None:
    report = check_trainable(t.DoneAtOnce, t.SPACE, metric="loss")

    assert report.ok and not report.warnings, str(report)
    assert finding(report, "restore").text == "A checkpoint can be restored in a fresh process."


def test_what_cannot_be_pickled_is_named() -> None:
    lock = threading.Lock()

    def train(config: dict[str, Any]) -> None:
        with lock:
            tune.report({"loss": 1})

    report = check_trainable(train)

    assert [each.check for each in report.findings] == ["pickle"]
    assert "'lock'" in report.failures[0].text


def test_a_relative_path_of_the_original_directory_gets_the_three_remedies() -> None:
    Path("data.csv").write_text("1")

    report = check_trainable(t.ReadsRelativePath)

    assert finding(report, "paths").verdict is FAILURE
    assert "RAY_CHDIR_TO_TRIAL_DIR" in finding(report, "paths").remedy


def test_a_path_that_exists_nowhere_is_a_failure_of_setup() -> None:
    report = check_trainable(t.ReadsRelativePath)

    assert finding(report, "setup").verdict is FAILURE
    assert findings(report, "paths") == []


def test_a_step_without_end_is_a_failure_and_no_hang() -> None:
    report = check_trainable(t.NeverSteps, timeout_s=2.0)

    assert finding(report, "time").verdict is FAILURE
    assert "step" in finding(report, "time").text
    assert not report.ok


def test_the_report_is_readable_as_text_and_as_data() -> None:
    report = check_trainable(t.FailsInStep)

    text = str(report)
    assert text.startswith("Check of FailsInStep: 1 failure, 0 warnings")
    assert "RuntimeError: no loss" in text and "-> Look at" in text and "| Traceback" in text
    assert max(map(len, text.splitlines()[:4])) <= 100
    data = json.loads(json.dumps(report.to_dict()))
    assert data["ok"] is False
    assert data["findings"][-1]["verdict"] == "failure"


def test_two_different_configs_are_drawn_from_a_space() -> None:
    for space in (t.SPACE, {"lr": tune.uniform(0, 1)}, {"on": tune.choice([True, False])}):
        first, second = two_configs(space)
        assert first != second


def test_a_fixed_config_is_used_twice_without_being_shared() -> None:
    config = {"layers": [1, 2]}
    first, second = two_configs(config)

    assert first == second == config
    assert first["layers"] is not second["layers"]


@pytest.mark.parametrize(
    ("arguments", "options", "error"),
    [
        ((3,), {}, TypeError),
        ((t.right, [1]), {}, TypeError),
        ((t.right,), {"timeout_s": 0}, ValueError),
        (("no such name",), {}, tune.TuneError),
    ],
)
def test_arguments_that_make_no_sense_are_refused(
    arguments: tuple[Any, ...], options: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        check_trainable(*arguments, **options)
