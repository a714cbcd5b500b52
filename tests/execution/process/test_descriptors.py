"""Runs that need many descriptors, where these are few."""

from __future__ import annotations

import json
import re
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localtune.execution.process.descriptors import Descriptors, users_limit
from localtune.utils.open_files import open_count
from tests.runs.lifecycle.programs import run

HEAD = """
import json, os, resource, sys, time, warnings
import localtune as tune

SOFT, HARD, TRIALS, METHOD = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
os.mkdir("started")
most = 0

class Watch(tune.Callback):
    def on_trial_start(self, iteration, trials, trial, **info):
        global most
        running = sum(each.status == "RUNNING" for each in trials)
        most = max(most, running)

def fit(train):
    resource.setrlimit(resource.RLIMIT_NOFILE, (SOFT, HARD))
    grid = tune.Tuner(
        train,
        tune_config=tune.TuneConfig(num_samples=TRIALS),
        run_config=tune.RunConfig(
            storage_path=os.getcwd(), name="sweep", verbose=1, callbacks=[Watch()]
        ),
        executor=tune.ProcessExecutor(num_cpus=TRIALS, start_method=METHOD),
    ).fit()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limits = sorted({result.metrics["limit"] for result in grid if result.metrics})
    print(json.dumps({
        "trials": len(grid), "errors": [str(each) for each in grid.errors], "most": most,
        "limits": limits, "soft": soft,
    }))
"""

ALL_AT_ONCE = (
    HEAD
    + """
def train(config):
    import resource
    open(f"{started}/{os.getpid()}", "x").close()
    while len(os.listdir(started)) < TRIALS:
        time.sleep(0.05)
    tune.report({"limit": resource.getrlimit(resource.RLIMIT_NOFILE)[0]})

started = os.path.abspath("started")
fit(train)
"""
)

AS_MANY_AS_MAY = (
    HEAD
    + """
def train(config):
    import resource
    tune.report({"limit": resource.getrlimit(resource.RLIMIT_NOFILE)[0]})

fit(train)
"""
)


WARNING = "No more than {} trials run at once"


def sweep(tmp_path: Path, source: str, *arguments: object) -> tuple[Any, str]:
    """Returns the last line of a script's output, and all of it."""
    script = tmp_path / "script.py"
    script.write_text(source)
    done = run([str(script), *map(str, arguments)], tmp_path)
    return json.loads(done.stdout.splitlines()[-1]), done.stdout + done.stderr


@pytest.mark.parametrize(("method", "trials"), [("template", 60), ("spawn", 12), ("portable", 12)])
def test_the_soft_limit_is_raised_for_the_run_and_not_for_its_trials(
    tmp_path: Path, method: str, trials: int
) -> None:
    found, output = sweep(tmp_path, ALL_AT_ONCE, 80, 2000, trials, method)
    assert found == {
        "trials": trials,
        "errors": [],
        "most": trials,
        "limits": [80],
        "soft": 80,
    }
    assert WARNING.format(trials) not in output


def test_where_it_cannot_be_raised_fewer_trials_run_at_once(tmp_path: Path) -> None:
    found, output = sweep(tmp_path, AS_MANY_AS_MAY, 128, 128, 60, "template")
    assert (found["trials"], found["errors"]) == (60, [])
    assert 1 < found["most"] < 20
    assert output.count(WARNING.format(found["most"])) == 1


def test_however_few_there_are_one_trial_runs(tmp_path: Path) -> None:
    found, output = sweep(tmp_path, AS_MANY_AS_MAY, 48, 48, 5, "template")
    assert "No more than 1 trial runs at once" in output
    assert (found["trials"], found["errors"], found["most"]) == (5, [], 1)


@pytest.fixture
def soft_limit() -> Iterator[int]:
    """A low one, for this process."""
    before, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    low = open_count() + 100
    resource.setrlimit(resource.RLIMIT_NOFILE, (low, hard))
    yield low
    resource.setrlimit(resource.RLIMIT_NOFILE, (before, hard))


def soft_now() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def test_the_limit_is_raised_only_when_workers_need_it(soft_limit: int) -> None:
    held = Descriptors()
    held.make_room(2)
    assert soft_now() == soft_limit
    held.make_room(50)
    assert soft_now() > soft_limit
    assert users_limit() == soft_limit
    held.close()
    assert soft_now() == soft_limit


def test_the_limit_is_put_back_when_the_last_of_several_runs_has_ended(soft_limit: int) -> None:
    first, second = Descriptors(), Descriptors()
    first.make_room(50)
    second.make_room(200)
    first.close()
    assert soft_now() > soft_limit
    second.close()
    assert soft_now() == soft_limit


def test_a_limit_that_other_code_has_set_meanwhile_stays(soft_limit: int) -> None:
    held = Descriptors()
    held.make_room(50)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft_limit + 7, hard))
    held.close()
    assert soft_now() == soft_limit + 7


def test_what_limits_the_workers_is_said_with_the_remedy(soft_limit: int) -> None:
    count, why = Descriptors().most_workers()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert count is not None and 1 <= count < hard
    assert str(hard) in why and "ulimit -Hn" in why
    total, before, reserve, each = map(int, re.findall(r"\d+", why))
    assert count == (total - before - reserve) // each
