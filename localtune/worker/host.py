"""TrainableHost: turns commands into calls on a Trainable.

The same host serves a worker process and the in-process executor.

A process holds one host at a time: a host changes the working directory, the environment and the
standard streams for its trial, and these belong to the whole process. ``InProcessHost`` is the
exception: it enters these surroundings for one command only, and the commands of all hosts are
carried out one after the other.

A class trainable is driven from outside: each command is one call. A function trainable runs in
the worker's main thread and is driven from inside, because user code must find itself in a plain
script's surroundings (signals, event loops, plotting)::

      run()                       the user's function
        |  Train, or the end of Construct
        |---- advance() ------------->|
        |                             |  report(metrics)
        |          deliver() <--------|
        |          answers Train,     |
        |          reads commands:    |
        |            Save -> answers  |
        |            Train ---------->|  report() returns
        |            else: keeps it,  |
        |                 raises ---->|  TrialStopped unwinds `finally` blocks
        |<----------------------------|
        |  serves the kept command
"""

from __future__ import annotations

import os
import pickle
import random
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from localtune.error import LocaltuneInternalError, ProgramError, TrialStopped
from localtune.result import CONFIG_PREFIX, RESULT_DUPLICATE, TRIAL_INFO
from localtune.trial.plain_data import displayed_value, sealed_result
from localtune.utils.files import file_sizes
from localtune.utils.text import one_line, text_of
from localtune.worker import messages
from localtune.worker.workdir import Surroundings, explain_missing_file, flush_output

if TYPE_CHECKING:
    from localtune.trainable.function_trainable import FunctionTrainable
    from localtune.trainable.trainable import Trainable


# Most characters of an error's text, and of its traceback, in a reply.
_MAX_TEXT = 256 * 1024


class Channel(Protocol):
    """The worker's end of the pipe."""

    def receive(self) -> messages.Command:
        """Waits for the next command. Raises EOFError when the parent has gone."""

    def send(self, reply: messages.Reply) -> None:
        """Answers the command in flight."""

    def has_more(self) -> bool:
        """Returns whether :meth:`receive` would not wait."""


class TrainableHost:
    """Holds one Trainable and carries out commands on it.

    Args:
        load: Returns the trainable class; called once, at the first command.
    """

    def __init__(self, load: Callable[[], type[Trainable]]) -> None:
        self._load = load
        self._trainable: Trainable | None = None
        self._storage: Any = None
        self._surroundings: Surroundings | None = None
        self._known_config: dict[str, Any] = {}

    # -- one command, one reply ---------------------------------------------------------------

    def handle(self, command: messages.Command) -> messages.Reply:
        """Carries out one command.

        Returns:
            The answer; a :class:`~localtune.worker.messages.Failed` where user code raised an
            ``Exception`` or called ``sys.exit``.

        Raises:
            TrialStopped: through a function trainable that is told to end.
            BaseException: any other exception of user code that does not derive from ``Exception``.
        """
        try:
            reply = self._dispatch(command)
        except (Exception, SystemExit) as error:
            reply = failure_reply(type(command).__name__, error)
        flush_output()
        return reply

    def _dispatch(self, command: messages.Command) -> messages.Reply:
        if isinstance(command, messages.Train):
            return self.trained(self._require().train())
        if isinstance(command, messages.Save):
            return self._save()
        if isinstance(command, messages.Construct):
            return self._construct(command)
        if isinstance(command, messages.Restore):
            return self._restore(command)
        if isinstance(command, messages.Reset):
            return self._reset(command.assignment)
        if isinstance(command, messages.Export):
            return self._export(command.formats)
        if isinstance(command, messages.Stop):
            return self._stop()
        raise LocaltuneInternalError(f"A worker does not know the command {command!r}.")

    def _require(self) -> Trainable:
        if self._trainable is None:
            raise LocaltuneInternalError("A worker got a command before Construct.")
        return self._trainable

    def _construct(self, command: messages.Construct) -> messages.Reply:
        if command.version != messages.PROTOCOL_VERSION:
            raise LocaltuneInternalError(
                f"Parent and worker speak different protocols ({command.version} and "
                f"{messages.PROTOCOL_VERSION}): is localtune being upgraded while a run goes on?"
            )
        assignment = command.assignment
        self._enter(assignment)
        trainable_class = self._load()
        self._seed(assignment.trial.seed)
        config = pickle.loads(assignment.config)
        config[TRIAL_INFO] = assignment.trial
        self._storage = assignment.storage
        self._trainable = trainable_class(config=config, storage=assignment.storage)
        self._install_driver()
        self._remember_config()
        return messages.Ready(self._debug_metrics())

    def _install_driver(self) -> None:
        """Hook: prepares the trainable for the way in which a subclass runs functions."""

    def _seed(self, seed: int) -> None:
        """Hook: seeds the global random generators, if the process belongs to the trial."""

    def _restore(self, command: messages.Restore) -> messages.Reply:
        from localtune.checkpoint import Checkpoint, TrainingResult

        trainable = self._require()
        checkpoint = Checkpoint.from_directory(command.path)
        metrics = {**command.metrics, CONFIG_PREFIX: trainable.config}
        trainable.restore(TrainingResult(checkpoint, metrics))
        return messages.Restored()

    def _reset(self, assignment: messages.Assignment) -> messages.Reply:
        from localtune.trainable.function_trainable import FunctionTrainable

        trainable = self._require()
        if isinstance(trainable, FunctionTrainable):
            # Its `finally` blocks run in the old trial's surroundings.
            trainable.end_function()
        flush_output()
        self._leave()
        self._enter(assignment)
        config = pickle.loads(assignment.config)
        config[TRIAL_INFO] = assignment.trial
        self._storage = assignment.storage
        self._seed(assignment.trial.seed)
        accepted = bool(trainable.reset(config, storage=assignment.storage))
        self._remember_config()
        return messages.ResetDone(accepted, self._debug_metrics() if accepted else {})

    def _save(self) -> messages.Saved:
        saved = self._require().save()
        path = os.fspath(saved.checkpoint.path) if saved.checkpoint is not None else None
        metrics = {key: value for key, value in saved.metrics.items() if key != CONFIG_PREFIX}
        files = file_sizes(path) if path is not None else {}
        index = self._storage.next_checkpoint_index
        return messages.Saved(path, sealed_result(metrics), index, files)

    def _export(self, formats: list[str]) -> messages.Exported:
        paths = self._require().export_model(formats)
        told = paths.items() if isinstance(paths, dict) else ()
        return messages.Exported({text_of(name): text_of(path) for name, path in told})

    def _stop(self) -> messages.Reply:
        try:
            if self._trainable is not None:
                self._trainable.stop()
        finally:
            self._leave()
        return messages.Stopped()

    # -- surroundings and config --------------------------------------------------------------

    def _enter(self, assignment: messages.Assignment) -> None:
        self._surroundings = Surroundings(
            assignment.storage.trial_dir, assignment.output_files, assignment.environment
        )
        self._surroundings.enter()

    def _leave(self) -> None:
        if self._surroundings is not None:
            self._surroundings.leave()
            self._surroundings = None

    def _debug_metrics(self) -> dict[str, Any]:
        metrics = self._require().get_auto_filled_metrics(debug_metrics_only=True)
        metrics.pop(CONFIG_PREFIX, None)
        return sealed_result(metrics)

    def _remember_config(self) -> None:
        self._known_config = dict(self._require().config)

    def trained(self, result: dict[str, Any]) -> messages.Trained:
        """Returns the reply to Train.

        Every result has the config, which the parent knows. The reply has only the changes that
        user code has made to it.
        """
        config = result.get(CONFIG_PREFIX)
        if config is None:
            return messages.Trained(sealed_result(result))
        result = {key: value for key, value in result.items() if key != CONFIG_PREFIX}
        reply = messages.Trained(sealed_result(result))
        if not _same_entries(config, self._known_config):
            known, missing = self._known_config, object()
            reply.changed_config = {
                text_of(key): displayed_value(value)
                for key, value in config.items()
                if known.get(key, missing) is not value
            }
            reply.removed_config = [text_of(key) for key in known if key not in config]
        return reply


def _same_entries(config: Mapping[str, Any], known: Mapping[str, Any]) -> bool:
    if len(config) != len(known):
        return False
    missing = object()
    return all(known.get(key, missing) is value for key, value in config.items())


class ProcessHost(TrainableHost):
    """A host that owns its process: the loop of a worker.

    Args:
        load: See :class:`TrainableHost`.
        channel: The worker's end of the pipe.
    """

    def __init__(self, load: Callable[[], type[Trainable]], channel: Channel) -> None:
        super().__init__(load)
        self._channel = channel
        self._kept: messages.Command | None = None
        self._answered = False
        self._ends_with_function = False
        self._parent_has_gone = False
        self._seeds_numpy = False

    def run(self) -> int:
        """Serves commands until Stop, a fatal failure, or the end of the pipe.

        Returns:
            The exit code for the process.

        Raises:
            TrialStopped: if a signal told the process to end; user code has unwound.
        """
        while True:
            try:
                command = self.next_command()
            except EOFError:
                return 1
            self._answered = False
            try:
                reply = self.handle(command)
            except TrialStopped:
                # A function trainable has unwound; the command that ended it is kept. Without
                # one the parent has gone, or a signal told the process to end.
                if self._kept is not None:
                    continue
                if self._parent_has_gone:
                    return 1
                raise
            except BaseException as error:
                reply = failure_reply(type(command).__name__, error)
            if self._answered:
                # User code caught TrialStopped and then returned or raised another exception.
                continue
            self._look_ahead(command, reply)
            self.answer(reply)
            if isinstance(reply, messages.Trained) and reply.has_ended:
                return int(isinstance(self.handle(messages.Stop()), messages.Failed))
            if isinstance(reply, messages.Stopped):
                return 0
            if isinstance(reply, messages.Failed) and (
                reply.fatal or isinstance(command, messages.Stop)
            ):
                return 1

    def _look_ahead(self, command: messages.Command, reply: messages.Reply) -> None:
        """Notes in a reply whether this host goes on without waiting for the obvious command."""
        if isinstance(reply, (messages.Ready, messages.ResetDone)):
            assert isinstance(command, (messages.Construct, messages.Reset))
            if isinstance(command, messages.Construct):
                self._ends_with_function = command.ends_with_function
            is_ready = isinstance(reply, messages.Ready) or reply.accepted
            # Stop is the only command that may have come.
            if is_ready and command.trains_at_once and not self._channel.has_more():
                reply.trains = True
                self.keep(messages.Train())
        elif isinstance(reply, messages.Trained):
            is_closing = self._ends_with_function and RESULT_DUPLICATE in reply.result
            reply.has_ended = is_closing and not self._has_stored()

    def _has_stored(self) -> bool:
        from localtune.trainable.function_trainable import FunctionTrainable

        trainable = self._trainable
        return not isinstance(trainable, FunctionTrainable) or trainable.session.has_stored

    def next_command(self) -> messages.Command:
        """Returns the kept command, else waits for the parent's next one."""
        command, self._kept = self._kept, None
        if command is not None:
            return command
        try:
            return self._channel.receive()
        except EOFError:
            self._parent_has_gone = True
            raise

    def has_next(self) -> bool:
        """Returns whether :meth:`next_command` would not wait."""
        return self.has_kept or self._channel.has_more()

    def answer(self, reply: messages.Reply) -> None:
        """Sends the reply to the command in flight."""
        self._channel.send(reply)
        self._answered = True

    def keep(self, command: messages.Command) -> None:
        """Puts a command back until the user's function has unwound."""
        self._kept = command

    @property
    def has_kept(self) -> bool:
        """Whether a command waits for the user's function to unwind."""
        return self._kept is not None

    def serving(self) -> None:
        """Notes that another command is in flight."""
        self._answered = False

    def _seed(self, seed: int) -> None:
        random.seed(seed)
        # Otherwise all forked workers draw the same numbers from NumPy.
        numpy_random = sys.modules.get("numpy.random")
        if numpy_random is not None and (self._seeds_numpy or not _is_seeded(numpy_random)):
            self._seeds_numpy = True
            numpy_random.seed(seed)

    def _install_driver(self) -> None:
        from localtune.trainable.function_trainable import FunctionTrainable

        if isinstance(self._trainable, FunctionTrainable):
            self._trainable.set_driver(MainThreadDriver(self, self._trainable))


def _is_seeded(numpy_random: Any) -> bool:
    """Returns whether user code has set the seed of NumPy's global generator."""
    generator = numpy_random.mtrand._rand._bit_generator
    # NumPy drops the seed sequence of a generator that was seeded by np.random.seed().
    return getattr(generator, "_seed_seq", None) is None


class MainThreadDriver:
    """Runs a function trainable in the worker's main thread. See the diagram above."""

    def __init__(self, host: ProcessHost, trainable: FunctionTrainable) -> None:
        self._host = host
        self._trainable = trainable

    def advance(self) -> dict[str, Any]:
        return self._trainable.run_function()

    def deliver(self, result: dict[str, Any]) -> None:
        host, trainable = self._host, self._trainable
        if host.has_kept:
            raise TrialStopped("The trial was told to end, and user code went on.")
        host.answer(host.trained(trainable._complete_iteration(result)))
        flush_output()
        while True:
            command = self._next_command()
            if not isinstance(command, (messages.Train, messages.Save)):
                self._end(command)
            host.serving()
            if isinstance(command, messages.Train):
                trainable._begin_iteration()
                return
            host.answer(host.handle(command))

    def check_stop(self) -> None:
        # While a step is in flight, the only further command is the one that ends it.
        if self._host.has_next():
            self._end(self._next_command())

    def _next_command(self) -> messages.Command:
        try:
            return self._host.next_command()
        except EOFError:
            raise TrialStopped("The parent process has gone.") from None

    def _end(self, command: messages.Command) -> NoReturn:
        self._host.keep(command)
        raise TrialStopped(f"The trial was told to {type(command).__name__.lower()}.")

    def stop(self) -> None:
        """Does nothing: the function has returned before the host serves a command that ends it."""


def failure_reply(command: str, error: BaseException) -> messages.Failed:
    """Returns the reply that describes an exception of user code.

    Args:
        command: Name of the command that failed.
        error: The exception.
    """
    import traceback

    if isinstance(error, SystemExit):
        message = f"user code called sys.exit({one_line(error.code)}), which ends the worker"
    else:
        message = text_of(error)
    try:
        if isinstance(error, ProgramError):
            text = message  # The traceback is all of localtune.
        else:
            text = "".join(
                traceback.format_exception(type(error), error, _without_own_frames(error))
            )
    except Exception:  # a __str__ or __repr__ of user code may raise
        text = "".join(traceback.format_tb(error.__traceback__)) + type(error).__name__
    return messages.Failed(
        command=command,
        type_name=type(error).__qualname__,
        message=_shortened(message),
        traceback_text=_shortened(text),
        hint=explain_missing_file(error) or _explain_missing_method(error),
        pickled_error=_pickled(error),
        fatal=not isinstance(error, Exception),
    )


def _explain_missing_method(error: BaseException) -> str:
    if isinstance(error, NotImplementedError) and "save_checkpoint" in text_of(error):
        return (
            "A checkpoint is needed (checkpoint_frequency, checkpoint_at_end, or a scheduler that "
            "pauses trials): implement save_checkpoint and load_checkpoint."
        )
    return ""


def _shortened(text: str) -> str:
    """Returns the text, without its middle if it is too long to be read."""
    if len(text) <= _MAX_TEXT:
        return text
    half = _MAX_TEXT // 2
    return f"{text[:half]}\n... {len(text) - 2 * half:,} characters ...\n{text[-half:]}"


def _without_own_frames(error: BaseException) -> Any:
    """Returns the traceback from the first frame of user code on."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    frame = error.__traceback__
    while frame is not None and frame.tb_frame.f_code.co_filename.startswith(package):
        frame = frame.tb_next
    return frame if frame is not None else error.__traceback__


def _pickled(error: BaseException) -> bytes | None:
    """Returns the pickled exception, None if it cannot be pickled and unpickled."""
    try:
        import cloudpickle

        data = bytes(cloudpickle.dumps(error))
        # An exception whose constructor takes other arguments than it keeps is pickled without
        # complaint and fails to load; one that has no text cannot be shown.
        str(pickle.loads(data))
    except Exception:
        return None
    return data if len(data) <= 1024 * 1024 else None
