"""The messages between the parent and a worker.

::

      parent (executor)                                        worker (host)
            |                                                        |
            |  Construct ------------------------------------------> |  cls(config)
            | <------------------------------------- Ready / Failed  |  [trains at once]
            |  [Restore] ------------------------------------------> |  load_checkpoint
            | <---------------------------------- Restored / Failed  |
            |  Train ----------------------------------------------> |  step
            | <----------------------------------- Trained / Failed  |  [has ended]
            |  [Save] ---------------------------------------------> |  save_checkpoint
            | <------------------------------------- Saved / Failed  |
            |   ... Train, Save, ...                                 |
            |  [Export] -------------------------------------------> |  export_model
            | <---------------------------------- Exported / Failed  |
            |  [Reset] --------------------------------------------> |  reset_config (next trial)
            | <--------------------------------- ResetDone / Failed  |  [trains at once]
            |  Stop -----------------------------------------------> |  cleanup
            | <----------------------------------- Stopped / Failed  |
            |                                                        |  the process ends

One reply per command, one command in flight per worker. The only message that may come unasked
is the end of the pipe. A host that owns its process saves two ways of a message, and says so in its
replies: it goes on as if Train had followed on Construct or Reset, and as if Stop had followed on
the end of a function. A ``Failed`` with ``fatal`` is the last reply of a worker.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from localtune.trial.pickled_object import PickledObject
from localtune.trial.trial_info import StorageContext, TrialInfo
from localtune.utils.text import text_of

PROTOCOL_VERSION = 3

# The worker sends no larger replies, so that one trial cannot stall the parent.
MAX_REPLY_BYTES = 64 * 1024 * 1024


@dataclass(slots=True)
class Assignment:
    """The data with which a worker serves one trial.

    Attributes:
        trial: The trial: its name, its directory, its seed.
        config: The configuration, pickled by value (it may hold functions of ``__main__``).
        storage: Where its checkpoints go.
        output_files: (stdout file, stderr file) relative to the trial's directory, or None.
        environment: Environment variables to set; None unsets one.
    """

    trial: TrialInfo
    config: bytes
    storage: StorageContext
    output_files: tuple[str | None, str | None] = (None, None)
    environment: dict[str, str | None] = field(default_factory=dict)


# -- commands: parent to worker -------------------------------------------------------------------


@dataclass(slots=True)
class Command:
    """Base class of the messages of the parent."""


@dataclass(slots=True)
class Construct(Command):
    """Make the trainable for a trial. Always the first command.

    Attributes:
        assignment: The trial.
        trains_at_once: Whether Train would be the next command.
        ends_with_function: Whether Stop would be the next command when a function has returned
            that has stored no checkpoint.
    """

    assignment: Assignment
    trains_at_once: bool = False
    ends_with_function: bool = False
    version: int = PROTOCOL_VERSION


@dataclass(slots=True)
class Train(Command):
    """Run one iteration."""


@dataclass(slots=True)
class Save(Command):
    """Write a checkpoint (class), or name the one that the latest report wrote (function)."""


@dataclass(slots=True)
class Restore(Command):
    """Load a checkpoint.

    Attributes:
        path: Directory of the checkpoint.
        metrics: Result that it belongs to; sets the counters of iterations and time.
    """

    path: str
    metrics: dict[str, Any]


@dataclass(slots=True)
class Reset(Command):
    """Serve another trial from now on. Attributes as in :class:`Construct`."""

    assignment: Assignment
    trains_at_once: bool = False


@dataclass(slots=True)
class Export(Command):
    """Write the model in each of ``formats``."""

    formats: list[str]


@dataclass(slots=True)
class Stop(Command):
    """Clean up and end."""


# -- replies: worker to parent --------------------------------------------------------------------


@dataclass(slots=True)
class Reply:
    """Base class of the messages of a worker."""


@dataclass(slots=True)
class Ready(Reply):
    """The trainable exists.

    Attributes:
        metrics: The metrics that are known before the first iteration.
        trains: Whether the worker runs the first iteration now, without a further command.
    """

    metrics: dict[str, Any]
    trains: bool = False


@dataclass(slots=True)
class Trained(Reply):
    """One iteration is done.

    Attributes:
        result: The result without ``config``, as plain data.
        changed_config: {key: value} of the entries of the config that user code has added or
            changed, to be shown.
        removed_config: Keys that user code has removed from the config.
        has_ended: Whether the worker ends now, without a further command. Its function has stored
            no checkpoint.
    """

    result: dict[str, Any]
    changed_config: dict[str, Any] = field(default_factory=dict)
    removed_config: list[str] = field(default_factory=list)
    has_ended: bool = False


@dataclass(slots=True)
class Saved(Reply):
    """The answer to Save.

    Attributes:
        path: Directory of the committed checkpoint; None if there is none.
        metrics: Result that it belongs to.
        next_index: Number that the trial's next checkpoint will get.
        files: {path within the directory: size in bytes}; shows later whether a file is damaged.
    """

    path: str | None
    metrics: dict[str, Any]
    next_index: int
    files: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Restored(Reply):
    """The checkpoint is loaded."""


@dataclass(slots=True)
class ResetDone(Reply):
    """The answer to Reset.

    Attributes:
        accepted: False if the trainable cannot be reused.
        metrics: As in :class:`Ready`.
        trains: As in :class:`Ready`.
    """

    accepted: bool
    metrics: dict[str, Any]
    trains: bool = False


@dataclass(slots=True)
class Exported(Reply):
    """The models are exported."""

    paths: dict[str, str]


@dataclass(slots=True)
class Stopped(Reply):
    """The cleanup is done; the process ends now."""


@dataclass(slots=True)
class Failed(Reply):
    """A command failed: user code, or the worker itself, has raised an exception.

    Attributes:
        command: Name of the command.
        type_name: Class of the exception.
        message: Its text.
        traceback_text: Full traceback.
        hint: Advice for the user; "" without one.
        pickled_error: The exception itself, None where it cannot be pickled.
        fatal: Whether the worker ends itself after this reply.
    """

    command: str
    type_name: str
    message: str
    traceback_text: str
    hint: str = ""
    pickled_error: bytes | None = None
    fatal: bool = False


def encode(message: Command | Reply) -> bytes:
    """Returns the bytes of a message.

    Raises:
        Exception: if a part of the message cannot be pickled.
    """
    kind = type(message)
    short = _ENCODED.get(kind)
    if short is not None:
        return short
    if isinstance(message, (Construct, Reset)):
        version = message.version if isinstance(message, Construct) else PROTOCOL_VERSION
        assignment = _parts_of(message.assignment)
        parts: object = (version, _NUMBERS[kind], assignment, *_rest_of[kind](message))
    elif kind in _NUMBERS:
        parts = (_NUMBERS[kind], *_rest_of[kind](message))
    else:
        parts = message
    return pickle.dumps(parts, pickle.HIGHEST_PROTOCOL)


def decode(data: bytes) -> Any:
    """Returns the command that ``data`` holds; for workers."""
    command = _DECODED.get(data) or pickle.loads(data)
    if type(command) is tuple:
        version, number, assignment, *rest = command
        if version != PROTOCOL_VERSION:
            # It may have other attributes. The worker refuses it because of its version.
            return Construct(assignment, version=version)
        return _COMMANDS[number](_assignment_of(*assignment), *rest)
    return command


# Commands without attributes.
_ENCODED: dict[type, bytes] = {
    each: pickle.dumps(each(), pickle.HIGHEST_PROTOCOL) for each in (Train, Save, Stop)
}
_DECODED: dict[bytes, Command] = {data: each() for each, data in _ENCODED.items()}

# Each trial has these messages. As tuples of their attributes, behind the place of the type here,
# they take a quarter of the time, and a worker writes to fewer pages.
_COMMANDS = (Construct, Reset)
_REPLIES = (Trained, Ready, ResetDone)
_NUMBERS: dict[type, int] = {
    kind: number for kinds in (_COMMANDS, _REPLIES) for number, kind in enumerate(kinds)
}


def _getter_of(kind: Any, *without: str) -> Callable[[Any], tuple[Any, ...]]:
    """Returns the function that returns the attributes of an object in their order."""
    names = [name for name in kind.__match_args__ if name not in without]
    # Of one name, attrgetter() returns no tuple.
    return attrgetter(*names) if len(names) > 1 else lambda it: (getattr(it, names[0]),)


_rest_of = {kind: _getter_of(kind, "assignment", "version") for kind in _NUMBERS}
_info_parts = _getter_of(TrialInfo)
_storage_parts = _getter_of(StorageContext)


def _parts_of(it: Assignment) -> tuple[Any, ...]:
    info, storage = _info_parts(it.trial), _storage_parts(it.storage)
    return info, it.config, storage, it.output_files, it.environment


def _assignment_of(
    info: tuple[Any, ...], config: bytes, storage: tuple[Any, ...], *rest: Any
) -> Assignment:
    return Assignment(TrialInfo(*info), config, StorageContext(*storage), *rest)


def encode_reply(reply: Reply) -> bytes:
    """Returns the bytes of a reply, or of a ``Failed`` if the reply cannot be sent."""
    try:
        data = encode(reply)
    except Exception as error:
        message = f"an answer cannot be sent ({type(error).__name__}: {text_of(error)})"
        return encode(_unsent(type(error).__name__, message))
    if len(data) > MAX_REPLY_BYTES:
        message = (
            f"A result or answer of {len(data):,} bytes is refused (the limit is "
            f"{MAX_REPLY_BYTES:,} bytes). Write large data to a file or a checkpoint."
        )
        return encode(_unsent("ValueError", message))
    return data


def read_reply(data: bytes) -> Reply:
    """Returns the reply that ``data`` holds, or a ``Failed`` if it holds none. For the parent."""
    try:
        return decode_reply(data)
    except Exception as error:
        message = (
            f"an answer of the worker cannot be read ({type(error).__name__}: {text_of(error)}). "
            "Does user code write to descriptors that are not its own?"
        )
        return _unsent(type(error).__name__, message)


def _unsent(type_name: str, message: str) -> Failed:
    return Failed("reply", type_name, message, traceback_text=message)


def decode_reply(data: bytes) -> Reply:
    """Returns the reply that ``data`` holds. No code of the user runs.

    Raises:
        pickle.UnpicklingError: if it holds anything but plain data.
    """
    reply = _ReplyUnpickler(io.BytesIO(data)).load()
    if type(reply) is tuple:
        return _REPLIES[reply[0]](*reply[1:])
    if not isinstance(reply, Reply):
        raise pickle.UnpicklingError(f"a worker answered with a {type(reply).__name__}")
    return reply


class _ReplyUnpickler(pickle.Unpickler):
    """Makes objects of the types of replies and of plain data only."""

    def find_class(self, module: str, name: str) -> Any:
        if module == __name__ and isinstance(kind := globals().get(name), type):
            if issubclass(kind, Reply):
                return kind
        elif (module, name) in _PARTS_OF_REPLIES:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"it holds a {module}.{name}, which is no plain data")


# Arrays of NumPy 1 and 2, and objects that stay pickled.
_PARTS_OF_REPLIES = frozenset(
    {
        (PickledObject.__module__, PickledObject.__name__),
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy.core.numeric", "_frombuffer"),
        ("numpy._core.numeric", "_frombuffer"),
        ("_codecs", "encode"),  # bytes, in older forms of pickles
    }
)
