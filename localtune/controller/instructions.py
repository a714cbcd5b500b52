"""Instructions: what the controller wants done. The loop carries them out in order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from localtune.execution.slots import Slot
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
        is_known: Whether its history holds exactly as many results as its record says. After a
            failure, or an earlier session, its files may hold more.
    """

    trial: Trial
    is_first: bool
    is_known: bool


@dataclass(slots=True)
class StartWorker(Instruction):
    """Start a worker for a trial.

    Attributes:
        worker_id: Its id from now on.
        trial: The trial that it serves.
        slot: The place of the worker.
        trains_at_once: See :class:`~localtune.worker.messages.Construct`.
        ends_with_function: See there.
    """

    worker_id: int
    trial: Trial
    slot: Slot
    trains_at_once: bool = False
    ends_with_function: bool = False


@dataclass(slots=True)
class ResetWorker(Instruction):
    """Let an idle worker serve another trial. Attributes as in :class:`StartWorker`."""

    worker_id: int
    trial: Trial
    slot: Slot
    trains_at_once: bool = False


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
    """Write a result: to the trial's history in the experiment's database, and to its log files.

    Attributes:
        trial: The trial that has reported it.
        number: Its number in the history, from 1.
        result: The result.
        shown: The copy that the callbacks get; those that may lag get it now.
    """

    trial: Trial
    number: int
    result: dict[str, Any]
    shown: dict[str, Any]


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
    """Remove half-written files from a trial's directory after its worker has ended.

    Checkpoints that are not on record are removed, too: those of a step that was given up.
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


class InstructionList(list[Instruction]):
    """The instructions that wait to be carried out, in order."""

    def __init__(self) -> None:
        super().__init__()
        self._warned: set[str] = set()

    def take(self) -> list[Instruction]:
        """Empties the list.

        Returns:
            The instructions that it held.
        """
        taken = self[:]
        self.clear()
        return taken

    def warn_once(self, message: str, subject: str = "") -> None:
        """Adds a warning unless there was one of the same subject before.

        Args:
            message: The warning.
            subject: What it is about; by default the message itself.
        """
        if (subject or message) not in self._warned:
            self._warned.add(subject or message)
            self.append(Warn(message))
