"""The summary at the end of a run: the best trial, the paths of the results, and the failures."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from localtune.progress_reporter.facts import RunFacts
from localtune.progress_reporter.failure_text import failure_text
from localtune.progress_reporter.leaderboard import rank
from localtune.progress_reporter.line import Line, join
from localtune.progress_reporter.status import SEPARATOR, counts_parts
from localtune.progress_reporter.tracker import Counts
from localtune.progress_reporter.values import (
    iterations_of,
    metric_of,
    own_metrics,
    parameters_of,
    trained_s_of,
    trial_label,
)
from localtune.result import COMMAND_FILE, EXPERIMENT_DB_FILE, TUNER_FILE
from localtune.trial.status import Status
from localtune.utils.temporary import is_temporary
from localtune.utils.text import (
    ELLIPSIS,
    count,
    did_you_mean,
    format_duration,
    format_number,
    one_line,
    printable,
    text_width,
)

if TYPE_CHECKING:
    from localtune.trial.trial import Trial

MAX_FAILED_TRIALS = 10
_MAX_METRICS = 12


def summary_lines(
    trials: Sequence[Trial], facts: RunFacts, *, interrupted: bool, elapsed_s: float
) -> list[Line]:
    """Returns the lines of the final summary.

    Args:
        trials: All trials.
        facts: Facts about the run.
        interrupted: Whether the user ended the run before it was done.
        elapsed_s: Duration of the run in seconds.
    """
    best = next(iter(rank(trials, facts.metric, facts.mode)), None)
    lines: list[Line] = [[], _headline(trials, interrupted, elapsed_s), []]
    lines += _best_lines(best, facts) if best is not None else _no_best_lines(trials, facts)
    if not is_temporary(facts.experiment_path):
        lines += [[], [("Results in ", "bold"), (printable(facts.experiment_path), "")]]
        if best is not None:
            lines.append([("Best trial in ", "bold"), (printable(best.path), "")])
    failures = failure_lines(trials)
    if failures:
        lines += [[], *failures]
    if interrupted and not is_temporary(facts.experiment_path):
        lines += [[], resume_line(facts.experiment_path)]
    return lines


def resume_line(experiment_path: str) -> Line:
    """Returns the line that shows how to resume an interrupted run."""
    path = printable(experiment_path)
    if _is_of_command_line(experiment_path):
        call = f"localtune resume {path}"
    elif _is_of_tune_run(experiment_path):
        storage, name = os.path.split(path)
        call = f'tune.run(..., name="{name}", storage_path="{storage}", resume=True)'
    else:
        call = f'Tuner.restore("{path}", trainable=...)'
    return [("To go on with this run: ", "bold"), (call, "bold")]


def _is_of_command_line(experiment_path: str) -> bool:
    # Only 'localtune run' writes this file.
    return os.path.exists(os.path.join(experiment_path, COMMAND_FILE))


def _is_of_tune_run(experiment_path: str) -> bool:
    # Only a Tuner writes its file. Without a database no run has begun.
    database, saved = (
        os.path.exists(os.path.join(experiment_path, name))
        for name in (EXPERIMENT_DB_FILE, TUNER_FILE)
    )
    return database and not saved


def failure_lines(trials: Sequence[Trial]) -> list[Line]:
    """Returns lines on the failed trials by cause, the most frequent cause first."""
    groups = _groups_by_cause(trials)
    if not groups:
        return []
    failed = sum(map(len, groups))
    lines: list[Line] = [[(f"{failed:,} of {count(len(trials), 'trial')} failed", "bold red")]]
    allotted = _allot(groups)
    for group, number in zip(groups, allotted, strict=True):
        if not number:
            continue
        lines.append([(f"  {_cause_of_group(group)}", "red")])
        lines += [_failed_trial_line(trial) for trial in group[:number]]
        if len(group) > number:
            lines.append([(f"      ... and {len(group) - number:,} more", "dim")])
    unlisted = [group for group, number in zip(groups, allotted, strict=True) if not number]
    if unlisted:
        trials_text = count(sum(map(len, unlisted)), "trial")
        lines.append([(f"  ... and {trials_text} more with other errors", "dim")])
    return lines


def _headline(trials: Sequence[Trial], interrupted: bool, elapsed_s: float) -> Line:
    ended = sum(trial.is_finished() for trial in trials)
    statuses = [trial.status for trial in trials]
    counts = Counts(
        running=statuses.count(Status.RUNNING),
        pending=statuses.count(Status.PENDING),
        paused=statuses.count(Status.PAUSED),
        finished=statuses.count(Status.TERMINATED),
        failed=statuses.count(Status.ERROR),
    )
    took = format_duration(elapsed_s)
    verdict: Line
    if interrupted:
        verdict = [(f"Interrupted after {took}", "bold magenta")]
    elif trials and ended == len(trials):
        verdict = [(f"Done in {took}", "bold green")]
    else:
        # The run itself failed. The caller gets the error.
        verdict = [(f"Ended early after {took}", "bold red")]
    recovered = sum(
        trial.num_failures > 0 and trial.status is Status.TERMINATED for trial in trials
    )
    # No trial runs any more, so a trial with the status RUNNING is unfinished.
    parts = [verdict, *counts_parts(counts, running="unfinished")]
    if recovered:
        parts.append([(f"{count(recovered, 'trial')} recovered from failures", "")])
    return join(parts, SEPARATOR)


def _best_lines(best: Trial, facts: RunFacts) -> list[Line]:
    title: Line = [("Best trial ", "bold"), (trial_label(best), "bold green")]
    if best.status is Status.ERROR:
        title.append((" (failed after its latest result)", "red"))
    # The values are not shortened, so that the configuration can be used again.
    parameters = [
        (one_line(name), one_line(value, None)) for name, value in parameters_of(best).items()
    ]
    metrics = [(one_line(name), text) for name, text in _metrics_of_best(best, facts).items()]
    iterations = count(iterations_of(best) or 0, "iteration")
    trained = format_duration(trained_s_of(best))
    width = max(text_width(name) for name, _ in [*parameters, *metrics])
    return [
        title,
        [("  Parameters", "")],
        *(_named_value(name, text, width) for name, text in parameters),
        [("  Metrics ", ""), (f"after {iterations}, {trained}", "dim")],
        *(_named_value(name, text, width) for name, text in metrics),
    ]


def _metrics_of_best(best: Trial, facts: RunFacts) -> dict[str, str]:
    metric = facts.metric or ""
    value = metric_of(best, metric)
    metrics = {} if value is None else {metric: f"{format_number(value)}  ({facts.mode})"}
    for name, other in list(own_metrics(best.last_result).items())[:_MAX_METRICS]:
        metrics.setdefault(name, format_number(other))
    return metrics


def _named_value(name: str, text: str, width: int) -> Line:
    padding = " " * (width - text_width(name) + 2)
    return [(f"    {name}{padding}", "dim"), (text, "")]


def _no_best_lines(trials: Sequence[Trial], facts: RunFacts) -> list[Line]:
    if facts.metric is None or facts.mode is None:
        example = facts.metric or _reported_metric(trials) or "loss"
        mode = facts.mode or "min"
        hint = f'TuneConfig(metric="{one_line(example)}", mode="{mode}")'
        if _is_of_command_line(facts.experiment_path):
            hint = f"--metric {one_line(example)} --mode {mode}"
        reason = "name what to optimise with "
        if facts.metric is not None:
            reason = "the mode is missing, min or max. Name it with "
        return [[(f"No best trial: {reason}", ""), (hint, "bold")]]
    text = f"No best trial: no trial reported a finite number as {facts.metric!r}."
    reported = {name for trial in trials for name in own_metrics(trial.last_result)}
    text += did_you_mean(facts.metric, reported - {facts.metric})
    return [[(printable(text), "magenta")]]


def _reported_metric(trials: Sequence[Trial]) -> str | None:
    return next((name for trial in trials for name in own_metrics(trial.last_result)), None)


def _groups_by_cause(trials: Sequence[Trial]) -> list[list[Trial]]:
    groups: dict[str, list[Trial]] = {}
    for trial in trials:
        if trial.status is Status.ERROR:
            groups.setdefault(_without_names(trial), []).append(trial)
    return sorted(groups.values(), key=len, reverse=True)


def _cause_of_group(group: list[Trial]) -> str:
    if len(group) == 1:
        return failure_text(group[0])
    return f"{len(group):,}x {_without_names(group[0])}"


def _without_names(trial: Trial) -> str:
    """Returns the failure of a trial without the trial's names, to compare it with others."""
    text = failure_text(trial)
    for name in (str(trial), trial.trial_id):
        text = text.replace(printable(name), ELLIPSIS)
    return text


def _allot(groups: list[list[Trial]]) -> list[int]:
    """Returns the number of listed trials per group: one each, then as many as there is room."""
    allotted = [int(number < MAX_FAILED_TRIALS) for number in range(len(groups))]
    left = MAX_FAILED_TRIALS - sum(allotted)
    for number, group in enumerate(groups[:MAX_FAILED_TRIALS]):
        more = min(len(group) - 1, left)
        allotted[number] += more
        left -= more
    return allotted


def _failed_trial_line(trial: Trial) -> Line:
    failures = count(trial.num_failures, "failure")
    return [
        (f"      {trial_label(trial)}", ""),
        (f"  {failures}", "dim"),
        (f"  {printable(trial.error_file)}" if trial.error_file else "", ""),
    ]
