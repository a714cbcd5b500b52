from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from localtune.progress_reporter import JupyterNotebookReporter
from localtune.progress_reporter.notebook_reporter import as_html
from localtune.trial.status import Status
from localtune.utils import log
from localtune.utils.log import disable_ipython
from tests.progress_reporter.runs import ended_trial, make_trial
from tests.runs.lifecycle.programs import DEADLINE_S, environment


class Notebook:
    """The two modules of IPython that a notebook has loaded, which record their calls."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, shell: object) -> None:
        self.calls: list[tuple[str, Any]] = []
        package, display = ModuleType("IPython"), ModuleType("IPython.display")
        package.get_ipython = lambda: shell  # type: ignore[attr-defined]
        display.HTML = lambda text: text  # type: ignore[attr-defined]
        display.display = self.display  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "IPython", package)
        monkeypatch.setitem(sys.modules, "IPython.display", display)

    def display(self, shown: Any, display_id: bool) -> Any:
        self.calls.append(("display", shown))
        return SimpleNamespace(update=lambda shown: self.calls.append(("update", shown)))


def test_tables_are_html_in_which_text_is_only_text() -> None:
    trial = make_trial(params={"<lr>": "<b>&"}, name="a_very_long_<name>_of_a_trial")

    html = as_html(JupyterNotebookReporter().sections([trial], False, ["<i>4</i> at once"]), 20)

    assert html.startswith('<div style="overflow-x: auto"><p>Current time')
    assert "<p>&lt;i&gt;4&lt;/i&gt; at once</p>" in html
    assert "<th>status</th><th>&lt;lr&gt;</th>" in html
    assert "<td>&lt;b&gt;&amp;</td>" in html
    assert '<td title="a_very_long_&lt;name&gt;_of_a_trial">a_very_lo…of_a_trial</td>' in html


def test_numbers_stand_at_the_right_and_paths_are_whole() -> None:
    html = as_html(JupyterNotebookReporter().sections([ended_trial(0, Status.ERROR)], True, []), 20)

    assert '<td style="text-align: right">0.1</td>' in html
    assert "<td>/results/sweep/train_t00000/error.txt</td>" in html


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_report_takes_the_place_of_the_one_before_if_asked(
    monkeypatch: pytest.MonkeyPatch, overwrite: bool
) -> None:
    notebook = Notebook(monkeypatch, SimpleNamespace(kernel=object()))
    reporter = JupyterNotebookReporter(overwrite=overwrite, metric="loss", mode="min")
    reporter.report([ended_trial(loss=0.5)], False)
    reporter.report([ended_trial(loss=0.5)], True)

    names = [name for name, _ in notebook.calls]
    assert names == (["display", "update"] if overwrite else ["display", "display"])
    assert "Current best trial: train_t00000" in notebook.calls[-1][1]


@pytest.mark.parametrize("shell", [None, SimpleNamespace()])
def test_outside_a_notebook_it_prints(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], shell: object
) -> None:
    notebook = Notebook(monkeypatch, shell)
    JupyterNotebookReporter().report([make_trial()], True)

    assert notebook.calls == []
    assert capsys.readouterr().out.startswith("== Status ==\nCurrent time")


def test_in_a_notebook_that_is_switched_off_it_prints(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    notebook = Notebook(monkeypatch, SimpleNamespace(kernel=object()))
    monkeypatch.setattr(log, "_shows_in_notebooks", True)
    disable_ipython()
    JupyterNotebookReporter().report([make_trial()], True)

    assert notebook.calls == []
    assert "Number of trials: 1" in capsys.readouterr().out


def test_without_ipython_it_prints(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    JupyterNotebookReporter().report([make_trial()], True)

    assert "Number of trials: 1" in capsys.readouterr().out


CELL = """
import os
import localtune as tune
def train(config):
    tune.report({"loss": config["x"]})
print("before the run")
tune.Tuner(
    train,
    param_space={"x": tune.grid_search([1, 2])},
    tune_config=tune.TuneConfig(metric="loss", mode="min"),
    run_config=tune.RunConfig(
        storage_path=os.path.abspath("results"),
        progress_reporter=tune.JupyterNotebookReporter(max_report_frequency=0),
    ),
    executor=tune.ProcessExecutor(num_cpus=1),
).fit()
"""


def test_a_real_notebook_shows_one_table_that_was_updated_in_place(tmp_path: Path) -> None:
    cell: dict[str, Any] = {
        "cell_type": "code",
        "execution_count": None,
        "id": "run",
        "metadata": {},
        "outputs": [],
        "source": CELL,
    }
    notebook = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (tmp_path / "sweep.ipynb").write_text(json.dumps(notebook))
    command = [sys.executable, "-m", "nbconvert", "--execute", "--to", "notebook", "--stdout"]
    done = subprocess.run(
        [*command, "sweep.ipynb"],
        cwd=tmp_path,
        env=environment(JUPYTER_PLATFORM_DIRS="1"),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )
    assert done.returncode == 0, done.stderr
    outputs = json.loads(done.stdout)["cells"][0]["outputs"]
    printed = [each["text"] for each in outputs if each["output_type"] == "stream"]
    shown = [
        "".join(each["data"]["text/html"])
        for each in outputs
        if each.get("data", {}).get("text/html")
    ]
    assert "before the run" in str(printed[0])
    assert len(shown) == 1
    assert "Number of trials: 2 (2 TERMINATED)" in shown[0].replace("2/2", "2")
    assert shown[0].count("<tr>") == 3
    assert "color" not in shown[0]
