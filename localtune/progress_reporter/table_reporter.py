"""TuneReporterBase: base class of the reporters that show tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from localtune.clock import Clock, SystemClock
from localtune.config.checks import check_metric_and_mode
from localtune.progress_reporter.columns import DEFAULT_METRIC_COLUMNS, ColumnChoice
from localtune.progress_reporter.leaderboard import rank
from localtune.progress_reporter.reporter import ProgressReporter
from localtune.progress_reporter.table import Column
from localtune.progress_reporter.values import (
    as_number,
    lookup,
    metric_of,
    metric_text,
    own_metrics,
    parameters_of,
)
from localtune.trial.status import Status
from localtune.utils.text import count, format_clock, one_line

if TYPE_CHECKING:
    from localtune.trial.trial import Trial

Section = str | list[Column]

_STATUS_ORDER = (
    Status.RUNNING,
    Status.PAUSED,
    Status.PENDING,
    Status.TERMINATED,
    Status.ERROR,
)


class TuneReporterBase(ProgressReporter):
    """Base class of reporters that show trials in tables, every few seconds.

    Args:
        metric_columns: Flat names of metrics to show, or {flat name: title}; None shows common
            metrics and the first few numbers that trials report.
        parameter_columns: Flat names of parameters to show, or {flat name: title}; None shows
            the searched parameters.
        total_samples: Total number of trials, if the run does not know it.
        max_progress_rows: Largest number of rows in the table of trials.
        max_error_rows: Largest number of rows in the table of failures.
        max_column_length: Largest number of characters in a cell; longer texts are cut.
        max_report_frequency: Seconds between two reports.
        infer_limit: Largest number of metrics to show if none are named.
        print_intermediate_tables: Whether tables are shown before the end of the run; None is
            True.
        metric: Metric by which the best trial is found, if the run has none.
        mode: ``"min"`` or ``"max"``, if the run has none.
        sort_by_metric: Whether the best trials are shown first.

    Raises:
        ValueError: for another mode.
    """

    def __init__(
        self,
        *,
        metric_columns: Sequence[str] | Mapping[str, str] | None = None,
        parameter_columns: Sequence[str] | Mapping[str, str] | None = None,
        total_samples: int | None = None,
        max_progress_rows: int = 20,
        max_error_rows: int = 20,
        max_column_length: int = 20,
        max_report_frequency: float = 5,
        infer_limit: int = 3,
        print_intermediate_tables: bool | None = None,
        metric: str | None = None,
        mode: str | None = None,
        sort_by_metric: bool = False,
    ) -> None:
        check_metric_and_mode(metric, mode)
        self._metric_columns = ColumnChoice(metric_columns, DEFAULT_METRIC_COLUMNS)
        self._parameter_columns = ColumnChoice(parameter_columns, {})
        self._own_total_samples = self._total_samples = total_samples
        self._max_progress_rows = max_progress_rows
        self._max_error_rows = max_error_rows
        self.max_column_length = max_column_length
        self._max_report_frequency = max_report_frequency
        self._infer_limit = infer_limit
        self._shows_intermediate_tables = print_intermediate_tables is not False
        self._own_metric = self._metric = metric
        self._own_mode = self._mode = mode
        self._sorts_by_metric = sort_by_metric
        self.clock: Clock = SystemClock()
        self._start_time: float | None = None
        self._next_report_s: float | None = None

    # -- for users --------------------------------------------------------------------------

    def add_metric_column(self, metric: str, representation: str | None = None) -> None:
        """Shows one more metric.

        Args:
            metric: Flat name of the metric.
            representation: Heading of the column; None is the name.

        Raises:
            ValueError: if there is such a column.
        """
        self._metric_columns.add(metric, representation)

    def add_parameter_column(self, parameter: str, representation: str | None = None) -> None:
        """Shows one more parameter.

        Args:
            parameter: Flat name of the parameter.
            representation: Heading of the column; None is the name.

        Raises:
            ValueError: if there is such a column.
        """
        self._parameter_columns.add(parameter, representation)

    # -- hooks ------------------------------------------------------------------------------

    def setup(
        self,
        start_time: float | None = None,
        total_samples: int | None = None,
        metric: str | None = None,
        mode: str | None = None,
        **kwargs: Any,
    ) -> None:
        for name, own, given in (
            ("metric", self._own_metric, metric),
            ("mode", self._own_mode, mode),
        ):
            if own is not None and given is not None:
                raise ValueError(
                    f"{name} must be set only in the run or only in its reporter, but got "
                    f"{given!r} and {own!r}. Leave it out of the {type(self).__name__}."
                )
        self._metric = self._own_metric if metric is None else metric
        self._mode = self._own_mode if mode is None else mode
        self._start_time = start_time if start_time is not None else self.clock.time()
        given_total = total_samples if total_samples is None or total_samples >= 0 else None
        self._total_samples = self._own_total_samples if given_total is None else given_total
        self._next_report_s = None

    def should_report(self, trials: list[Trial], done: bool = False) -> bool:
        now_s = self.clock.monotonic()
        if done or self._next_report_s is None or now_s >= self._next_report_s:
            self._next_report_s = now_s + self._max_report_frequency
            return True
        return False

    # -- contents -----------------------------------------------------------------------------

    def sections(self, trials: list[Trial], done: bool, sys_info: Iterable[str]) -> list[Section]:
        """Returns the texts and tables of one report, in their order.

        Args:
            trials: All trials.
            done: Whether the run has ended.
            sys_info: Lines about the run.
        """
        sections: list[Section] = [self._time_text(), *(one_line(text) for text in sys_info)]
        best = next(iter(rank(trials, self._metric, self._mode)), None)
        if best is not None:
            sections.append(self._best_text(best))
        sections.append(self._counts_text(trials))
        if trials and (done or self._shows_intermediate_tables):
            sections += self._progress_sections(trials)
            sections += self._error_sections(trials)
        return sections

    def _time_text(self) -> str:
        now = self.clock.time()
        running_s = now - (self._start_time if self._start_time is not None else now)
        at = datetime.fromtimestamp(now).strftime("%Y-%m-%d %H:%M:%S")
        return f"Current time: {at} (running for {format_clock(running_s)})"

    def _best_text(self, best: Trial) -> str:
        metric = self._metric or ""
        parameters = {name: one_line(value) for name, value in parameters_of(best).items()}
        listed = ", ".join(f"{one_line(name)}={text}" for name, text in parameters.items())
        value = metric_text(metric, metric_of(best, metric))
        return f"Current best trial: {one_line(str(best))} with {value} and parameters {listed}"

    def _counts_text(self, trials: list[Trial]) -> str:
        total = f"/{self._total_samples}" if self._total_samples is not None else ""
        statuses = [trial.status for trial in trials]
        numbers = [(status, statuses.count(status)) for status in _STATUS_ORDER]
        listed = ", ".join(f"{number} {status}" for status, number in numbers if number)
        return f"Number of trials: {len(trials)}{total}" + (f" ({listed})" if listed else "")

    def _progress_sections(self, trials: list[Trial]) -> list[Section]:
        rows = self._chosen_rows(trials)
        sections: list[Section] = [
            [
                Column("Trial name", [(one_line(str(trial)), "") for trial in rows], keep="ends"),
                Column("status", [(str(trial.status), "") for trial in rows]),
                *self._parameter_cells(trials, rows),
                *self._metric_cells(trials, rows),
            ]
        ]
        if len(rows) < len(trials):
            sections.append(f"... {count(len(trials) - len(rows), 'more trial')} not shown")
        return sections

    def _error_sections(self, trials: list[Trial]) -> list[Section]:
        failed = [trial for trial in trials if trial.num_failures or trial.status is Status.ERROR]
        rows = failed[: self._max_error_rows]
        if not rows:
            return []
        marks = ["" if trial.status is Status.ERROR else "*" for trial in rows]
        names = [(one_line(str(trial)) + mark, "") for trial, mark in zip(rows, marks, strict=True)]
        files = [(one_line(trial.error_file or ""), "") for trial in rows]
        sections: list[Section] = [
            f"Number of errored trials: {len(failed)}",
            [
                Column("Trial name", names, keep="ends"),
                Column("# failures", [(str(trial.num_failures), "") for trial in rows]),
                Column("error file", files, is_whole=True),
            ],
        ]
        if any(marks):
            sections.append("* The trial was retried after its failures.")
        return sections

    def _chosen_rows(self, trials: list[Trial]) -> list[Trial]:
        """Returns the trials to show, with the rows shared fairly among the statuses."""
        ordered = trials
        if self._sorts_by_metric:
            ranked = rank(trials, self._metric, self._mode)
            known = set(map(id, ranked))
            ordered = ranked + [trial for trial in trials if id(trial) not in known]
        if len(ordered) <= self._max_progress_rows:
            return ordered
        by_status = {
            status: [trial for trial in ordered if trial.status is status]
            for status in _STATUS_ORDER
        }
        shares = dict.fromkeys(_STATUS_ORDER, 0)
        left = self._max_progress_rows
        while left > 0:
            for status in _STATUS_ORDER:
                if left and shares[status] < len(by_status[status]):
                    shares[status] += 1
                    left -= 1
        return [trial for status in _STATUS_ORDER for trial in by_status[status][: shares[status]]]

    def _parameter_cells(self, trials: list[Trial], rows: list[Trial]) -> list[Column]:
        titles = dict(self._parameter_columns.titles)
        if self._parameter_columns.infers:
            for trial in trials:
                titles.update({name: name for name in trial.evaluated_params if name not in titles})
        return [
            self._column(title, [lookup(trial.config, name) for trial in rows])
            for name, title in titles.items()
        ]

    def _metric_cells(self, trials: list[Trial], rows: list[Trial]) -> list[Column]:
        titles = dict(self._metric_columns.titles)
        if self._metric_columns.infers:
            titles.update({name: name for name in self._inferred_metrics(trials, titles)})
            reported = [
                name
                for name in titles
                if any(lookup(trial.last_result, name) is not None for trial in trials)
            ]
            titles = {name: titles[name] for name in reported}
        return [
            self._column(title, [lookup(trial.last_result, name) for trial in rows])
            for name, title in titles.items()
        ]

    def _inferred_metrics(self, trials: list[Trial], known: Mapping[str, str]) -> list[str]:
        names = [self._metric] if self._metric is not None else []
        for trial in trials:
            found = [name for name in own_metrics(trial.last_result) if name not in known]
            if found:
                return list(dict.fromkeys([*names, *found]))[: max(self._infer_limit, len(names))]
        return names

    def _column(self, title: str, values: list[Any]) -> Column:
        return Column(
            one_line(title),
            [("" if value is None else one_line(value), "") for value in values],
            is_number=all(value is None or as_number(value) is not None for value in values),
        )
