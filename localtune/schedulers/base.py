"""TrialScheduler: decides after each result whether a trial goes on, pauses or stops."""

from __future__ import annotations

import pickle
import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from localtune.utils.trust import load_own

if TYPE_CHECKING:
    from localtune.search.search_algorithm import SearchAlgorithm
    from localtune.trial.trial import Trial


class TuneController(Protocol):
    """The part of a run that a scheduler reads, and the requests that it may make.

    Requests are carried out after the scheduler's hook has returned, never within it.

    Attributes:
        search_alg: The search algorithm that creates the trials.
        is_stuck: Whether no trial runs, no trial can be created now, and the scheduler's last
            choice was None. If the scheduler again chooses None, the controller runs the first
            waiting trial.
    """

    search_alg: SearchAlgorithm
    is_stuck: bool

    @property
    def total_resources(self) -> Mapping[str, float]:
        """{resource: amount} that the trials share; may change while the run goes on."""

    def get_trials(self) -> Sequence[Trial]:
        """Returns all trials, in the order of their creation."""

    def get_live_trials(self) -> Sequence[Trial]:
        """Returns the trials that have not ended; retried ones come last."""

    def next_waiting_trial(self) -> Trial | None:
        """Returns the first pending trial; the first paused one if none is pending; or None.

        The order is that of :meth:`get_live_trials`, which takes longer to go through.
        """

    def pause_trial(self, trial: Trial, should_checkpoint: bool = True) -> None:
        """Requests that a trial pauses.

        Args:
            trial: The trial to pause.
            should_checkpoint: Whether the trial saves a checkpoint first. Otherwise its work
                since its last checkpoint is lost.
        """

    def stop_trial(self, trial: Trial) -> None:
        """Requests that a trial ends without an error."""

    def save_trial(self, trial: Trial) -> None:
        """Requests a checkpoint after the step that a trial is running.

        Nothing happens if the trial runs no step.
        """

    def clone_trial(
        self, trial: Trial, donor: Trial, *, config: dict[str, Any], experiment_tag: str
    ) -> None:
        """Requests that a trial goes on from another trial's latest checkpoint.

        If a checkpoint of the donor is being written, the trial waits for it. If the donor has no
        checkpoint, the trial goes on unchanged. Otherwise the trial loses its own work since its
        last checkpoint.

        Args:
            trial: The trial to change; running or paused.
            donor: The trial that the checkpoint comes from.
            config: The trial's new config.
            experiment_tag: The trial's new tag.
        """

    def is_saving(self, trial: Trial) -> bool:
        """Returns whether a checkpoint of a trial is requested and not yet written."""


class TrialScheduler:
    """Base class of schedulers.

    All hooks run in the parent process, one at a time. A scheduler returns a decision on the
    trial at hand. It requests changes of other trials from the ``tune_controller`` that each
    hook gets.
    """

    CONTINUE = "CONTINUE"
    PAUSE = "PAUSE"
    STOP = "STOP"
    NOOP = "NOOP"

    # Whether the scheduler changes the resources of trials. A running worker cannot change its own.
    changes_resources = False
    # Whether the scheduler clones trials. Workers are then kept wherever reset_config allows it.
    clones_trials = False

    _metric: str | None = None
    _mode: str | None = None
    # Replaced when a run gives its seed.
    _rng = random.Random()
    _supports_buffered_results = True

    @property
    def metric(self) -> str | None:
        """Name of the metric that the scheduler watches; None if it watches none."""
        return self._metric

    @property
    def mode(self) -> str | None:
        """``"min"`` or ``"max"``; None if the scheduler does not compare trials."""
        return self._mode

    @property
    def max_iterations(self) -> int | None:
        """Number of iterations after which the scheduler ends each trial; None for no limit."""
        return None

    @property
    def supports_buffered_results(self) -> bool:
        """Whether results may reach the scheduler in batches."""
        return self._supports_buffered_results

    def number_keys(self) -> list[str]:
        """Returns the flat keys whose values must be numbers in each result that has them.

        A result with another value fails its trial before the scheduler sees the result.
        """
        return []

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:
        """Sets the run's metric and mode; called once, before the first trial.

        Args:
            metric: Metric of the run; None if the run names none.
            mode: ``"min"`` or ``"max"``; None if the run names none.
            **spec: ``stop``, ``num_samples`` and ``time_budget_s`` as the user gave them, and
                ``seed``, the integer that seeds all random draws of the scheduler.

        Returns:
            False if the scheduler already has a metric or mode of its own.
        """
        if self._metric and metric:
            return False
        if metric:
            self._metric = metric
        self._rng = random.Random(spec.get("seed"))
        return True

    def check_run(self, param_space: dict[str, Any], search_alg: SearchAlgorithm) -> None:
        """Checks that the scheduler can serve a run.

        Called once, after ``set_search_properties`` and before the first trial.

        Args:
            param_space: The search space of the run.
            search_alg: The search algorithm of the run.

        Raises:
            ValueError: if the scheduler cannot work with them, or has no metric or mode.
        """

    def on_trial_add(self, tune_controller: TuneController, trial: Trial) -> None:
        """Takes in a trial that was created, retried, or continued by a resumed run.

        Args:
            tune_controller: The run.
            trial: The trial.
        """

    def on_trial_error(self, tune_controller: TuneController, trial: Trial) -> None:
        """Handles a failure of a trial, whether or not the trial will be retried.

        Args:
            tune_controller: The run.
            trial: The trial that failed.
        """

    def on_trial_result(
        self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]
    ) -> str:
        """Decides what a trial does after a result.

        Args:
            tune_controller: The run.
            trial: The trial that reported the result.
            result: The result with nested keys joined by ``/``.

        Returns:
            CONTINUE, PAUSE or STOP; NOOP if a request to the controller decides on the trial.
        """
        return self.CONTINUE

    def on_trial_complete(
        self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]
    ) -> None:
        """Handles the end of a running trial that ended without an error.

        Args:
            tune_controller: The run.
            trial: The trial that ended.
            result: Its latest result with nested keys joined by ``/``.
        """

    def on_trial_remove(self, tune_controller: TuneController, trial: Trial) -> None:
        """Handles the end of a trial that was not running.

        Args:
            tune_controller: The run.
            trial: The trial that ended.
        """

    def choose_trial_to_run(self, tune_controller: TuneController) -> Trial | None:
        """Returns the pending or paused trial that should run next; None if none should.

        The controller calls this often, also when no resources are free. The call must not
        change anything.
        """
        return None

    def debug_string(self) -> str:
        """Returns one line on the scheduler's state."""
        return type(self).__name__

    def get_state(self) -> dict[str, Any]:
        """Returns the state that a resumed run needs: all attributes, unless overridden.

        Trials in the state are saved as their ids, and loaded as the trials of the resumed run.
        """
        return dict(self.__dict__)

    def set_state(self, state: dict[str, Any]) -> None:
        """Restores the state that :meth:`get_state` returned."""
        self.__dict__.update(state)

    def save(self, checkpoint_path: str) -> None:
        """Writes the scheduler's state to a file."""
        with open(checkpoint_path, "wb") as file:
            pickle.dump(self.get_state(), file)

    def restore(self, checkpoint_path: str) -> None:
        """Reads the scheduler's state from a file that :meth:`save` wrote.

        Raises:
            UntrustedDirectoryError: if another user could have written the file.
        """
        self.set_state(load_own(checkpoint_path))
