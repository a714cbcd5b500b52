"""Serves commands with a simulated trainable: the counterpart of TrainableHost.

It gives the same replies and fills in the same metrics, and touches neither the process nor,
with :class:`StatesInMemory`, the disk.
"""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Callable
from typing import Any, Protocol

from localtune.clock import Clock
from localtune.error import LocaltuneInternalError
from localtune.result import (
    DATE_FORMAT,
    DONE,
    EPISODES_THIS_ITER,
    EPISODES_TOTAL,
    HOSTNAME,
    NODE_IP,
    PID,
    TIME_THIS_ITER_S,
    TIME_TOTAL_S,
    TIMESTAMP,
    TIMESTEPS_THIS_ITER,
    TIMESTEPS_TOTAL,
    TRAINING_ITERATION,
    TRIAL_ID,
)
from localtune.trial.plain_data import sealed_result
from localtune.trial.trial_info import StorageContext
from localtune.utils.files import write_file
from localtune.utils.serialization import dumps
from localtune.utils.signal_numbers import SIGKILL
from localtune.worker import messages
from localtune.worker.host import failure_reply

_STATE_FILE = "simulated.pkl"
# Metrics that are summed up over iterations, if results have them.
_SUMS = ((TIMESTEPS_THIS_ITER, TIMESTEPS_TOTAL), (EPISODES_THIS_ITER, EPISODES_TOTAL))


class SimulatedTrainable(Protocol):
    """A simulated training. A class or a function makes it from a configuration."""

    def step(self) -> dict[str, Any]:
        """Simulates one iteration.

        Returns:
            The metrics. ``time_this_iter_s`` is the virtual time that it took; ``done=True`` ends
            the trial.

        Raises:
            SimulatedCrash: to simulate the death of the worker's process.
            Exception: any other, to simulate a failure of user code.
        """

    def get_state(self) -> Any:
        """Returns the state for a checkpoint, which must be picklable."""

    def set_state(self, state: Any) -> None:
        """Restores a state that ``get_state`` returned, maybe with another configuration."""


MakeTrainable = Callable[[dict[str, Any]], SimulatedTrainable]


class SimulatedCrash(Exception):
    """Raised by a simulated trainable: its worker's process dies without an answer.

    Args:
        exit_code: The process's exit code; negative is the number of a signal.
    """

    def __init__(self, exit_code: int = -SIGKILL) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code


class StateStore(Protocol):
    """Keeps the checkpoints of simulated trials."""

    def save(self, path: str, state: bytes) -> None:
        """Keeps the state of a checkpoint.

        Args:
            path: Path of the checkpoint.
            state: The pickled state.
        """

    def load(self, path: str) -> bytes:
        """Returns the state of a checkpoint. Raises OSError or KeyError if there is none."""

    def forget(self, path: str) -> None:
        """Removes a checkpoint from memory."""


class StatesInMemory:
    """Keeps checkpoints in memory."""

    def __init__(self) -> None:
        self._states: dict[str, bytes] = {}  # {path: state}

    def save(self, path: str, state: bytes) -> None:
        self._states[path] = state

    def load(self, path: str) -> bytes:
        return self._states[path]

    def forget(self, path: str) -> None:
        self._states.pop(path, None)


class StatesInFiles:
    """Keeps checkpoints in their directories, so that a run can be taken up again."""

    def save(self, path: str, state: bytes) -> None:
        os.makedirs(path, exist_ok=True)
        write_file(os.path.join(path, _STATE_FILE), state, sync=False)

    def load(self, path: str) -> bytes:
        with open(os.path.join(path, _STATE_FILE), "rb") as file:
            return file.read()

    def forget(self, path: str) -> None:
        """Does nothing: the directory belongs to the run."""


class SimulatedHost:
    """Holds one simulated trainable and carries out commands on it.

    Args:
        make: Makes a simulated trainable of a configuration.
        states: Keeps the checkpoints.
        clock: The clock for time stamps.
        default_step_s: Seconds of a step whose result has no ``time_this_iter_s``.

    Attributes:
        step_s: Virtual seconds of the latest step.
    """

    def __init__(
        self, make: MakeTrainable, states: StateStore, clock: Clock, default_step_s: float
    ) -> None:
        self._make = make
        self._states = states
        self._clock = clock
        self._default_step_s = default_step_s
        self.step_s = default_step_s
        self._trainable: SimulatedTrainable | None = None
        self._storage = StorageContext("", "")
        self._facts: dict[str, Any] = {}
        self._reset_counters()

    def handle(self, command: messages.Command) -> messages.Reply:
        """Carries out one command.

        Raises:
            SimulatedCrash: if the trainable raises it.
        """
        try:
            return self._dispatch(command)
        except (SimulatedCrash, KeyboardInterrupt):
            raise
        except BaseException as error:
            return failure_reply(type(command).__name__, error)

    def _dispatch(self, command: messages.Command) -> messages.Reply:
        if isinstance(command, messages.Train):
            return self._train()
        if isinstance(command, messages.Save):
            return self._save()
        if isinstance(command, messages.Restore):
            return self._restore(command)
        if isinstance(command, messages.Construct):
            return messages.Ready(self._begin(command.assignment))
        if isinstance(command, messages.Reset):
            return messages.ResetDone(True, self._begin(command.assignment))
        if isinstance(command, messages.Export):
            return messages.Exported({})
        raise LocaltuneInternalError(f"A simulated worker does not know the command {command!r}.")

    def _begin(self, assignment: messages.Assignment) -> dict[str, Any]:
        """Starts to serve a trial; returns the metrics that are known already."""
        self._storage = assignment.storage
        self._facts = {
            TRIAL_ID: assignment.trial.trial_id,
            PID: os.getpid(),
            HOSTNAME: "simulated",
            NODE_IP: "127.0.0.1",
        }
        self._reset_counters()
        self._trainable = self._make(pickle.loads(assignment.config))
        return {**self._facts, **_date(self._clock.time())}

    def _reset_counters(self) -> None:
        self._iteration = 0
        self._time_total_s = 0.0
        self._totals: dict[str, float] = {}
        self._since_restore = 0
        self._time_since_restore_s = 0.0
        self._last_result: dict[str, Any] = {}

    def _train(self) -> messages.Trained:
        assert self._trainable is not None
        self.step_s = self._default_step_s
        metrics = self._trainable.step()
        if not isinstance(metrics, dict):
            raise TypeError(
                f"step() must return a dict of metrics, but returned {type(metrics).__name__}: "
                f"{metrics!r}. Return for example {{'loss': loss}}."
            )
        step_s = metrics.get(TIME_THIS_ITER_S)
        if step_s is not None:
            if not isinstance(step_s, (int, float)) or not 0 <= step_s < float("inf"):
                raise ValueError(
                    f"{TIME_THIS_ITER_S} of a simulated step must be a finite number of seconds, "
                    f"at least 0, but got {step_s!r}."
                )
            self.step_s = step_s
        result = sealed_result(metrics)
        self._count(result)
        self._last_result = result
        return messages.Trained(dict(result))

    def _count(self, result: dict[str, Any]) -> None:
        self._iteration += 1
        self._since_restore += 1
        self._time_total_s += self.step_s
        self._time_since_restore_s += self.step_s
        result.setdefault(DONE, False)
        result.setdefault(TRAINING_ITERATION, self._iteration)
        for part, total in _SUMS:
            if part in result:
                self._totals[total] = self._totals.get(total, 0) + result[part]
            if total in self._totals:
                result.setdefault(total, self._totals[total])
        result.update(self._facts)
        result.update(_date(self._clock.time() + self.step_s))
        result[TIME_THIS_ITER_S] = self.step_s
        result[TIME_TOTAL_S] = self._time_total_s
        result["time_since_restore"] = self._time_since_restore_s
        result["iterations_since_restore"] = self._since_restore

    def _save(self) -> messages.Saved:
        assert self._trainable is not None
        storage = self._storage
        path = storage.checkpoint_path(storage.next_checkpoint_index)
        counters = (self._iteration, self._time_total_s, self._totals, self._last_result)
        state = (self._trainable.get_state(), counters)
        self._states.save(path, dumps(state, "The state of a simulated trainable"))
        storage.next_checkpoint_index += 1
        return messages.Saved(path, dict(self._last_result), storage.next_checkpoint_index)

    def _restore(self, command: messages.Restore) -> messages.Restored:
        assert self._trainable is not None
        state, counters = pickle.loads(self._states.load(command.path))
        self._reset_counters()
        self._iteration, self._time_total_s, self._totals, self._last_result = counters
        self._trainable.set_state(state)
        return messages.Restored()


_latest_date: tuple[int, dict[str, Any]] = (-1, {})


def _date(seconds: float) -> dict[str, Any]:
    """Returns time stamp and date, in UTC, so that a simulation is the same everywhere."""
    global _latest_date
    whole = int(seconds)
    if _latest_date[0] != whole:
        text = time.strftime(DATE_FORMAT, time.gmtime(whole))
        _latest_date = (whole, {"date": text, TIMESTAMP: whole})
    return _latest_date[1]
