"""The content of a report, before it becomes words and charts."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from localtune.analysis.metric_help import user_metrics
from localtune.analysis.reader import ExperimentState, SavedExperiment
from localtune.error import StorageError
from localtune.result import EXPR_ERROR_FILE
from localtune.tools.commands.start_command import command_of
from localtune.tools.report.curves import (
    MAX_CURVES,
    MAX_METRICS,
    Curve,
    make_curve,
    points_per_curve,
)
from localtune.tools.report.importance import Importance, importances
from localtune.tools.report.params import Parameter, as_number, varying_parameters
from localtune.tools.report.reproduce import Recipe, recipe_of
from localtune.tools.report.timeline import Stretch, busy_share, put_into_slots, stretches_of
from localtune.trial.history_files import iter_results
from localtune.trial.status import Status
from localtune.utils.files import no_link

if TYPE_CHECKING:
    from localtune.trial.trial import Trial

# The end of a traceback names the error.
_MAX_ERROR_CHARS = 20_000


@dataclass
class Failure:
    """Trials that failed with the same error text.

    Attributes:
        headline: Last line of the error.
        text: Whole error text of the first of them.
        numbers: Of the trials.
        are_over: Whether the trials ended with it; otherwise they were retried.
    """

    headline: str
    text: str
    numbers: list[int]
    are_over: bool


@dataclass
class Content:
    """The content of a report.

    Attributes:
        experiment: The experiment.
        metric: Metric that is shown; None if no trial has reported a number.
        is_goal: Whether trials are compared by it: metric and mode are known.
        values: Last value of the metric in each trial.
        ranking: Numbers of the trials with a value, the best first; without a goal, as created.
        metrics: Metrics of curves and of the table.
        parameters: Those that vary.
        importances: Of the parameters.
        curves: Learning curves.
        stretches: When each trial ran.
        slots: How many trials ran at once.
        busy: Which share of the slots' time was used.
        failures: Grouped.
        recipe: How to run the best trial again.
        problems: Errors while reading.
        started: Unix time of the first start.
        ended: Unix time of the latest result or end.
        hosts: Machines that trials ran on.
        made_at: Unix time of the report.
    """

    experiment: SavedExperiment
    metric: str | None
    is_goal: bool
    values: list[float | None]
    ranking: list[int]
    metrics: list[str]
    parameters: list[Parameter]
    importances: list[Importance]
    curves: list[Curve]
    stretches: list[Stretch]
    slots: int
    busy: float | None
    failures: list[Failure]
    recipe: Recipe | None
    made_at: float
    problems: list[str] = field(default_factory=list)
    started: float | None = None
    ended: float | None = None
    hosts: list[str] = field(default_factory=list)

    @property
    def trials(self) -> list[Trial]:
        """All trials, in the order of their creation."""
        return self.experiment.trials

    @property
    def best(self) -> int | None:
        """Number of the best trial, None if it is not known."""
        return self.ranking[0] if self.is_goal and self.ranking else None

    @property
    def is_running(self) -> bool:
        """Whether the experiment runs."""
        return self.experiment.state is ExperimentState.RUNNING


def content_of(experiment: SavedExperiment) -> Content:
    """Gathers the content of the report of an experiment."""
    trials = experiment.trials
    own = user_metrics(trials)
    metric = experiment.metric or (own[0] if own else None)
    is_goal = experiment.metric is not None and experiment.mode is not None
    values = [_last_value(trial, metric) for trial in trials]
    ranking = [number for number, value in enumerate(values) if value is not None]
    if is_goal:
        sign = -1.0 if experiment.mode == "max" else 1.0
        ranking.sort(key=lambda number: sign * (values[number] or 0.0))
    metrics = list(dict.fromkeys(([metric] if metric else []) + own))[:MAX_METRICS]
    parameters = varying_parameters(trials)
    content = Content(
        experiment=experiment,
        metric=metric,
        is_goal=is_goal,
        values=values,
        ranking=ranking,
        metrics=metrics,
        parameters=parameters,
        importances=importances(parameters, values),
        curves=[],
        stretches=[],
        slots=0,
        busy=None,
        failures=_failures(trials),
        recipe=None,
        made_at=time.time(),
    )
    _add_histories(content)
    if content.best is not None:
        best = trials[content.best]
        content.recipe = recipe_of(
            best, command_of(experiment.files), experiment.metric, experiment.mode
        )
    return content


def _last_value(trial: Trial, metric: str | None) -> float | None:
    stats = trial.metric_stats.get(metric) if metric is not None else None
    return as_number(stats.last) if stats is not None else None


def _add_histories(content: Content) -> None:
    """Reads each trial's results once, for the curves and for the timeline."""
    trials = content.trials
    shown = set(content.ranking[:MAX_CURVES])
    limit = points_per_curve(len(shown))
    hosts: dict[str, None] = {}
    for number, (trial, results) in enumerate(_histories(content)):
        runs_now = content.is_running and trial.status is Status.RUNNING
        now = content.made_at if runs_now else None
        content.stretches += stretches_of(number, trial, results, now)
        host = (results[-1] if results else trial.last_result).get("hostname")
        if isinstance(host, str):
            hosts[host] = None
        if results and content.metrics and number in shown:
            content.curves.append(make_curve(number, results, content.metrics, limit))
    content.hosts = list(hosts)
    content.slots = put_into_slots(content.stretches)
    content.busy = busy_share(content.stretches, content.slots)
    starts = [trial.start_time for trial in trials if trial.start_time is not None]
    starts += [each.start for each in content.stretches]
    ends = [each.end for each in content.stretches]
    content.started = min(starts, default=None)
    content.ended = max(ends, default=None)


def _histories(content: Content) -> Iterator[tuple[Trial, list[dict[str, Any]]]]:
    recorded = content.experiment.histories()
    for number, trial in enumerate(content.trials):
        try:
            yield next(recorded)
        except (StorageError, StopIteration):
            # The database is damaged, or there is none.
            yield trial, _history(content, number, trial)


def _history(content: Content, number: int, trial: Trial) -> list[dict[str, Any]]:
    if not trial.dirname:
        return []
    results = []
    try:
        for result in iter_results(trial.path):
            results.append(result)
    except (StorageError, OSError) as error:
        # The results before the damage are valid.
        content.problems.append(f"Trial {number}: {error}")
    return results


def _failures(trials: list[Trial]) -> list[Failure]:
    """Groups the failures by their error, the most frequent first."""
    groups: dict[tuple[str, bool], Failure] = {}
    for number, text, is_over in _errors(trials):
        lines = [line for line in text.splitlines() if line.strip()]
        headline = lines[-1].strip()[:300] if lines else "(no text)"
        group = groups.get((headline, is_over))
        if group is None:
            group = groups[headline, is_over] = Failure(headline, text, [], is_over)
        group.numbers.append(number)
    return sorted(groups.values(), key=lambda each: (not each.are_over, -len(each.numbers)))


def _errors(trials: list[Trial]) -> Iterator[tuple[int, str, bool]]:
    for number, trial in enumerate(trials):
        error = trial.get_error()
        if error is not None:
            text = getattr(error, "traceback_text", "") or str(error) or repr(error)
            yield number, text[-_MAX_ERROR_CHARS:], True
        elif trial.num_failures:
            yield number, _error_file(trial), False


def _error_file(trial: Trial) -> str:
    try:
        path = os.path.join(trial.path, EXPR_ERROR_FILE)
        with open(path, encoding="utf-8", errors="replace", opener=no_link) as file:
            return file.read()[-_MAX_ERROR_CHARS:]
    except OSError:
        return "(its traceback was not kept)"
