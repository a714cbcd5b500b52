from __future__ import annotations

import io

import pytest

from localtune.config.run import Verbosity
from localtune.progress_reporter import CLIReporter, ConsoleOutput, create_output
from localtune.progress_reporter.facts import RunFacts
from localtune.progress_reporter.reporter_callback import ReporterCallback
from tests.progress_reporter.runs import make_trial


def test_without_a_reporter_there_is_the_built_in_output() -> None:
    stream = io.StringIO()
    output = create_output(
        1,
        RunFacts(
            "/results/sweep",
            total_samples=3,
            resources={"CPU": 4},
            searcher_name="S",
            scheduler_name="A",
        ),
        stream=stream,
    )
    output.setup()

    assert isinstance(output, ConsoleOutput)
    assert stream.getvalue().splitlines()[0] == "sweep: 3 trials, 4 CPU, searcher S, scheduler A"


def test_a_reporter_takes_its_place(capsys: pytest.CaptureFixture[str]) -> None:
    output = create_output(
        1,
        RunFacts("/results/sweep", resources={"CPU": 4}, searcher_name="S", scheduler_name="A"),
        reporter=CLIReporter(),
    )
    output.on_experiment_end([make_trial()])

    assert isinstance(output, ReporterCallback)
    lines = capsys.readouterr().out.splitlines()
    assert lines[2:5] == ["Searcher: S", "Scheduler: A", "4 CPU"]


def test_a_silent_run_is_silent_with_a_reporter_too(capsys: pytest.CaptureFixture[str]) -> None:
    output = create_output(0, RunFacts("/results/sweep"), reporter=CLIReporter())
    output.tick([])
    output.on_experiment_end([make_trial()])

    assert capsys.readouterr().out == ""


def test_levels_can_be_members_of_the_enum() -> None:
    stream = io.StringIO()
    output = create_output(Verbosity.V0_MINIMAL, RunFacts("/x"), stream=stream)
    output.setup()
    output.log("text")

    assert stream.getvalue() == ""


def test_the_standard_output_is_that_of_the_moment(capsys: pytest.CaptureFixture[str]) -> None:
    create_output(1, RunFacts("/results/sweep")).log("text")

    assert capsys.readouterr().out == "00:00:00 text\n"
