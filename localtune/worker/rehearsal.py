"""Goes through a trial in a process that forks workers, so that each of them finds its way warm.

::

      template:  fork, fork, ... --> rehearse --> fork, fork, ...
                                        |  Construct, Train, Train, Stop over a pipe to itself

A worker runs each of its functions once or twice. Every page that it writes to is copied for it:
these copies are most of what a short trial costs. The interpreter writes to code that it adapts to
what it meets, to the caches of its types, and to everything that is made at the first use. After a
rehearsal that has happened already, in the process from which all workers are forked.
"""

from __future__ import annotations

import contextlib
import pickle
import socket
import threading
from typing import Any

from localtune.trainable.function_trainable import FunctionTrainable
from localtune.trainable.session import report
from localtune.trial.trial_info import StorageContext, TrialInfo
from localtune.worker import messages
from localtune.worker.host import ProcessHost
from localtune.worker.main import PipeChannel
from localtune.worker.pipe import Descriptor, MessagePipe

# The interpreter adapts code that has run some times.
_TIMES = 10


def rehearse(directory: str) -> None:
    """Runs a trial in this process a few times; the process is as it was when this returns.

    A failure is no concern of anybody: the trials are only slower then.

    Args:
        directory: An existing directory for the trial, which leaves nothing in it.
    """
    with contextlib.suppress(Exception):
        commands = _commands(directory)
        for _ in range(_TIMES):
            _run_once(commands)
            # What each fork runs in the child. No other thread lives here.
            getattr(threading, "_after_fork", bool)()


def _commands(directory: str) -> list[bytes]:
    assignment = messages.Assignment(
        TrialInfo("rehearsal", "rehearsal", "rehearsal", directory, directory, None),
        pickle.dumps({"x": 0.5}),
        StorageContext(directory, directory),
    )
    train = messages.Train()
    commands = (messages.Construct(assignment), train, train, messages.Stop())
    return [messages.encode(command) for command in commands]


def _run_once(commands: list[bytes]) -> None:
    ours, theirs = socket.socketpair()
    with ours:
        pipe = MessagePipe(ours)
        for command in commands:
            pipe.send(command)
        with contextlib.closing(Descriptor(theirs.detach())) as connection:
            _Host(lambda: _Trainable, PipeChannel(connection)).run()


class _Host(ProcessHost):
    def _seed(self, seed: int) -> None:
        """Leaves the random generators alone: the user's modules may have seeded them."""


def _report_once(config: dict[str, Any]) -> None:
    report({"score": config["x"]})


class _Trainable(FunctionTrainable):
    _function = staticmethod(_report_once)  # type: ignore[assignment]
