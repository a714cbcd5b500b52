"""TrialScheduler: decides, result by result, what becomes of each trial."""

from __future__ import annotations

import pickle
import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from localtune.utils.trust import load_own

if TYPE_CHECKING:
    from localtune.search.search_algorithm import SearchAlgorithm
    from localtune.trial.trial import Trial


class ControllerView(Protocol):
    """What a scheduler may see of a run, and ask of it.

    What is asked is carried out after the hook has returned, never within it.

    Attributes:
        search_alg: Where the trials come from.
        total_resources: {resource: amount} of the machine.
        is_stuck: Whether no trial runs, none can be created now, and the scheduler chose none to
            run when it was asked a moment ago: what waits, waits for nobody. If it still chooses
            none, the first one that waits is run.
    """

    search_alg: SearchAlgorithm
    total_resources: Mapping[str, float]
    is_stuck: bool

    def get_trials(self) -> Sequence[Trial]:
        """All trials, in the order in which they were created."""

    def get_live_trials(self) -> Sequence[Trial]:
        """The trials that have not ended, retried ones last."""

    def pause_trial(self, trial: Trial, should_checkpoint: bool = True) -> None:
        """Asks to pause a trial; without a checkpoint, what it did since its last one is lost."""

    def stop_trial(self, trial: Trial) -> None:
        """Asks to end a trial well."""

    def save_trial(self, trial: Trial) -> None:
        """Asks for a checkpoint of a trial after the step in flight; nothing if it has none."""

    def clone_trial(
        self, trial: Trial, donor: Trial, *, config: dict[str, Any], experiment_tag: str
    ) -> None:
        """Asks that a trial goes on from another one's latest checkpoint, with a new config.

        If a checkpoint of the donor is being written, the trial waits for it. It stays what it
        is, and goes on as it is, if the donor has no checkpoint. What the trial did since its own
        last checkpoint is given up.

        Args:
            trial: Whom to change; running or paused.
            donor: Whose checkpoint to take.
            config: The trial's config from now on.
            experiment_tag: Its tag from now on.
        """

    def is_saving(self, trial: Trial) -> bool:
        """Whether a checkpoint of a trial is asked for and not there yet."""


class TrialScheduler:
    """Base class of schedulers.

    All hooks run in the parent, one at a time. A scheduler returns decisions; what it wants of
    other trials it asks of the controller that it gets as first argument.
    """

    CONTINUE = "CONTINUE"
    PAUSE = "PAUSE"
    STOP = "STOP"
    NOOP = "NOOP"

    # Whether it changes the resources of trials, which workers cannot do while they live.
    changes_resources = False
    # Whether it clones trials, so that workers should be kept wherever reset_config allows it.
    clones_trials = False

    _metric: str | None = None
    _mode: str | None = None
    # Of a scheduler that no run has told a seed.
    _rng = random.Random()
    _supports_buffered_results = True

    @property
    def metric(self) -> str | None:
        """Metric that the scheduler watches, None if it watches none."""
        return self._metric

    @property
    def mode(self) -> str | None:
        """``"min"`` or ``"max"``, None if the scheduler compares nothing."""
        return self._mode

    @property
    def max_iterations(self) -> int | None:
        """After how many iterations the scheduler ends each trial; None if it does not."""
        return None

    @property
    def supports_buffered_results(self) -> bool:
        """Whether results may reach the scheduler in batches."""
        return self._supports_buffered_results

    def number_keys(self) -> list[str]:
        """Flat keys of results in which the scheduler needs numbers, where a result has them.

        A result with anything else there fails its trial, before the scheduler sees it.
        """
        return []

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:
        """Tells the scheduler what the run optimises; called once, before the first trial.

        Args:
            metric: Metric of the run, if it names one.
            mode: ``"min"`` or ``"max"``, if the run names one.
            **spec: ``stop``, ``num_samples``, ``time_budget_s`` as the user gave them, and
                ``seed``, an integer that everything drawn at random should depend on.

        Returns:
            False if the scheduler was given a metric or mode of its own already.
        """
        if self._metric and metric:
            return False
        if metric:
            self._metric = metric
        self._rng = random.Random(spec.get("seed"))
        return True

    def check_run(self, param_space: dict[str, Any], search_alg: SearchAlgorithm) -> None:
        """Called once, after ``set_search_properties`` and before the first trial.

        Args:
            param_space: The search space of the run.
            search_alg: Where its trials come from.

        Raises:
            ValueError: if the scheduler cannot work with them, or lacks a metric or mode.
        """

    def on_trial_add(self, tune_controller: ControllerView, trial: Trial) -> None:
        """Called when a trial is created, retried, or taken up again by a resumed run."""

    def on_trial_error(self, tune_controller: ControllerView, trial: Trial) -> None:
        """Called at each failure of a trial, also when it will be retried."""

    def on_trial_result(
        self, tune_controller: ControllerView, trial: Trial, result: dict[str, Any]
    ) -> str:
        """Decides what a trial does after a result.

        Args:
            tune_controller: The run.
            trial: Whose result it is.
            result: The result with nested keys joined by ``/``.

        Returns:
            CONTINUE, PAUSE, STOP, or NOOP if what was asked of the controller says it all.
        """
        return self.CONTINUE

    def on_trial_complete(
        self, tune_controller: ControllerView, trial: Trial, result: dict[str, Any]
    ) -> None:
        """Called when a running trial ends well, with its latest flat result."""

    def on_trial_remove(self, tune_controller: ControllerView, trial: Trial) -> None:
        """Called when a trial that was not running is ended."""

    def choose_trial_to_run(self, tune_controller: ControllerView) -> Trial | None:
        """The pending or paused trial that should run next, None if none should.

        Called again and again, also when there are no resources: must not change anything.
        """
        return None

    def debug_string(self) -> str:
        """One line on the scheduler's state."""
        return type(self).__name__

    def get_state(self) -> dict[str, Any]:
        """What is needed to go on later: all attributes, unless a subclass says less.

        Trials in it are kept as their ids, and are the trials of the resumed run after it.
        """
        return dict(self.__dict__)

    def set_state(self, state: dict[str, Any]) -> None:
        """Goes on from what :meth:`get_state` returned."""
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
