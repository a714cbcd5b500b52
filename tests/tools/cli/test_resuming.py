"""``stop``, ``resume`` and ``retry``: from one terminal to another."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.runs.lifecycle.programs import environment, running, wait_until
from tests.tools.cli.command import PROGRAM, for_json, localtune, write_script

pytestmark = pytest.mark.slow

RUN = ["run", "job.py:Counts", "--storage", "s", "--name", "a", "--param", "go=go"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_script(tmp_path)
    return tmp_path


def test_a_run_is_stopped_from_outside_and_goes_on_later(folder: Path) -> None:
    go = folder / "go"
    args = [*RUN[:-1], f"go={go}"]
    with running([*PROGRAM, *args], folder, env=environment()) as program:
        wait_until(lambda: any(folder.glob("s/a/*/result.json")), "the first result")
        (listed,) = for_json(folder, "ls", "s")
        assert (listed["state"], listed["pid"]) == ("running", program.pid)
        kept = localtune(folder, "clean", "s", "--yes")
        assert "is running it" in kept.stderr and (folder / "s" / "a").exists()

        done = localtune(folder, "stop", "a", "--storage", "s")

        assert done.returncode == 0, done.stderr
        assert f"process {program.pid}" in done.stderr
        assert done.stderr.strip().endswith(f"localtune resume {folder / 's' / 'a'}")
        # As any program that SIGTERM ended.
        assert program.wait(60) == 128 + 15, (folder / "output").read_text()
    before = for_json(folder, "show", "s/a", "0")
    assert before["checkpoint"] is not None
    assert localtune(folder, "stop", "s/a").returncode == 1

    go.touch()
    # It knows what it was started with, also from elsewhere.
    outcome = for_json(folder / "s", "resume", "../s/a")

    assert outcome["trials"] == {"TERMINATED": 1}
    after = for_json(folder, "show", "s/a", "0")
    assert after["trial_id"] == before["trial_id"]
    assert after["result"]["count"] == before["result"]["count"] + 1


def test_a_run_that_was_killed_is_run_by_nobody(folder: Path) -> None:
    with running([*PROGRAM, *RUN], folder) as program:
        wait_until(lambda: any(folder.glob("s/a/*/result.json")), "the first result")
        program.kill()
        program.wait(60)
    # It had no time to remove its name.
    assert (folder / "s" / "a" / ".lock_owner.json").exists()

    (listed,) = for_json(folder, "ls", "s")
    done = localtune(folder, "stop", "s/a")

    assert (listed["state"], listed["pid"]) == ("interrupted", None)
    assert (done.returncode, "No process is running" in done.stderr) == (1, True)


def test_stop_waits_no_longer_than_it_was_told(folder: Path) -> None:
    path = folder / "s" / "deaf"
    path.mkdir(parents=True)
    (path / "tuner.pkl").touch()
    code = (
        "import signal, sys; from localtune.storage.locks import experiment_locked\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "with experiment_locked(sys.argv[1]): signal.pause()"
    )
    with running(["-c", code, str(path)], folder):
        wait_until((path / ".lock_owner.json").exists, "the lock is held")

        done = localtune(folder, "stop", str(path), "--timeout", "0.2")

    assert (done.returncode, "has not ended yet" in done.stderr) == (1, True)


def test_failed_trials_are_tried_again(folder: Path) -> None:
    fixed = folder / "fixed"
    options = ["--storage", "s", "--name", "a", "--verbose", "0"]
    params = ["--param", "x=grid_search([1, 2])", "--param", f"fixed={fixed}"]
    assert localtune(folder, "run", "job.py:train", *params, *options).returncode == 1
    fixed.touch()

    # Nobody asked for the failed one.
    assert for_json(folder, "resume", "s/a", "job.py:train", code=1)["trials"]["ERROR"] == 1
    outcome = for_json(folder, "retry", "a", "job.py:train", "--storage", "s", "--restart")

    assert outcome["trials"] == {"TERMINATED": 2}
    rows = [path.read_text().splitlines() for path in folder.glob("s/a/*/result.json")]
    assert [[json.loads(row)["training_iteration"] for row in each] for each in rows] == [
        [1, 2, 3],
        [1, 2, 3],
    ]


def test_failed_trials_of_an_earlier_run_are_tried_again_with_what_it_was_started_with(
    folder: Path,
) -> None:
    fixed = folder / "fixed"
    options = ["--storage", "s", "--name", "a", "--verbose", "0"]
    params = ["--param", "x=grid_search([1, 2])", "--param", f"fixed={fixed}"]
    assert localtune(folder, "run", "job.py:train", *params, *options).returncode == 1
    script = "import localtune as tune, job; tune.Tuner(job.silent, run_config=tune.RunConfig("
    script += f"name='a', storage_path='{folder / 's'}', verbose=0)).fit()"
    with running(["-c", script], folder, env=environment()) as program:
        assert program.wait(60) == 0, (folder / "output").read_text()
    fixed.touch()

    outcome = for_json(folder, "retry", "s/a", "--run", "1")

    assert outcome["trials"] == {"TERMINATED": 2}
    assert for_json(folder, "show", "s/a", "--run", "1")["counts"] == {"TERMINATED": 2}
    assert for_json(folder, "show", "s/a")["counts"] == {"TERMINATED": 1}
    # The latest run is another program's, and no command started it.
    done = localtune(folder, "retry", "s/a")
    assert done.returncode == 2 and "does not say what" in done.stderr
    assert for_json(folder, "retry", "s/a", "job.py:silent")["trials"] == {"TERMINATED": 1}
    done = localtune(folder, "retry", "s/a", "job.py:silent", "--run", "3")
    assert done.returncode == 2 and "has no run 3: it has the runs 1 to 2" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["resume", "b", "job.py:train", "--storage", "s"], "Did you mean 'ab'?"),
        (["resume", "s/ab", "job.py:silent"], "ran the trainable 'train', but got 'silent'"),
    ],
)
def test_what_cannot_be_taken_up_ends_it_with_2(
    arguments: list[str], says: str, folder: Path
) -> None:
    options = ["--storage", "s", "--name", "ab", "--verbose", "0"]
    assert localtune(folder, "run", "job.py:train", "--param", "x=1", *options).returncode == 0

    done = localtune(folder, *arguments)

    assert done.returncode == 2
    assert says in done.stderr


def test_what_others_could_have_written_names_no_code_to_import(folder: Path) -> None:
    (folder / "go").touch()
    assert localtune(folder, *RUN[:-1], f"go={folder / 'go'}").returncode == 0
    (folder / "evil.py").write_text("open('imported', 'w').close()")
    experiment = folder / "s" / "a"
    record = {"target": "evil.py:train", "directory": str(folder), "resources": {}}
    (experiment / "command.json").write_text(json.dumps(record))
    experiment.chmod(0o777)

    done = localtune(folder, "resume", "s/a")

    assert done.returncode != 0
    assert "trust" in done.stderr
    assert not (folder / "imported").exists()


def test_an_experiment_of_a_script_needs_its_target(folder: Path) -> None:
    script = "import localtune as tune, job; tune.Tuner(job.Counts, run_config=tune.RunConfig("
    script += "name='a', storage_path='{}', verbose=0), param_space={{'go': '{}'}}).fit()"
    with running(
        ["-c", script.format(folder / "s", folder / "job.py")], folder, env=environment()
    ) as program:
        assert program.wait(60) == 0, (folder / "output").read_text()

    done = localtune(folder, "resume", "s/a")

    assert done.returncode == 2
    assert "localtune resume s/a train.py:train" in done.stderr
    assert for_json(folder, "resume", "s/a", "job.py:Counts")["trials"] == {"TERMINATED": 1}


def test_the_executor_is_that_of_the_run_unless_another_is_named(tmp_path: Path) -> None:
    write_script(tmp_path)
    options = ["--storage", "s", "--name", "a", "--executor", "processes(num_cpus=1)"]
    assert localtune(tmp_path, "run", "job:train", "--param", "x=1", *options).returncode == 0
    for more in ([], ["--executor", "inprocess"]):
        done = localtune(tmp_path, "resume", "a", "--storage", "s", *more)
        assert (done.returncode, done.stderr) == (0, "")
    done = localtune(tmp_path, "resume", "a", "--storage", "s", "--executor", "procesess")
    assert done.returncode == 2 and "'processes'" in done.stderr


def test_an_executor_that_shares_no_machine_does_not_go_with_shared(tmp_path: Path) -> None:
    write_script(tmp_path)
    done = localtune(tmp_path, "run", "job:train", "--executor", "inprocess", "--shared")
    assert done.returncode == 2 and "leave out one" in done.stderr
