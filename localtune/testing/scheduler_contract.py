"""SchedulerContract: a test suite for the rules that every scheduler must keep.

Derive a test class from :class:`SchedulerContract`, define how to make the scheduler, and let
pytest collect it::

    class TestMyScheduler(SchedulerContract):
        def make_scheduler(self) -> TrialScheduler:
            return MyScheduler(patience=3)

The trials are simulated: no process starts, and no time passes. The suite needs pytest, and
hypothesis for one test.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

from localtune.error import ExtraMissingError, TuneError
from localtune.schedulers.base import TrialScheduler
from localtune.search.sample import uniform
from localtune.testing.scheduler_problems import METRIC, Curve, Problem, Run, WatchedScheduler
from localtune.testing.simulation import simulate
from localtune.trial.status import Status

# Problems that have been hard for schedulers.
PROBLEMS: dict[str, Problem] = {
    "one trial": Problem(trials=1),
    "one after the other": Problem(trials=5, cpus=1),
    "all at once": Problem(trials=7, cpus=7),
    "many": Problem(trials=40, cpus=4, longest=27),
    "trials end early": Problem(trials=9, cpus=3, same_length=False, longest=20),
    "each has one result": Problem(trials=5, longest=1),
    "few may be alive": Problem(trials=9, cpus=2, limit=2),
    "one may be alive": Problem(trials=4, cpus=2, limit=1),
    "stopped from outside": Problem(trials=8, stop_at=5),
    "all values are equal": Problem(trials=8, cpus=3, ties=True, longest=2),
    "steps of different length": Problem(trials=8, cpus=3, uneven=True),
    "slow checkpoints": Problem(trials=8, cpus=3, uneven=True, save_s=2.0),
}


class SchedulerContract:
    """Tests of one scheduler.

    A run maximises ``score`` over :meth:`make_param_space`. Each trial takes one CPU and has
    checkpoints. With each result, ``training_iteration`` and ``time_total_s`` grow by about one,
    and few trials have more than 30 results. Choose grace periods and intervals so that the
    scheduler makes decisions within that time.

    Attributes:
        problems: {name: problem} to run. Leave out problems that take a slow scheduler too long.
        random_runs: Number of random problems.
        most_trials: Limit of the trials per run; None for none.
    """

    problems: ClassVar[Mapping[str, Problem]] = PROBLEMS
    random_runs = 50
    most_trials: int | None = None

    def make_scheduler(self) -> TrialScheduler:
        """Makes a scheduler without a metric and mode; called several times per test."""
        raise NotImplementedError

    def make_search_alg(self) -> Any:
        """Makes a search algorithm for a scheduler that needs one; None is random search."""
        return None

    def make_param_space(self) -> dict[str, Any]:
        """Makes the search space; ``lr`` identifies a configuration."""
        return {"lr": uniform(0.0, 1.0), "momentum": uniform(0.1, 0.9)}

    # -- before the run ---------------------------------------------------------------------------

    def test_it_takes_the_metric_of_the_run_once(self) -> None:
        scheduler = self.make_scheduler()
        assert scheduler.set_search_properties(METRIC, "max", seed=1)
        assert scheduler.metric == METRIC
        assert not scheduler.set_search_properties("another", "max", seed=1)
        assert scheduler.metric == METRIC

    def test_debug_string_describes_the_scheduler(self) -> None:
        scheduler = self.make_scheduler()
        assert scheduler.debug_string()
        scheduler.set_search_properties(METRIC, "max", seed=1)
        text = scheduler.debug_string()
        assert isinstance(text, str)
        assert text

    # -- whole runs -------------------------------------------------------------------------------

    def test_every_run_ends_and_all_trials_end(self) -> None:
        for name, problem in self.problems.items():
            self._check(problem, name)

    def test_failures_do_not_block_other_trials(self) -> None:
        base = Problem(trials=9, cpus=3, failures=0.5, longest=10)
        for retries in (0, 1, -1):
            for seed in range(3):
                problem = dataclasses.replace(
                    base, retries=retries, fails_once=retries != 0, seed=seed
                )
                run = self._check(problem)
                assert run.result is not None
                failed = sum(each.status is Status.ERROR for each in run.result.trials)
                # A clone has a new config, and so may fail a second time.
                assert retries >= 0 or failed == 0
        self._check(dataclasses.replace(base, retries=2, fails_once=False))
        self._check(dataclasses.replace(base, failures=1.0, cpus=1, same_length=False))

    def test_nan_is_a_value_like_others(self) -> None:
        self._check(Problem(trials=9, cpus=3, nans=0.5))
        self._check(Problem(trials=6, cpus=2, nans=1.0))
        self._check(Problem(trials=6, cpus=2, nans=1.0, longest=1))

    def test_results_without_the_metric_are_left_out_or_refused(self, monkeypatch: Any) -> None:
        monkeypatch.setenv("TUNE_DISABLE_STRICT_METRIC_CHECKING", "1")
        run = self.run(Problem(trials=6, missing=0.5))
        if run.error is None:
            self._check_run(run)
        else:
            assert METRIC in str(run.error), f"The error must name the metric: {run.error}"

    def test_the_same_run_has_the_same_decisions(self) -> None:
        problem = Problem(trials=12, cpus=3, same_length=False, failures=0.2, retries=1)
        assert self.run(problem).log == self.run(problem).log

    def test_a_restored_scheduler_makes_the_same_decisions(self) -> None:
        for problem in (
            Problem(trials=10, cpus=3),
            Problem(trials=10, cpus=2, same_length=False, failures=0.3, retries=1, limit=4),
        ):
            undisturbed = self._check(problem).log
            cuts = 8
            for cut in range(cuts):
                at = len(undisturbed) * cut // cuts
                log = self._check(problem, replace_at=at).log
                assert log == undisturbed, (
                    f"A scheduler that was restored after {at} decisions decides differently from "
                    f"{_first_difference(log, undisturbed)} on. Its state may be incomplete."
                )

    def test_random_runs_end_and_all_trials_end(self) -> None:
        try:
            import hypothesis
            from hypothesis import strategies as st
        except ImportError as error:
            raise ExtraMissingError("hypothesis", "testing", "This test") from error

        shares = st.sampled_from([0.0, 0.0, 0.2, 0.6])
        problems = st.builds(
            Problem,
            trials=st.integers(1, 14),
            cpus=st.integers(1, 5),
            limit=st.integers(0, 5),
            longest=st.integers(1, 30),
            same_length=st.booleans(),
            failures=shares,
            fails_once=st.booleans(),
            retries=st.integers(0, 2),
            nans=shares,
            ties=st.booleans(),
            uneven=st.booleans(),
            save_s=st.sampled_from([0.0, 0.7]),
            stop_at=st.none() | st.integers(1, 20),
            seed=st.integers(0, 1000),
        )

        @hypothesis.settings(max_examples=self.random_runs, deadline=None, database=None)
        @hypothesis.given(problem=problems)
        def runs_well(problem: Problem) -> None:
            self._check(problem)

        runs_well()

    # -- helpers ----------------------------------------------------------------------------------

    def run(self, problem: Problem, replace_at: int | None = None) -> Run:
        """Runs a problem with a new scheduler.

        Args:
            problem: The problem.
            replace_at: Number of decisions after which a new scheduler with the same state
                replaces the scheduler; None for never.

        Raises:
            AssertionError: if the scheduler breaks a rule on the way.
        """
        if self.most_trials is not None and problem.trials > self.most_trials:
            problem = dataclasses.replace(problem, trials=self.most_trials)
        run = Run(problem)
        failed: set[str] = set()
        try:
            run.result = simulate(
                lambda config: Curve(problem, repr(config["lr"]), failed),
                self.make_param_space(),
                metric=METRIC,
                mode="max",
                scheduler=WatchedScheduler(self.make_scheduler, run.log, replace_at),
                search_alg=self.make_search_alg(),
                num_samples=problem.trials,
                num_cpus=problem.cpus,
                max_concurrent_trials=problem.limit or None,
                stop=None if problem.stop_at is None else {"training_iteration": problem.stop_at},
                max_failures=problem.retries,
                seed=problem.seed,
                save_s=problem.save_s,
                validate=True,
            )
        except TuneError as error:
            if isinstance(error.__cause__, AssertionError):
                raise error.__cause__ from None
            run.error = error
        return run

    def _check(self, problem: Problem, name: str = "", replace_at: int | None = None) -> Run:
        run = self.run(problem, replace_at)
        assert run.error is None, f"{name or problem}: {run.error}"
        self._check_run(run)
        return run

    def _check_run(self, run: Run) -> None:
        result, problem = run.result, run.problem
        assert result is not None
        assert len(result.trials) == problem.trials
        for trial in result.trials:
            assert trial.status.is_final, f"{problem}: {trial.trial_id} is {trial.status}"
            assert trial.status is not Status.ERROR or problem.failures
        over: set[str] = set()
        for event in result.events:
            assert "lets" not in event.what, f"{problem}: {event.what}"
            assert event.trial_id not in over, f"{problem}: {event} after the trial's end"
            if event.what in ("completed", "failed"):
                over.add(event.trial_id)


def _first_difference(one: list[Any], other: list[Any]) -> str:
    for index, (mine, yours) in enumerate(zip(one, other, strict=False)):
        if mine != yours:
            return f"decision {index} ({mine} instead of {yours})"
    return f"decision {min(len(one), len(other))} (one run is shorter)"
