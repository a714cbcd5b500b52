from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from localtune.experiment.status import Status
from localtune.progress_reporter import JupyterNotebookReporter
from localtune.progress_reporter.notebook_reporter import as_html
from tests.progress_reporter.runs import ended_trial, make_trial


class Notebook:
    """What a notebook has loaded: two modules of IPython that write down what is asked of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, shell: object) -> None:
        self.calls: list[tuple[str, Any]] = []
        package, display = ModuleType("IPython"), ModuleType("IPython.display")
        package.get_ipython = lambda: shell  # type: ignore[attr-defined]
        display.HTML = lambda text: text  # type: ignore[attr-defined]
        display.display = lambda shown: self.calls.append(("display", shown))  # type: ignore[attr-defined]
        display.clear_output = lambda wait: self.calls.append(("clear", wait))  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "IPython", package)
        monkeypatch.setitem(sys.modules, "IPython.display", display)


def test_tables_are_html_in_which_text_is_only_text() -> None:
    trial = make_trial(params={"<lr>": "<b>&"}, name="a_very_long_<name>_of_a_trial")

    html = as_html(JupyterNotebookReporter().sections([trial], False, ["<i>4</i> at once"]), 20)

    assert html.startswith("<div><p>Current time")
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

    names = [name for name, _ in notebook.calls]
    assert names == (["clear", "display"] if overwrite else ["display"])
    assert "Current best trial: train_t00000" in notebook.calls[-1][1]


@pytest.mark.parametrize("shell", [None, SimpleNamespace()])
def test_outside_a_notebook_it_prints(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], shell: object
) -> None:
    notebook = Notebook(monkeypatch, shell)
    JupyterNotebookReporter().report([make_trial()], True)

    assert notebook.calls == []
    assert capsys.readouterr().out.startswith("== Status ==\nCurrent time")


def test_without_ipython_it_prints(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    JupyterNotebookReporter().report([make_trial()], True)

    assert "Number of trials: 1" in capsys.readouterr().out
