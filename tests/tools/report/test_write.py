"""write_report on experiments in any state."""

from __future__ import annotations

import contextlib
import html
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.error import (
    ExtraMissingError,
    StorageError,
    UntrustedDirectoryError,
    UsageError,
)
from localtune.search.sample import grid_search
from localtune.storage.experiment_db import ExperimentDB
from localtune.storage.locks import experiment_locked
from localtune.tools.report import write_report
from tests.small_runs import Counting, begin_only, fit, make_tuner, reporting


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiment of three trials, of which the second fails."""
    storage = tmp_path_factory.mktemp("good")
    space = {"fail_at": grid_search([None, 2, None])}
    fit(Counting, storage, space, metric="loss", mode="min")
    return storage / "run"


def report(experiment: Path, tmp_path: Path, **options: Any) -> str:
    return Path(write_report(experiment, tmp_path / "r.html", **options)).read_text("utf-8")


def own_part(page: str) -> str:
    """The page without the library that draws charts."""
    return re.sub(
        r"<script>(.*?)</script>", lambda m: m[0] if len(m[0]) < 10**5 else "", page, flags=re.S
    )


def text_of(page: str) -> str:
    bare = re.sub(r"<(script|style).*?</\1>", "", page, flags=re.S)
    return html.unescape(re.sub(r"<[^>]*>", " ", bare))


def data_of(page: str) -> Any:
    (found,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page)
    return json.loads(found)


def test_a_report_tells_of_all_trials(good: Path, tmp_path: Path) -> None:
    page = report(good, tmp_path)

    text = text_of(page)
    assert "2 finished, 1 failed" in text
    assert "ValueError: step 2 failed" in text
    assert "lower is better" in text
    assert data_of(page)["ranking"] == [0, 2, 1]
    assert [len(each["x"]) for each in data_of(page)["curves"]] == [3, 1, 3]
    assert "Too few trials to tell: 3 of at least 10" in text


def test_nothing_in_a_page_is_loaded_from_elsewhere(good: Path, tmp_path: Path) -> None:
    page = report(good, tmp_path)

    assert re.findall(r"https?:|//[a-z]+\.|@import|url\(", own_part(page)) == []
    assert re.findall(r"<(?:link|iframe|img|object|embed)\b", own_part(page)) == []
    assert re.findall(r"<script[^>]*\ssrc", page) == []
    policy = html.unescape(re.findall(r'Content-Security-Policy" content="([^"]*)', page)[0])
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert policy.count("'sha256-") == page.count("<script>")


def test_headings_and_table_have_their_roles(good: Path, tmp_path: Path) -> None:
    page = re.sub(r"<(script|style).*?</\1>", "", report(good, tmp_path), flags=re.S)

    assert page.count("<h1") == 1
    assert re.findall(r'<th scope="col"', page)
    assert page.count('scope="row"') >= 3
    assert page.count("aria-sort=") == 1
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert sorted(set(ids)) == sorted(ids)
    for name in ("aria-labelledby", "aria-describedby"):
        assert set(re.findall(rf'{name}="([^"]+)"', page)) <= set(ids)
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)


def test_metric_and_mode_can_be_others(good: Path, tmp_path: Path) -> None:
    page = report(good, tmp_path, metric="nested/count", mode="max")

    assert "higher is better" in text_of(page)
    assert data_of(page)["metric"] == "nested/count"


def test_an_unknown_metric_names_the_near_miss(good: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Did you mean 'loss'"):
        report(good, tmp_path, metric="los")
    with pytest.raises(ValueError, match="mode must be"):
        report(good, tmp_path, mode="best")
    assert not (tmp_path / "r.html").exists()


def test_without_a_metric_the_first_one_is_shown(tmp_path: Path) -> None:
    fit(reporting, tmp_path, {"x": grid_search([1, 2])})

    page = report(tmp_path / "run", tmp_path)

    assert "It is not known what is best" in text_of(page)
    assert "Best configuration" not in text_of(page)
    assert data_of(page)["metric"] == "score"
    assert len(data_of(page)["curves"]) == 2


def test_an_experiment_without_trials_or_database(tmp_path: Path) -> None:
    begun = begin_only(make_tuner(reporting, tmp_path, metric="score", mode="max"))
    (begun / "experiment.db").unlink()

    page = report(tmp_path / "run", tmp_path)

    assert "no trials yet" in text_of(page)
    # Nothing is drawn, so nothing that draws is there.
    assert len(page) < 100_000
    with pytest.raises(UsageError, match="There is no experiment"):
        report(tmp_path / "nothing", tmp_path)


def test_trials_without_results_and_without_directories(tmp_path: Path) -> None:
    begin_only(make_tuner(reporting, tmp_path, metric="score", mode="max"))
    trials = [tune.experiment.Trial("t", trial_id=str(n), config={"x": n}) for n in range(3)]
    with contextlib.closing(ExperimentDB(str(tmp_path / "run"))) as db:
        db.save(trials)

    page = report(tmp_path / "run", tmp_path)

    assert "3 waiting" in text_of(page)
    assert "The run was interrupted" in text_of(page)
    assert "No trial has reported a finite value of 'score'" in text_of(page)


def test_a_running_experiment_is_said_to_run(good: Path, tmp_path: Path) -> None:
    with experiment_locked(str(good)):
        page = report(good, tmp_path)

    assert "The run goes on" in text_of(page)
    assert "Duration so far" in text_of(page)


def test_what_a_running_trial_has_reported_is_there_at_once(tmp_path: Path) -> None:
    class Reports(tune.Callback):
        def on_trial_result(self, iteration, trials, trial, result, **info):  # type: ignore[no-untyped-def]
            if result["training_iteration"] == 4:
                pages.append(report(tmp_path / "run", tmp_path))

    pages: list[str] = []
    space = {"x": 1, "steps": 5}
    fit(reporting, tmp_path, space, metric="score", mode="max", callbacks=[Reports()])

    (page,) = pages
    assert "1 running" in text_of(page)
    # The callback comes before the result of its own iteration is written.
    assert data_of(page)["curves"][0]["y"]["score"] == [1, 2, 3]
    assert data_of(page)["values"] == [3]


def test_a_damaged_history_changes_nothing(good: Path, tmp_path: Path) -> None:
    torn = shutil.copytree(good, tmp_path / "torn")
    first, second, third = sorted(torn.glob("Counting_*/result.json"))
    lines = first.read_text().splitlines(keepends=True)
    first.write_text(lines[0] + lines[1][:20])  # A torn last line.
    second.unlink()
    lines = third.read_text().splitlines(keepends=True)
    third.write_text(lines[0] + "no result\n" + lines[2])

    page = report(torn, tmp_path)

    assert data_of(page)["curves"] == data_of(report(good, tmp_path))["curves"]
    assert "Line 2 of" not in text_of(page)


@pytest.mark.parametrize("name", ["tuner.pkl", "command.json"])
def test_files_that_are_gone_or_torn_do_no_harm(name: str, good: Path, tmp_path: Path) -> None:
    torn = shutil.copytree(good, tmp_path / "torn")
    (torn / name).write_bytes(b"\x80\x04torn")

    assert "2 finished, 1 failed" in text_of(report(torn, tmp_path))


def test_a_damaged_database_leaves_what_the_files_hold(good: Path, tmp_path: Path) -> None:
    torn = shutil.copytree(good, tmp_path / "torn")
    (torn / "experiment.db").write_bytes((good / "experiment.db").read_bytes()[:3000])
    for name in ("experiment.db-wal", "experiment.db-shm"):
        (torn / name).unlink(missing_ok=True)

    page = report(torn, tmp_path)

    text = text_of(page)
    assert "Shown is what the trials' files hold." in text
    assert "2 finished, 1 failed" in text
    assert "ValueError: step 2 failed" in text
    assert data_of(page)["ranking"] == [0, 2, 1]
    for folder in torn.glob("Counting_*"):
        shutil.rmtree(folder)
    with pytest.raises(StorageError, match="cannot be read"):
        report(torn, tmp_path)


def test_what_another_user_could_have_written_is_not_read(good: Path, tmp_path: Path) -> None:
    foreign = shutil.copytree(good, tmp_path / "foreign")
    foreign.chmod(0o777)

    with pytest.raises(UntrustedDirectoryError):
        report(foreign, tmp_path)
    assert "2 finished" in text_of(report(foreign, tmp_path, trust=True))


def test_configs_with_odd_values(tmp_path: Path) -> None:
    space = {"x": 1, "y": float("nan"), "f": len, 3: "three", "long": "z" * 5000, "none": None}
    fit(
        reporting,
        tmp_path,
        {"a": space, "b": grid_search([[1, 2], {}])},
        metric="score",
        mode="max",
    )

    assert "2 finished" in text_of(report(tmp_path / "run", tmp_path))


def test_without_plotly_the_extra_is_named(
    good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "plotly.offline", None)

    with pytest.raises(ExtraMissingError, match=r"localtune-runner\[report\]"):
        report(good, tmp_path)


def test_the_function_of_trials_is_still_there() -> None:
    assert callable(tune.report)
