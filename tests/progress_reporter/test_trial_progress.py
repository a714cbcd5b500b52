from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from localtune.progress_reporter import TrialProgressCallback
from tests.small_runs import Counting, fit


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({}, "iteration 2, count=2, loss=0.5, nested/count=2, nested/resets=0"),
        ({"metric": "loss", "progress_metrics": []}, "iteration 2, loss=0.5"),
        (
            {"metric": "loss", "progress_metrics": ["nested/count", "missing"]},
            "iteration 2, loss=0.5, nested/count=2",
        ),
        ({"progress_metrics": {"nested/count": "inner"}}, "iteration 2, inner=2"),
    ],
)
def test_each_result_and_end_is_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: Any, line: str
) -> None:
    callback = TrialProgressCallback(**options)
    fit(Counting, tmp_path, {"steps": 2}, verbose=0, callbacks=[callback])

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and all(each.startswith("Counting_") for each in lines)
    assert lines[1].endswith(f": {line}") and lines[2].endswith(": finished")


def test_a_failed_trial_is_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fit(Counting, tmp_path, {"fail_at": 1}, verbose=0, callbacks=[TrialProgressCallback()])

    assert any(each.endswith(": failed") for each in capsys.readouterr().out.splitlines())
