"""Writes the report of an experiment."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from localtune.error import ExtraMissingError
from localtune.utils.files import write_file

if TYPE_CHECKING:
    from localtune.analysis.reader import SavedExperiment


def write_report(
    experiment_path: str | os.PathLike[str],
    path: str | os.PathLike[str] = "report.html",
    metric: str | None = None,
    mode: str | None = None,
    *,
    run: int | None = None,
    trust: bool = False,
) -> str:
    """Writes one HTML file that shows an experiment; the file needs no network.

    The experiment may still run, or hold no trial yet: the report shows what there is.

    Args:
        experiment_path: Directory of the experiment, or its URI.
        path: File to write; one that exists is replaced. Its directory must exist.
        metric: Flat name of the metric by which trials are compared; None is that of the run.
        mode: ``"min"`` or ``"max"``, likewise.
        run: Number of the run that is shown, from 1; None is the latest.
        trust: Read the experiment though another user could have written it.

    Returns:
        Absolute path of the file.

    Raises:
        UsageError: if there is no experiment, or no such run; if no trial has reported the
            metric; for a metric without a mode, if the run's mode is that of another one.
        ValueError: for another mode.
        StorageError: if the experiment cannot be read.
        ExtraMissingError: if plotly is not installed.
        OSError: if the file cannot be written.

    Example:
        >>> write_report("~/localtune_results/sweep", "sweep.html")  # doctest: +SKIP
        '/data/sweep.html'
    """
    from localtune.analysis.experiment_paths import find_experiment
    from localtune.analysis.trial_files import read_with_fallback
    from localtune.config.checks import check_metric_and_mode

    check_metric_and_mode(metric, mode)
    experiment = read_with_fallback(
        find_experiment(os.fspath(experiment_path), None), run, trust=trust
    )
    experiment.set_goal(metric, mode)
    check_metric(experiment)
    return write_experiment(experiment, path)


def check_metric(experiment: SavedExperiment) -> None:
    """Raises UsageError for a metric that no trial has reported, though some reported others."""
    from localtune.analysis.metric_help import explain_no_best
    from localtune.error import UsageError

    known = {name for trial in experiment.trials for name in trial.metric_stats}
    if experiment.metric is not None and known and experiment.metric not in known:
        raise UsageError(explain_no_best(experiment.trials, experiment.metric, only_finite=False))


def write_experiment(experiment: SavedExperiment, path: str | os.PathLike[str]) -> str:
    """Writes the report of an experiment that has been read.

    Args:
        experiment: The experiment.
        path: See :func:`write_report`.
    """
    from localtune.tools.report.content import content_of
    from localtune.tools.report.page import render

    target = os.path.abspath(os.path.expanduser(os.fspath(path)))
    library = _plotly_source()
    write_file(target, render(content_of(experiment), library).encode("utf-8"), sync=False)
    return target


def _plotly_source() -> str:
    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        raise ExtraMissingError("plotly", "report", "A report") from None
    source: str = get_plotlyjs()
    return source
