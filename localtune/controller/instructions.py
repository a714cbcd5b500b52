"""What the controller wants done. The loop carries instructions out in order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from localtune.trial.checkpoint_history import TrackedCheckpoint
from localtune.trial.trial import Trial
from localtune.worker import messages


@dataclass(slots=True)
class Instruction:
    """Base of all instructions."""


@dataclass(slots=True)
class PrepareTrial(Instruction):
    """Make the trial's directory, and cut its history back to where it goes on from.

    Attributes:
        trial: Which trial.
        is_first: Whether the trial has never been started.
        is_known: Whether its history holds just as many results as its record says: the files of
            a trial that an earlier session, or a failure, left behind may hold more.
    """

    trial: Trial
    is_first: bool
    is_known: bool


@dataclass(slots=True)
class StartWorker(Instruction):
    """Start a worker for a trial.

    Attributes:
        worker_id: Its id from now on.
        trial: Whom it serves.
        cpus: How many CPUs the trial may use.
        environment: Variables to set in the worker.
    """

    worker_id: int
    trial: Trial
    cpus: float
    environment: dict[str, str | None]


@dataclass(slots=True)
class ResetWorker(Instruction):
    """Let an idle worker serve another trial. Attributes as in :class:`StartWorker`."""

    worker_id: int
    trial: Trial
    environment: dict[str, str | None]


@dataclass(slots=True)
class Send(Instruction):
    """Send a command to a worker that has none in flight."""

    worker_id: int
    command: messages.Command


@dataclass(slots=True)
class StopWorker(Instruction):
    """End a worker; ``reason`` is for the log. ``force`` kills it without asking it first."""

    worker_id: int
    reason: str
    force: bool = False


@dataclass(slots=True)
class Notify(Instruction):
    """Call a hook of the callbacks.

    Attributes:
        hook: Name of the hook.
        trial: Its trial.
        extra: Further arguments, as ``result`` or ``checkpoint``.
    """

    hook: str
    trial: Trial
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Record(Instruction):
    """Add a result to the trial's history in the experiment's database.

    Attributes:
        trial: Whose result it is.
        number: Its number in the history, from 1.
        result: The result.
    """

    trial: Trial
    number: int
    result: dict[str, Any]


@dataclass(slots=True)
class Persist(Instruction):
    """Write the trial's record to the experiment's database.

    Attributes:
        trial: The trial.
    """

    trial: Trial


@dataclass(slots=True)
class WriteError(Instruction):
    """Add the trial's latest error to its ``error.txt``."""

    trial: Trial


@dataclass(slots=True)
class TidyTrial(Instruction):
    """Remove what a worker that has gone left half-written in its trial's directory.

    Also checkpoints that are not on record: those of a step that was given up.
    """

    trial: Trial


@dataclass(slots=True)
class DeleteCheckpoint(Instruction):
    """Remove a checkpoint's directory."""

    tracked: TrackedCheckpoint


@dataclass(slots=True)
class Warn(Instruction):
    """Tell the user something, once."""

    message: str
