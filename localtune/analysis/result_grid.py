"""ResultGrid: the results of a Tuner, one per trial."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, overload

from localtune.analysis.experiment_analysis import ExperimentAnalysis
from localtune.analysis.metric_help import explain_no_best
from localtune.analysis.result import Result
from localtune.trial.status import Status

if TYPE_CHECKING:
    import pandas

_MAX_SHOWN = 20
_ERROR = Status.ERROR


class ResultGrid:
    """The results of all trials, in the order in which the trials were created.

    Args:
        experiment_analysis: The trials.

    Example:
        >>> grid = tuner.fit()  # doctest: +SKIP
        >>> grid.get_best_result(metric="loss", mode="min").config  # doctest: +SKIP
        {'lr': 0.01}
    """

    def __init__(self, experiment_analysis: ExperimentAnalysis) -> None:
        self._experiment_analysis = experiment_analysis
        self._trials = list(experiment_analysis.trials)
        self._results: dict[int, Result] = {}  # {position: result}; made when it is asked for

    @property
    def experiment_path(self) -> str:
        """Directory of the experiment."""
        return self._experiment_analysis.experiment_path

    @property
    def filesystem(self) -> None:
        """None: results are on this machine's disks."""
        return None

    @property
    def errors(self) -> list[BaseException | str]:
        """The errors of the failed trials."""
        failed = (place for place, trial in enumerate(self._trials) if trial.status is _ERROR)
        return [error for place in failed if (error := self[place].error) is not None]

    @property
    def num_errors(self) -> int:
        """Number of trials that failed."""
        return self._count(Status.ERROR)

    @property
    def num_terminated(self) -> int:
        """Number of trials that ended well."""
        return self._count(Status.TERMINATED)

    def get_best_result(
        self,
        metric: str | None = None,
        mode: str | None = None,
        scope: str = "last",
        filter_nan_and_inf: bool = True,
    ) -> Result:
        """Returns the result of the best trial. A single trial is always the best one.

        Args:
            metric: Flat name of the metric; None is that of the TuneConfig.
            mode: ``"min"`` or ``"max"``; None is that of the TuneConfig.
            scope: See :meth:`ExperimentAnalysis.get_best_trial`.
            filter_nan_and_inf: Whether trials whose value is NaN or infinite are left out.

        Raises:
            ValueError: without metric or mode, or for a mode or scope that does not exist.
            RuntimeError: if no trial has a value; names the metrics that there are.
        """
        if len(self) == 1:
            return self[0]
        analysis = self._experiment_analysis
        metric, mode = analysis.metric_and_mode(metric, mode)
        trial = analysis.find_best_trial(metric, mode, scope, filter_nan_and_inf)
        if trial is None:
            raise RuntimeError(
                explain_no_best(analysis.trials, metric, only_finite=filter_nan_and_inf)
            )
        return self[self._trials.index(trial)]

    def get_dataframe(
        self, filter_metric: str | None = None, filter_mode: str | None = None
    ) -> pandas.DataFrame:
        """Returns a table of one row per trial that has results.

        Args:
            filter_metric: With a mode, takes each trial's row with the best value of this metric;
                else the last row is taken.
            filter_mode: ``"min"`` or ``"max"``; goes with a metric.

        Raises:
            ValueError: for a mode without a metric, or another mode.
            ExtraMissingError: if pandas is not installed.
        """
        return self._experiment_analysis.dataframe(filter_metric, filter_mode)

    def __len__(self) -> int:
        return len(self._trials)

    @overload
    def __getitem__(self, index: int) -> Result: ...
    @overload
    def __getitem__(self, index: slice) -> list[Result]: ...
    def __getitem__(self, index: int | slice) -> Result | list[Result]:
        places = range(len(self._trials))[index]
        if isinstance(places, range):
            return [self._result(place) for place in places]
        return self._result(places)

    def __iter__(self) -> Iterator[Result]:
        return map(self._result, range(len(self._trials)))

    def __repr__(self) -> str:
        lines = [repr(result) for result in self[:_MAX_SHOWN]]
        rest = len(self) - _MAX_SHOWN
        if rest > 0:
            lines.append(f"... and {rest} more")
        return "ResultGrid<[\n" + ",\n".join(lines) + "\n]>"

    def _result(self, place: int) -> Result:
        result = self._results.get(place)
        if result is None:
            result = self._results[place] = Result.from_trial(self._trials[place])
        return result

    def _count(self, status: Status) -> int:
        return sum(trial.status is status for trial in self._trials)
