"""Searcher: what users and libraries implement to suggest configurations.

One searcher serves one run. All calls come one at a time, not necessarily from the main thread::

    set_search_properties(metric, mode, param_space, seed=...)   once, if there is a param_space
    restore(path) or set_state(state)                            if a run is taken up again
    suggest(trial_id) -> config | None (not now) | FINISHED (never again)
      on_trial_result(trial_id, result)                          each result of a trial that goes on
      on_trial_complete(trial_id, result, error)                 once, when it has ended for good
    save(path) or get_state()                                    at any time between those
"""

from __future__ import annotations

import os
import pickle
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from localtune.result import EXPERIMENT_DB_FILE
from localtune.utils.dicts import flatten_dict
from localtune.utils.remote_store import local_path
from localtune.utils.serialization import dumps_by_value
from localtune.utils.trust import load_own

if TYPE_CHECKING:
    from localtune.trial.trial import Trial

_STATE_FILE = "searcher-state-{}.pkl"
_MODES = ("min", "max")
# (trial id, its result, whether it failed; None if it goes on)
Told: TypeAlias = "tuple[str, dict[str, Any] | None, bool | None]"
# Keys of the state of a searcher that wraps another one.
WRAPPER_KEYS = {"own", "searcher"}


class Searcher(ABC):
    """Base class of everything that suggests configurations. Override at least ``suggest``.

    What ``get_state`` returns is kept with the experiment; by default those are all attributes.
    A searcher that overrides ``save`` and ``restore`` instead is asked for a file.

    Args:
        metric: Metric to optimise; a list for several; None takes that of the run.
        mode: ``"min"`` or ``"max"``; for a list of metrics a list of ``"min"``, ``"max"`` or
            ``"obs"`` (only observed).

    Raises:
        ValueError: for another mode, or lists of different length.
        TypeError: if only one of both is a list.

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
        """Called once before the run, if the run has a search space.

        Args:
            metric: Metric of the run, None if it has none.
            mode: Mode of the run, None if it has none.
            config: The search space, with domains in it; is not to be changed.
            **spec: ``stop``, ``num_samples``, ``time_budget_s``, and ``seed`` if the run has one.

        Returns:
            Whether the searcher suggests values for the domains of ``config``. If not, there must
            be none.

        Raises:
            ValueError: if metric or mode contradict what the searcher was given.
        """
        self.set_objective(metric, mode, spec.get("seed"))
        return False

    def set_objective(self, metric: str | None, mode: str | None, seed: int | None = None) -> None:
        """Takes over what the run says, where the searcher was not told itself.

        Args:
            metric: Metric of the run, None if it has none.
            mode: Mode of the run, None if it has none.
            seed: Seed of the run, for a searcher without one of its own.

        Raises:
            ValueError: if metric or mode contradict what the searcher was given.
        """
        for name, given, own in (("metric", metric, self.metric), ("mode", mode, self.mode)):
            if given is not None and own is not None and given != own:
                raise ValueError(
                    f"{name} is given twice: {given!r} to the run and {own!r} to "
                    f"{type(self).__name__}. Give it to one."
                )
        check_objective(self.metric or metric, self.mode or mode)
        self._metric = self._metric or metric
        self._mode = self._mode or mode
        self._run_seed = seed

    def check_run(self) -> None:  # noqa: B027
        """Called once before the first suggestion, when all is known that a run says.

        Raises:
            Exception: if something is missing, or does not go together.
        """

    @abstractmethod
    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The configuration of a new trial.

        Args:
            trial_id: Id that the trial will have.

        Returns:
            A (nested) dict, merged over the constants of the run's ``param_space``; None if there
            is none now; ``Searcher.FINISHED`` if there will never be one again.
        """

    # Whoever does not learn from results overrides neither hook.
    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:  # noqa: B027
        """Called with each flat result of a trial that goes on."""

    def on_trial_complete(  # noqa: B027
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Called once when a trial has ended for good.

        Args:
            trial_id: The trial.
            result: Its last result, flat; None if there is none or it failed.
            error: Whether it failed.
        """

    def on_last_suggestion(self) -> None:  # noqa: B027
        """Called when no further suggestion will be asked for; the trials may still run."""

    def add_evaluated_point(
        self,
        parameters: dict[str, Any],
        value: float,
        error: bool = False,
        pruned: bool = False,
        intermediate_values: list[float] | None = None,
    ) -> None:
        """Tells of a configuration that was evaluated elsewhere. To be called before the run.

        Args:
            parameters: The configuration.
            value: What the metric came to.
            error: Whether the evaluation failed.
            pruned: Whether it was stopped early.
            intermediate_values: Values of the metric on the way, in their order.

        Raises:
            NotImplementedError: if the searcher cannot learn that way.
        """
        raise NotImplementedError(f"{type(self).__name__} cannot take in evaluated points.")

    def add_evaluated_trials(self, trials_or_analysis: Any, metric: str) -> None:
        """Tells of the trials of an earlier run. To be called before the run.

        Args:
            trials_or_analysis: A trial, a list of such, or an object with ``trials``, as
                :class:`~localtune.ExperimentAnalysis` is. Trials that have not ended, or have no
                value, are left out.
            metric: Key of the value in their results; nested keys joined by ``/``.

        Raises:
            ValueError: if no trial has the metric.
            NotImplementedError: if the searcher cannot learn that way.
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
        """Called by :class:`~localtune.search.ConcurrencyLimiter`.

        Returns:
            Whether the searcher itself will not hand out more than ``max_concurrent`` trials at
            once.
        """
        return False

    def get_state(self) -> dict[str, Any]:
        """What is needed to go on later; must be picklable."""
        return dict(self.__dict__)

    def set_state(self, state: dict[str, Any]) -> None:
        """Goes on from what ``get_state`` returned."""
        self.__dict__.update(state)

    def save(self, checkpoint_path: str) -> None:
        """Writes the state to a file."""
        Path(checkpoint_path).write_bytes(dumps_by_value(self.get_state()))

    def restore(self, checkpoint_path: str) -> None:
        """Goes on from a file that ``save`` wrote. It is a pickle: read only what you trust.

        Raises:
            UntrustedDirectoryError: if another user could have written the file.
        """
        self.set_state(load_own(checkpoint_path))

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Writes the state to ``searcher-state-<session_str>.pkl``, whole or not at all.

        Args:
            checkpoint_dir: A directory that exists.
            session_str: Becomes part of the file's name.
        """
        target = Path(checkpoint_dir, _STATE_FILE.format(session_str))
        partial = target.with_name(f".{target.name}.tmp")
        self.save(str(partial))
        os.replace(partial, target)

    def go_on_from(self, data: bytes, told: Iterable[Told]) -> None:
        """Goes on from the state of a searcher of this class, which may have been wrapped.

        Args:
            data: What :func:`snapshot` took of it.
            told: What it was told afterwards.
        """
        while (inner := within(data)) is not None:
            data = inner
        load_snapshot(self, data)
        tell(self, told)

    def restore_from_dir(self, checkpoint_dir: str) -> None:
        """Goes on from an experiment, or from the latest file that ``save_to_dir`` wrote.

        Args:
            checkpoint_dir: Directory of an experiment whose latest run had a searcher of this
                class, or of such a file.

        Raises:
            FileNotFoundError: if there is neither.
            UntrustedDirectoryError: if another user could have written it.
            ValueError: if the run had no such searcher.
        """
        checkpoint_dir = local_path(checkpoint_dir)
        if os.path.isfile(os.path.join(checkpoint_dir, EXPERIMENT_DB_FILE)):
            self.go_on_from(*_state_of_run(checkpoint_dir))
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
    """Raises if metric and mode do not go together, or a mode does not exist."""
    if metric is not None and mode is not None and isinstance(metric, str) != isinstance(mode, str):
        raise TypeError(
            "metric and mode must be two texts, or two lists of such, but got "
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
    """The state of a searcher at this moment, by whichever way its class offers.

    Raises:
        Exception: whatever pickling, or the searcher's own ``save``, raises.
    """
    if not _keeps_files(searcher):
        return dumps_by_value(searcher.get_state())
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "state")
        searcher.save(str(path))
        return path.read_bytes()


def within(data: bytes) -> bytes | None:
    """The snapshot of the searcher within, if one is that of a wrapper; else None."""
    state = pickle.loads(data)
    is_wrapper = isinstance(state, dict) and state.keys() == WRAPPER_KEYS
    return state["searcher"] if is_wrapper else None


def tell(searcher: Searcher, told: Iterable[Told]) -> None:
    """Tells a searcher of results and ends of trials."""
    for trial_id, result, error in told:
        if error is None:
            searcher.on_trial_result(trial_id, result or {})
        else:
            searcher.on_trial_complete(trial_id, result=result, error=error)


def _state_of_run(experiment_path: str) -> tuple[bytes, list[Told]]:
    """What :func:`snapshot` took of the searcher of an experiment's latest run.

    Returns:
        The snapshot, and what the searcher was told afterwards.

    Raises:
        ValueError: if the run had no searcher, or its state could not be kept.
    """
    from localtune.storage.reading import read_state

    state = read_state(experiment_path, "searcher")
    told: list[Told] = []
    if isinstance(state, dict) and "inner" in state:  # It thought in the background.
        state, told = state["inner"], state["told"]
    data = state.get("searcher") if isinstance(state, dict) else None
    if not isinstance(data, bytes):
        raise ValueError(
            f"The experiment {experiment_path!r} keeps no state of a Searcher: its latest run "
            "searched at random or on a grid, or with a searcher that cannot be pickled. Give the "
            "directory of an experiment that ran with this class."
        )
    return data, told


def load_snapshot(searcher: Searcher, data: bytes) -> None:
    """Gives a searcher the state that :func:`snapshot` took of it, or of one like it."""
    if not _keeps_files(searcher):
        searcher.set_state(pickle.loads(data))
        return
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "state")
        path.write_bytes(data)
        searcher.restore(str(path))


def _keeps_files(searcher: Searcher) -> bool:
    """Whether its class has its own ``save``, and knows nothing of ``get_state``."""
    cls = type(searcher)
    return cls.save is not Searcher.save and cls.get_state is Searcher.get_state


def _trials_in(trials_or_analysis: Any) -> list[Trial]:
    trials = getattr(trials_or_analysis, "trials", trials_or_analysis)
    return list(trials) if isinstance(trials, Iterable) else [trials]


def _last_flat(trial: Trial) -> Mapping[str, Any]:
    return flatten_dict(trial.last_result or {})
