"""The session of a Python program that a command trial has started.

``localtune.report``, ``get_checkpoint`` and ``get_context`` find it where a function finds the
session of its trial.
"""

from __future__ import annotations

import contextlib
import functools
import os
import threading
from typing import TYPE_CHECKING, Any, NoReturn

from localtune.checkpoint import Checkpoint
from localtune.error import TrialStopped
from localtune.result import CHANNEL_VARIABLE
from localtune.trainable.command.channel import (
    REPORT_KEY,
    START_VARIABLE,
    inherited_channel,
)
from localtune.trainable.command.facts import FACT_VARIABLES
from localtune.trial.plain_data import clean_metrics
from localtune.trial.trial_info import StorageContext, TrialInfo
from localtune.utils.json_encode import dumps

if TYPE_CHECKING:
    import socket


class ProgramStopped(TrialStopped, SystemExit):
    """Ends the program, without a traceback if it is not caught."""

    def __init__(self) -> None:
        super().__init__("The trial must end.")
        self.code = 1  # A text would be printed.


class ProgramSession:
    """Passes the reports of this program to its trial.

    Args:
        facts: {reserved name: value} of the trial.
        channel: Connection to the worker; None adds reports to the metrics file.
        start: Checkpoint to continue from; None starts from scratch.
    """

    def __init__(
        self, facts: dict[str, str], channel: socket.socket | None, start: Checkpoint | None
    ) -> None:
        self.checkpoint = start
        self.storage = StorageContext(facts["experiment_dir"], facts["trial_dir"])
        self.trial_info = TrialInfo(
            trial_id=facts["trial_id"],
            trial_name=facts["trial_name"],
            experiment_name=facts["experiment_name"],
            trial_dir=facts["trial_dir"],
            experiment_dir=facts["experiment_dir"],
            resources=None,
            seed=int(facts["seed"]),
        )
        self._metrics_file = facts["metrics_file"]
        self._channel = channel
        self._answers = channel.makefile("rb") if channel is not None else None
        self._turn = threading.Lock()

    def report(self, metrics: dict[str, Any], checkpoint: Checkpoint | None) -> None:
        """Passes on a result; returns when the program may continue.

        Args:
            metrics: Metrics of one iteration; not changed.
            checkpoint: State to keep, or None.

        Raises:
            TrialStopped: if the trial ends here.
        """
        cleaned = clean_metrics(metrics)
        with self._turn:
            if self._channel is None:
                self._write(cleaned, checkpoint)
            else:
                self._send(cleaned, checkpoint)

    def _send(self, metrics: dict[str, Any], checkpoint: Checkpoint | None) -> None:
        assert self._channel is not None and self._answers is not None
        with contextlib.ExitStack() as stack:
            path = stack.enter_context(checkpoint.as_directory()) if checkpoint else None
            self._check_directory(path)
            message = {"metrics": metrics, "checkpoint": path and os.path.abspath(path)}
            try:
                self._channel.sendall(dumps(message).encode() + b"\n")
                answer = self._answers.readline()
            except OSError:
                answer = b""
        if not answer:
            _stop()
        import json

        told = json.loads(answer)
        if told.get("stop"):
            _stop()
        if told["checkpoint"] is not None:
            self.checkpoint = Checkpoint(told["checkpoint"])

    def _write(self, metrics: dict[str, Any], checkpoint: Checkpoint | None) -> None:
        """Adds the report to the metrics file, with a copy of the checkpoint."""
        path = None
        if checkpoint is not None:
            import tempfile

            with checkpoint.as_directory() as source:
                self._check_directory(source)
                path = tempfile.mkdtemp(prefix=".staging_report_", dir=self.storage.trial_dir)
                Checkpoint(source).to_directory(path)
            self.checkpoint = checkpoint
        line = dumps({REPORT_KEY: {"metrics": metrics, "checkpoint": path, "is_copy": True}}) + "\n"
        with open(self._metrics_file, "a", encoding="utf-8") as file:
            file.write(line)

    def close(self) -> None:
        """Closes the channel."""
        for each in (self._answers, self._channel):
            if each is not None:
                each.close()

    @staticmethod
    def _check_directory(path: str | None) -> None:
        if path is not None and not os.path.isdir(path):
            raise FileNotFoundError(
                f"The directory of the reported checkpoint does not exist: {path}. Report it "
                "before it is removed."
            )


def _stop() -> NoReturn:
    raise ProgramStopped


@functools.cache
def program_session() -> ProgramSession | None:
    """Returns the session of this process; None if no trial has started it as its program."""
    text = os.environ.get(CHANNEL_VARIABLE)
    facts = {name: os.environ.get(variable) for name, variable in FACT_VARIABLES.items()}
    if text is None or None in facts.values():
        return None
    start = os.environ.get(START_VARIABLE)
    known = {name: value for name, value in facts.items() if value is not None}
    return ProgramSession(known, inherited_channel(text), Checkpoint(start) if start else None)
