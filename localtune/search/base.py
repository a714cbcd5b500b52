"""Searcher: the interface by which users and libraries suggest configurations.

One searcher serves one run. Calls are made one at a time, possibly not from the main thread::

    set_search_properties(metric, mode, param_space, seed=...)   once, if there is a param_space
    restore(path) or set_state(state)                            if the run is resumed
    suggest(trial_id) -> config | None (not now) | FINISHED (never again)
      on_trial_result(trial_id, result)                          each result of a trial that goes on
      on_trial_complete(trial_id, result, error)                 once, after the last attempt
    save(path) or get_state()                                    at any time between these
"""

from __future__ import annotations

import os
import pickle
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from localtune.result import EXPERIMENT_DB_FILE
from localtune.search.pickled_parts import Archive
from localtune.utils.dicts import flatten_dict
from localtune.utils.remote_store import local_path
from localtune.utils.serialization import dumps_by_value
from localtune.utils.trust import load_own

if TYPE_CHECKING:
    from localtune.trial.trial import Trial

_STATE_FILE = "searcher-state-{}.pkl"
_MODES = ("min", "max")
# A result or an end of a trial: (trial id, result, whether the trial failed; None if it goes on)
TrialEvent: TypeAlias = "tuple[str, dict[str, Any] | None, bool | None]"
# Keys of the state of a SearcherWrapper.
WRAPPER_KEYS = {"own", "searcher"}


class Searcher(ABC):
    """Base class of searchers, which suggest configurations. Override at least ``suggest``.

    The return value of ``get_state``, by default all attributes, is saved with the experiment. A
    searcher that overrides only ``save`` and ``restore`` saves its state through a file.

    Args:
        metric: Metric to optimise; a list for several; None takes the one of the run.
        mode: ``"min"`` or ``"max"``; for a list of metrics a list of ``"min"``, ``"max"`` or
            ``"obs"`` (only observed).

    Raises:
        ValueError: for another mode, or lists of different length.
        TypeError: if only one of the two is a list.

    Example:
        >>> class Halve(Searcher):
        ...     value = 1.0
        ...     def suggest(self, trial_id):
        ...         self.value /= 2
        ...         return {"lr": self.value} if self.value > 0.2 else Searcher.FINISHED
        >>> searcher = Halve(metric="loss", mode="min")
        >>> [searcher.suggest(trial_id) for trial_id in ("a", "b", "c")]
        [{'lr': 0.5}, {'lr': 0.25}, 'FINISHED']
    """

    FINISHED: ClassVar[str] = "FINISHED"

    _metric: str | list[str] | None = None
    _mode: str | list[str] | None = None
    _run_seed: int | None = None
    # Largest number of its trials that run at once, from an argument of earlier releases.
    _most_at_once: int | None = None

    def __init__(
        self, metric: str | list[str] | None = None, mode: str | list[str] | None = None
    ) -> None:
        check_objective(metric, mode)
        self._metric = metric
        self._mode = mode

    @property
    def metric(self) -> str | list[str] | None:
        """Metric to optimise, if known."""
        return self._metric

    @property
    def mode(self) -> str | list[str] | None:
        """``"min"`` or ``"max"``, if known."""
        return self._mode

    def set_search_properties(
        self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any
    ) -> bool:
        """Sets the metric, mode and search space of the run.

        Called once before the run, if the run has a search space.

        Args:
            metric: Metric of the run; None if it has none.
            mode: Mode of the run; None if it has none.
            config: The search space, with domains in it. It must not be changed.
            **spec: ``stop``, ``num_samples``, ``time_budget_s``, and ``seed`` if the run has one.

        Returns:
            Whether the searcher suggests values for the domains of ``config``. If False, the run
            is refused unless ``config`` has no domains.

        Raises:
            ValueError: if the searcher has another metric or mode.
        """
        self.set_objective(metric, mode, spec.get("seed"))
        return False

    def set_objective(self, metric: str | None, mode: str | None, seed: int | None = None) -> None:
        """Takes the run's metric, mode and seed where the searcher has none of its own.

        Args:
            metric: Metric of the run; None if it has none.
            mode: Mode of the run; None if it has none.
            seed: Seed of the run; None if it has none.

        Raises:
            ValueError: if the searcher has another metric or mode.
        """
        for name, given, own in (("metric", metric, self.metric), ("mode", mode, self.mode)):
            if given is not None and own is not None and given != own:
                raise ValueError(
                    f"{name} is given twice: {given!r} to the run and {own!r} to "
                    f"{type(self).__name__}. Give it to only one of them."
                )
        check_objective(self.metric or metric, self.mode or mode)
        self._metric = self._metric or metric
        self._mode = self._mode or mode
        self._run_seed = seed

    def check_run(self) -> None:  # noqa: B027
        """Checks the searcher's settings; called once before the first suggestion.

        Raises:
            Exception: if a setting is missing, or contradicts another one.
        """

    @abstractmethod
    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Suggests the configuration of a new trial.

        Args:
            trial_id: Id of the new trial.

        Returns:
            A (nested) dict, which is merged over the constants of the run's ``param_space``; None
            for no suggestion now; ``Searcher.FINISHED`` for no further suggestion at all.
        """

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:  # noqa: B027
        """Learns from a result of a trial that goes on.

        Args:
            trial_id: Id of the trial.
            result: The result with nested keys joined by ``/``.
        """

    def on_trial_complete(  # noqa: B027
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Learns from the end of a trial; called once per trial, after its last attempt.

        Args:
            trial_id: Id of the trial.
            result: Its last flat result; None if it has none, or failed.
            error: Whether the trial failed.
        """

    def on_last_suggestion(self) -> None:  # noqa: B027
        """Notes that no further suggestion will be asked for, although trials may still run."""

    def add_evaluated_point(
        self,
        parameters: dict[str, Any],
        value: float,
        error: bool = False,
        pruned: bool = False,
        intermediate_values: list[float] | None = None,
    ) -> None:
        """Learns from a configuration that was evaluated elsewhere. Call it before the run.

        Args:
            parameters: The configuration.
            value: Final value of the metric.
            error: Whether the evaluation failed.
            pruned: Whether the evaluation was stopped early.
            intermediate_values: Earlier values of the metric, in their order.

        Raises:
            NotImplementedError: if the searcher cannot learn from such points.
        """
        raise NotImplementedError(f"{type(self).__name__} cannot learn from evaluated points.")

    def add_evaluated_trials(self, trials_or_analysis: Any, metric: str) -> None:
        """Learns from the trials of an earlier run. Call it before the run.

        Args:
            trials_or_analysis: A trial, a list of trials, or an object with ``trials``, such as
                an :class:`~localtune.ExperimentAnalysis`. Trials that have not ended, or have no
                value, are left out.
            metric: Key of the value in their results, with nested keys joined by ``/``.

        Raises:
            ValueError: if no trial has the metric.
            NotImplementedError: if the searcher cannot learn from such trials.
        """
        trials = _trials_in(trials_or_analysis)
        with_metric = [trial for trial in trials if metric in _last_flat(trial)]
        if trials and not with_metric:
            known = sorted({key for trial in trials for key in _last_flat(trial)})
            raise ValueError(
                f"None of the {len(trials)} trials has reported {metric!r}. Their results have: "
                f"{', '.join(known) or 'nothing'}."
            )
        for trial in with_metric:
            if trial.is_finished():
                self.add_evaluated_point(
                    parameters=trial.config,
                    value=_last_flat(trial)[metric],
                    error=trial.status == "ERROR",
                )

    def set_max_concurrency(self, max_concurrent: int) -> bool:
        """Sets a limit of concurrent trials; called by a ConcurrencyLimiter.

        Returns:
            Whether the searcher keeps this limit itself, so that the limiter need not.
        """
        return False

    def get_state(self) -> dict[str, Any]:
        """Returns the state that a resumed run needs; it must be picklable."""
        return dict(self.__dict__)

    def set_state(self, state: dict[str, Any]) -> None:
        """Restores the state that ``get_state`` returned."""
        self.__dict__.update(state)

    def save(self, checkpoint_path: str) -> None:
        """Writes the searcher's state to a file."""
        Path(checkpoint_path).write_bytes(dumps_by_value(self.get_state()))

    def restore(self, checkpoint_path: str) -> None:
        """Restores the state from a file that ``save`` wrote.

        The file is a pickle, which can run any code. Restore only files that you trust.

        Raises:
            UntrustedDirectoryError: if another user could have written the file.
        """
        self.set_state(load_own(checkpoint_path))

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Writes the state to ``searcher-state-<session_str>.pkl`` in one atomic step.

        Args:
            checkpoint_dir: An existing directory.
            session_str: Part of the file's name.
        """
        target = Path(checkpoint_dir, _STATE_FILE.format(session_str))
        partial = target.with_name(f".{target.name}.tmp")
        self.save(str(partial))
        os.replace(partial, target)

    def restore_snapshot(self, data: bytes, events: Iterable[TrialEvent]) -> None:
        """Restores the state of a searcher of this class, which may have been wrapped.

        Args:
            data: A return value of :func:`snapshot`.
            events: Results and ends of trials since the snapshot.
        """
        while (inner := inner_snapshot(data)) is not None:
            data = inner
        load_snapshot(self, data)
        replay(self, events)

    def restore_from_dir(self, checkpoint_dir: str) -> None:
        """Restores the state from an experiment, or from the latest file of ``save_to_dir``.

        Args:
            checkpoint_dir: Directory of an experiment whose latest run had a searcher of this
                class, or a directory with files of ``save_to_dir``.

        Raises:
            FileNotFoundError: if the directory holds neither.
            UntrustedDirectoryError: if another user could have written it.
            ValueError: if the experiment's latest run had no such searcher.
        """
        checkpoint_dir = local_path(checkpoint_dir)
        if os.path.isfile(os.path.join(checkpoint_dir, EXPERIMENT_DB_FILE)):
            data, events, archive = _state_of_run(checkpoint_dir)
            with archive.in_use():
                self.restore_snapshot(data, events)
            return
        files = sorted(
            Path(checkpoint_dir).glob(_STATE_FILE.format("*")),
            key=lambda each: each.stat().st_mtime,
        )
        if not files:
            raise FileNotFoundError(
                f"There is neither {EXPERIMENT_DB_FILE} nor {_STATE_FILE.format('*')} in "
                f"{str(checkpoint_dir)!r}."
            )
        self.restore(str(files[-1]))


def check_objective(metric: Any, mode: Any) -> None:
    """Checks that metric and mode are valid, and fit each other.

    Args:
        metric: A name, a list of names, or None.
        mode: A mode, a list of modes, or None.

    Raises:
        TypeError: if only one of the two is a list.
        ValueError: for an unknown mode, or lists of different length.
    """
    if metric is not None and mode is not None and isinstance(metric, str) != isinstance(mode, str):
        raise TypeError(
            "metric and mode must be two strings, or two lists of strings, but got "
            f"metric={metric!r} and mode={mode!r}."
        )
    if isinstance(mode, str):
        if mode not in _MODES:
            raise ValueError(f"mode must be 'min' or 'max', but got {mode!r}.")
    elif mode is not None:
        if not isinstance(mode, Sequence) or not all(each in (*_MODES, "obs") for each in mode):
            raise ValueError(f"Modes must be 'min', 'max' or 'obs', but got {mode!r}.")
        if metric is not None and len(mode) != len(metric):
            raise ValueError(
                f"There must be one mode for each metric, but got {metric!r} and {mode!r}."
            )


def snapshot(searcher: Searcher) -> bytes:
    """Returns the current state of a searcher, from its ``get_state`` or its own ``save``.

    Raises:
        Exception: any error of pickling, or of the searcher's own methods.
    """
    if not _keeps_files(searcher):
        return dumps_by_value(searcher.get_state())
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "state")
        searcher.save(str(path))
        return path.read_bytes()


def inner_snapshot(data: bytes) -> bytes | None:
    """Returns the snapshot of the wrapped searcher in a wrapper's snapshot; None in any other."""
    state = pickle.loads(data)
    is_wrapper = isinstance(state, dict) and state.keys() == WRAPPER_KEYS
    return state["searcher"] if is_wrapper else None


def replay(searcher: Searcher, events: Iterable[TrialEvent]) -> None:
    """Calls a searcher's hooks for results and ends of trials.

    Args:
        searcher: The searcher.
        events: The results and ends, oldest first.
    """
    for trial_id, result, error in events:
        if error is None:
            searcher.on_trial_result(trial_id, result or {})
        else:
            searcher.on_trial_complete(trial_id, result=result, error=error)


def _state_of_run(experiment_path: str) -> tuple[bytes, list[TrialEvent], Archive]:
    """Returns the snapshot of the searcher of an experiment's latest run, and events since then.

    The snapshot must be loaded while the archive, which comes last, is in use.

    Raises:
        ValueError: if the run had no searcher, or its state could not be saved.
    """
    from localtune.storage.reading import read_state

    state = read_state(experiment_path, "searcher")
    events: list[TrialEvent] = []
    if isinstance(state, dict) and "inner" in state:  # The searcher ran in the background.
        state, events = state["inner"], state["told"]
    data = state.get("searcher") if isinstance(state, dict) else None
    if not isinstance(data, bytes):
        raise ValueError(
            f"The experiment {experiment_path!r} has no saved state of a Searcher: its latest run "
            "searched at random or on a grid, or its searcher could not be pickled. Give the "
            "directory of an experiment that ran with this class."
        )
    archive = Archive()
    archive.read = lambda key: read_state(experiment_path, key)
    return data, events, archive


def load_snapshot(searcher: Searcher, data: bytes) -> None:
    """Restores a searcher's state from a snapshot.

    Args:
        searcher: A searcher of the same class as the one that the snapshot was taken of.
        data: A return value of :func:`snapshot`.
    """
    if not _keeps_files(searcher):
        searcher.set_state(pickle.loads(data))
        return
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "state")
        path.write_bytes(data)
        searcher.restore(str(path))


def _keeps_files(searcher: Searcher) -> bool:
    """Returns whether a searcher's class overrides ``save``, but not ``get_state``."""
    cls = type(searcher)
    return cls.save is not Searcher.save and cls.get_state is Searcher.get_state


def _trials_in(trials_or_analysis: Any) -> list[Trial]:
    trials = getattr(trials_or_analysis, "trials", trials_or_analysis)
    return list(trials) if isinstance(trials, Iterable) else [trials]


def _last_flat(trial: Trial) -> Mapping[str, Any]:
    return flatten_dict(trial.last_result or {})
