"""``localtune export``: files for other tools."""

from __future__ import annotations

import contextlib
import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy
import pytest

from localtune.search.sample import choice, grid_search, loguniform, uniform
from localtune.storage.experiment_db import ExperimentDB
from localtune.tools.cli.main import main
from localtune.trial.status import Status
from localtune.trial.trial import Trial
from tests.runs.lifecycle.programs import environment, run_for_json
from tests.small_runs import begin_only, fit, make_tuner, reporting
from tests.tools.cli.command import localtune

pytestmark = pytest.mark.slow


def fails(config: dict[str, Any]) -> None:
    """Reports once, and fails for x = 2."""
    import localtune as tune

    tune.report({"score": float("nan") if config["x"] == 3 else config["x"]})
    if config["x"] == 2:
        raise ValueError("two")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A storage with an experiment of three trials: good, failed, NaN."""
    space = {
        "x": grid_search([1, 2, 3]),
        "lr": loguniform(1e-4, 1e-1),
        "inner": {"act": choice(["relu", "tanh", None])},
        "mixed": choice([1, "auto", [1, 2]]),
        "constant": {"a": [1, 2]},
    }
    fit(fails, tmp_path, space, metric="score", mode="max", seed=1)
    return tmp_path


def export(folder: Path, kind: str, *options: str, code: int = 0) -> Path:
    path = folder / f"out.{kind}"
    assert main(["export", str(folder / "run"), "--to", kind, "-o", str(path), *options]) == code
    return path


def test_csv_has_a_row_per_trial(folder: Path) -> None:
    with open(export(folder, "csv"), newline="") as file:
        rows = list(csv.DictReader(file))

    assert [row["config/x"] for row in rows] == ["1", "2", "3"]
    assert [row["status"] for row in rows] == ["TERMINATED", "ERROR", "TERMINATED"]
    assert ["ValueError: two" in row["error"] for row in rows] == [False, True, False]
    assert rows[0]["score"] == "1"


def test_json_is_nested_and_strict(folder: Path) -> None:
    def refuse(name: str) -> None:
        raise AssertionError(name)

    rows = json.loads(export(folder, "json").read_text(), parse_constant=refuse)

    assert [row["config"]["x"] for row in rows] == [1, 2, 3]
    assert [row["score"] for row in rows] == [1, 2, None]
    assert rows[0]["config"]["constant"] == {"a": [1, 2]}


def test_rows_may_be_results(tmp_path: Path) -> None:
    fit(reporting, tmp_path, {"x": grid_search([1, 2]), "steps": 3})

    rows = json.loads(export(tmp_path, "json", "--rows", "results").read_text())

    assert [(row["config"]["x"], row["score"]) for row in rows] == [
        (1, 1),
        (1, 2),
        (1, 3),
        (2, 2),
        (2, 4),
        (2, 6),
    ]


def test_parquet_has_a_row_per_trial(folder: Path) -> None:
    done = localtune(
        folder, "export", "run", "--storage", ".", "--to", "parquet", "-o", "t.parquet"
    )
    assert done.returncode == 0, done.stderr

    code = (
        "import pandas; t = pandas.read_parquet('t.parquet');"
        "print(t[['trial_id', 'config/x', 'score', 'config/mixed']].to_json(orient='records'))"
    )
    rows = run_for_json(["-c", code], folder)

    assert [row["config/x"] for row in rows] == [1, 2, 3]
    assert [row["score"] for row in rows] == [1, 2, None]
    assert all(row["config/mixed"] in ("1", "auto", "[1, 2]") for row in rows)


def test_optuna_loads_the_study(folder: Path) -> None:
    begin_only(make_tuner(fails, folder, {"x": 1}, name="new", metric="score", mode="max"))
    # One process: what takes its time is to import Optuna's database.
    code = """
import json, optuna
from localtune.tools.cli.main import main

def export(name, *options):
    return main(["export", name, "--storage", ".", "--to", "optuna", "-o", "o.db", *options])

codes = [export("run"), export("new"), export("run"), export("run", "--force")]
optuna.logging.set_verbosity(optuna.logging.WARNING)
study = optuna.load_study(study_name="run", storage="sqlite:///o.db")
new = optuna.load_study(study_name="new", storage="sqlite:///o.db")
first = study.trials[0]
print(json.dumps({
    "states": [each.state.name for each in study.trials],
    "best": study.best_trial.params["x"],
    "direction": study.direction.name,
    "lr": repr(first.distributions["lr"]),
    "attributes": first.user_attrs,
    "params": sorted(first.params),
    "steps": [each.intermediate_values for each in study.trials][:2],
    "new": len(new.trials),
    "codes": codes,
}))
"""

    found = run_for_json(["-c", code], folder)

    assert found["states"] == ["COMPLETE", "FAIL", "FAIL"]
    assert (found["best"], found["direction"], found["new"]) == (1, "MAXIMIZE", 0)
    assert "high=0.1, log=True, low=0.0001" in found["lr"]
    assert {"inner/act", "lr", "x"} <= set(found["params"])
    assert found["attributes"]["config/constant/a"] == "[1, 2]"
    assert found["steps"] == [{"1": 1.0}, {"1": 2.0}]
    # Twice is refused, or replaces it.
    assert found["codes"] == [0, 0, 2, 0]


def test_a_study_tells_what_waits_and_what_runs(tmp_path: Path) -> None:
    path = tmp_path / "half"
    path.mkdir(mode=0o700)
    trials = [
        Trial("job", trial_id=f"t_{number}", experiment_path=str(path), config={"x": value})
        for number, value in enumerate([1, numpy.int64(5), 3])
    ]
    for trial in trials:
        trial.evaluated_params = {"x": trial.config["x"]}
    trials[1].set_status(Status.RUNNING)
    trials[1].result_count, trials[1].last_result = 1, {"loss": 0.5}
    trials[2].set_status(Status.RUNNING)
    with contextlib.closing(ExperimentDB(str(path))) as db:
        db.save(trials)
    args = ["--to", "optuna", "-o", "o.db", "--metric", "loss", "--mode", "min"]

    done = localtune(tmp_path, "export", str(path), *args)

    assert done.returncode == 0, done.stderr
    code = """
import json, optuna
optuna.logging.set_verbosity(optuna.logging.WARNING)
study = optuna.load_study(study_name="half", storage="sqlite:///o.db")
print(json.dumps([[each.state.name, each.params] for each in study.trials]))
"""
    assert run_for_json(["-c", code], tmp_path) == [
        ["WAITING", {"x": 1}],
        ["RUNNING", {"x": 5}],
        ["WAITING", {"x": 3}],
    ]


def test_a_file_is_replaced_only_by_force(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = export(folder, "csv")
    before = path.read_text()
    path.write_text("mine")

    export(folder, "csv", code=2)
    assert path.read_text() == "mine"
    assert "--force" in capsys.readouterr().err
    export(folder, "csv", "--force")
    assert path.read_text() == before


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--to", "csv", "-o", "no/where.csv"], "a directory that exists"),
        (["--to", "optuna", "-o", "mine.txt"], "is no SQLite file"),
    ],
)
def test_a_place_that_cannot_be_written_is_refused(
    options: list[str], says: str, folder: Path
) -> None:
    (folder / "mine.txt").write_text("mine, and longer than what SQLite begins with")

    done = localtune(folder, "export", "run", "--storage", ".", *options)

    assert done.returncode == 2
    assert says in done.stderr
    assert (folder / "mine.txt").read_text().startswith("mine")


@pytest.mark.parametrize(("kind", "package"), [("parquet", "pyarrow"), ("optuna", "optuna")])
def test_without_the_package_the_extra_is_named(kind: str, package: str, folder: Path) -> None:
    code = (
        f"import sys; sys.modules[{package!r}] = None; from localtune.tools.cli.main import main;"
        f"sys.exit(main(['export', 'run', '--storage', '.', '--to', {kind!r}, '-o', 'out']))"
    )

    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 1
    assert f"localtune-runner[{kind}]" in done.stderr


def test_a_goal_is_needed_for_a_study(tmp_path: Path) -> None:
    fit(reporting, tmp_path, {"x": uniform(0, 1)})

    done = localtune(tmp_path, "export", "run", "--storage", ".", "--to", "optuna", "-o", "o.db")

    assert done.returncode == 2
    assert "--metric NAME --mode min|max" in done.stderr
    assert not (tmp_path / "o.db").exists()


def reports_odd_text(config: dict[str, Any]) -> None:
    import localtune as tune

    # As a file name comes that is no UTF-8.
    name = b"caf\xe9".decode("utf-8", "surrogateescape")
    tune.report({"loss": 1.0, "name": name, name: 2.0})


@pytest.mark.parametrize("rows", ["trials", "results"])
@pytest.mark.parametrize("kind", ["csv", "json"])
def test_text_that_is_no_unicode_does_not_hinder_an_export(
    tmp_path: Path, kind: str, rows: str
) -> None:
    fit(reports_odd_text, tmp_path, {"x": 10**400}, metric="loss", mode="min")

    text = export(tmp_path, kind, "--rows", rows).read_text()
    assert "caf\\udce9" in text


def test_a_huge_parameter_does_not_hinder_an_export_as_a_study(tmp_path: Path) -> None:
    fit(reports_odd_text, tmp_path, {"x": grid_search([1, 10**400])}, metric="loss", mode="min")

    export(tmp_path, "optuna")
