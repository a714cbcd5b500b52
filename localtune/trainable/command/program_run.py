"""ProgramRun: one start of a program, from its first result to its end.

::

    program --stdout-----> OutputReader ---+
            --stderr-----> OutputReader ---+--> Mailbox --> ProgramRun --> Session.report
            --report()---> ReportChannel --+                 |    |
            --metrics file-------------------(looked at)-----+    +--> Staging --> checkpoint
            --final file---------------------(at the end)----+

The thread of the function reports. The others wait for it when they have a result, so that the
program does not run far ahead of the decisions about it.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Any

from localtune.checkpoint import Checkpoint
from localtune.error import ProgramError, TrialStopped
from localtune.result import CHANNEL_VARIABLE
from localtune.trainable.command.channel import (
    CAN_INHERIT,
    REPORT_KEY,
    ReportChannel,
    arrival_of,
)
from localtune.trainable.command.failure import ProgramReport, no_number
from localtune.trainable.command.mailbox import Arrival, Mailbox
from localtune.trainable.command.metrics_file import MetricsFile
from localtune.trainable.command.output_reader import OutputReader, arrivals, keep_latest_state
from localtune.trainable.command.parse import (
    Parser,
    has_metric,
    json_object,
    json_parser,
    note_names,
    takes_checkpoint,
)
from localtune.trainable.command.process import ProgramProcess, wait_for_threads
from localtune.utils.files import remove_tree
from localtune.utils.messages import say

if TYPE_CHECKING:
    from localtune.trainable.active_session import Session
    from localtune.trainable.command.plan import Plan
    from localtune.trainable.command.staging import Staging

# Seconds between two looks at the metrics file, at the process, and at what the run has decided.
_LOOK_S = 0.1
# Seconds in which the readers must have read what a process has left, which has ended.
_DRAIN_TIMEOUT_S = 5.0
# Results in a row that get no checkpoint because a file of the state is open.
_MOST_BUSY = 4
# The line that a program in lockstep reads when it may go on.
_GO = b"go\n"
# A larger file is cut, and is no JSON then.
_MAX_FINAL_BYTES = 64 * 1024 * 1024


class ProgramRun:
    """Runs a program once and reports its results.

    Args:
        plan: What is run, and how its results come back.
        session: Session of the trial.
        staging: Directory for the state of the program.
    """

    def __init__(self, plan: Plan, session: Session, staging: Staging) -> None:
        self._plan = plan
        self._session = session
        self._staging = staging
        self._mailbox = Mailbox()
        self._channel = ReportChannel(self._mailbox) if CAN_INHERIT else None
        self._metrics_file = MetricsFile(plan.facts.metrics_file) if plan.follows_file else None
        with contextlib.suppress(FileNotFoundError):
            os.remove(plan.final_file)
        self._others: dict[str, None] = {}  # names in objects without the metric
        self._parse_file = _file_parser(plan, self._others)
        self._way: str | None = None  # by which results have come so far
        self._busy = 0  # results in a row at which the program was writing its state
        self._process: ProgramProcess | None = None
        self._readers: list[OutputReader] = []

    def run(self) -> None:
        """Runs the program to its end.

        Raises:
            ProgramError: if it cannot be started, fails, or reports no result.
            TrialStopped: if the trial was stopped; the program has ended.
        """
        try:
            try:
                self._start()
                self._serve()
            except TrialStopped:
                self._stop()
                raise
            finally:
                self._close()
        except TrialStopped:
            if self._is_without_results():
                say(self._report(None).stopped_without_result(self._plan.facts.trial_name))
            raise

    # -- the steps ----------------------------------------------------------------------------

    def _start(self) -> None:
        plan, channel = self._plan, self._channel
        variables = channel.variables if channel is not None else {CHANNEL_VARIABLE: ""}
        try:
            self._process = ProgramProcess(
                plan.command,
                shell=plan.shell,
                cwd=plan.cwd,
                environment={**plan.environment, **variables},
                pass_fds=[channel.program_fd] if channel is not None else [],
                takes_input=plan.lockstep,
            )
        except OSError as error:
            raise ProgramError(
                f"The program could not be started: {error}\n\nThe command was: {plan.line}"
            ) from None
        if channel is not None:
            channel.started()
        output, errors = self._process.output_fds
        streams = ((output, 1, plan.stdout_parser(self._others)), (errors, 2, plan.stderr_parser()))
        for fd, own_fd, parse in streams:
            reader = OutputReader(fd, _copy_of(own_fd), parse, self._mailbox, self._process.hold)
            self._readers.append(reader)
            reader.start()

    def _serve(self) -> None:
        assert self._process is not None
        while (exit_code := self._process.poll()) is None:
            arrival = self._mailbox.get(_LOOK_S)
            self._session.check_stop()
            if arrival is not None:
                self._take(arrival)
            elif not any(reader.is_alive() for reader in self._readers):
                self._process.wait(_LOOK_S)
            self._look_at_file()
        # What it has left may hold the pipes open.
        self._process.end_rest()
        self._drain()
        while self._look_at_file():
            continue
        self._look_at_file(to_end=True)
        if exit_code == 0:
            self._take_final_file()
        report = self._report(exit_code)
        if exit_code != 0:
            raise report.failure()
        if self._way is None and not self._staging.has_start:
            # One that continues may have had nothing left to do.
            raise report.no_result()
        self._take_last_state()

    def _is_without_results(self) -> bool:
        """Tells whether the program, which was stopped, has reported nothing at all."""
        if self._way is not None or self._staging.has_start or len(self._readers) < 2:
            return False  # Or it was not started.
        # What came in the moment at which it was stopped was not taken.
        lines = self._metrics_file.read(to_end=True)[0] if self._metrics_file is not None else []
        return not (
            any(each.has_results for each in self._readers)
            or (self._channel is not None and self._channel.has_reports)
            or any(self._parse_file(line) is not None for line in lines)
        )

    def _report(self, exit_code: int | None) -> ProgramReport:
        output, errors = (each.tail.text for each in self._readers)
        return ProgramReport(
            self._plan,
            exit_code,
            output,
            errors,
            too_long=sum(each.lines.too_long for each in self._readers),
            others=tuple(self._others),
        )

    def _drain(self) -> None:
        """Takes the results that are still on their way."""
        give_up_at = time.monotonic() + _DRAIN_TIMEOUT_S
        while any(each.is_alive() for each in self._readers) and time.monotonic() < give_up_at:
            arrival = self._mailbox.get(_LOOK_S)
            if arrival is not None:
                self._take(arrival)
                give_up_at = time.monotonic() + _DRAIN_TIMEOUT_S
        while (arrival := self._mailbox.get(0.0)) is not None:
            self._take(arrival)

    def _stop(self) -> None:
        self._mailbox.close()
        if self._process is None:
            return
        is_told = self._channel is not None and self._channel.stop_program()
        grace_s = self._plan.grace_s
        if is_told:
            # It unwinds. What it waits for may need the signal.
            self._process.wait(grace_s / 2)
            grace_s /= 2
        self._process.end(grace_s)

    def _close(self) -> None:
        self._mailbox.close()
        if self._process is not None:
            self._process.end_rest()
            # A process of another user, which cannot be killed, may hold the pipes.
            if wait_for_threads(self._readers, _DRAIN_TIMEOUT_S):
                self._process.close()
        if self._channel is not None:
            self._channel.close()
        # The program may have locked it. The next start tells.
        with contextlib.suppress(OSError):
            self._staging.remove()

    # -- results ------------------------------------------------------------------------------

    def _look_at_file(self, *, to_end: bool = False) -> bool:
        """Reports new results in the metrics file; returns whether there was anything new."""
        if self._metrics_file is None:
            return False
        before = self._metrics_file.position
        lines, written_ns = self._metrics_file.read(to_end=to_end)
        assert self._process is not None
        results = [each for line in lines if (each := self._parse_file(line)) is not None]
        found = _arrivals_of_file(results)
        if any(each.takes_state for each in found):
            self._process.hold()
            keep_latest_state(found, written_ns)
        for arrival in found:
            self._take(arrival)
        return self._metrics_file.position != before

    def _take(self, arrival: Arrival) -> None:
        """Reports a result; returns when the program may go on."""
        assert self._process is not None
        if arrival.answer is not None and self._plan.results not in ("any", "report"):
            arrival.answer(None)
            return
        metric = self._session.metric
        if arrival.way == "stdout" and metric and isinstance(arrival.metrics.get(metric), str):
            raise no_number(self._plan, metric, arrival.metrics[metric])
        stored = None
        try:
            self._note_way(arrival.way)
            if arrival.takes_state:
                stored = self._store_state_of(arrival)
        finally:
            if arrival.is_held:
                self._process.release()
        if arrival.checkpoint is not None:
            stored = self._session.store(Checkpoint(arrival.checkpoint))
            if arrival.owns_checkpoint:
                remove_tree(arrival.checkpoint)
        self._session.report(arrival.metrics, stored, is_stored=True)
        if arrival.answer is not None:
            arrival.answer(stored.path if stored is not None else None)
        elif self._plan.lockstep:
            self._process.write(_GO)

    def _note_way(self, way: str) -> None:
        if self._way is None:
            self._way = way
        elif self._way != way:
            raise ProgramError(
                f"The program has reported results in two ways: {_WAYS[self._way]}, and "
                f"{_WAYS[way]}. Say which counts: results={self._way!r} or results={way!r} "
                f"(on the command line: --results {self._way} or --results {way})."
                f"\n\nThe command was: {self._plan.line}"
            )

    def _store_state_of(self, arrival: Arrival) -> Checkpoint | None:
        """Stores the state of the program, unless the program has gone on since a result."""
        if self._staging.is_empty:
            raise ProgramError(
                'The program has reported a result with "checkpoint": true, but wrote nothing to '
                "{checkpoint_dir}, which is the environment variable LOCALTUNE_CHECKPOINT_DIR.\n\n"
                f"The command was: {self._plan.line}"
            )
        if arrival.is_held and self._has_gone_on(arrival):
            return None
        return self._store_state()

    def _has_gone_on(self, arrival: Arrival) -> bool:
        """Tells whether the program, which is held, was about to write its next state."""
        assert self._process is not None
        if self._staging.is_newer_than(arrival.written_ns):
            return True
        # It may also keep a file open all the time.
        is_writing = self._busy < _MOST_BUSY and self._process.writes_below(self._staging.path)
        self._busy = self._busy + 1 if is_writing else 0
        return is_writing

    def _store_state(self) -> Checkpoint:
        stored = self._session.store(Checkpoint.from_directory(self._staging.path))
        self._staging.note_stored()
        return stored

    def _take_final_file(self) -> None:
        if not self._plan.reads_final_file or self._way is not None:
            return
        try:
            with open(self._plan.final_file, "rb") as file:
                result = json_object(file.read(_MAX_FINAL_BYTES))
        except OSError:
            return
        if not result:
            return
        if not has_metric(result, self._plan.metric):
            note_names(self._others, result)
            return
        takes_checkpoint(result)
        is_new = not (self._staging.is_empty or self._staging.is_stored)
        self._take(Arrival("final", result, takes_state=is_new))

    def _take_last_state(self) -> None:
        if not (self._staging.is_empty or self._staging.is_stored):
            self._store_state()


_WAYS = {
    "stdout": "as lines of its output",
    "file": "in the metrics file",
    "report": "by localtune.report",
    "final": "in the final file",
}


def _arrivals_of_file(results: list[dict[str, Any]]) -> list[Arrival]:
    """Returns the results of the metrics file, those of ``localtune.report`` among them."""
    found: list[Arrival] = []
    for each in results:
        is_report = REPORT_KEY in each
        found += [arrival_of(each[REPORT_KEY])] if is_report else arrivals("file", [each])
    return found


def _file_parser(plan: Plan, others: dict[str, None]) -> Parser:
    """Returns the parser for lines of the metrics file, those of ``localtune.report`` included.

    Args:
        plan: What is run.
        others: Gets the names in objects without the metric, as its keys.
    """
    parse_any, parse = json_parser(None), json_parser(plan.metric, others)

    def parse_line(line: bytes) -> dict[str, Any] | None:
        found = parse_any(line)
        if found is not None and REPORT_KEY in found:
            return found if plan.results in ("any", "report") else None
        return parse(line) if plan.results in ("any", "file") else None

    return parse_line


def _copy_of(descriptor: int) -> int:
    try:
        return os.dup(descriptor)
    except OSError:
        # User code has closed its output.
        return os.open(os.devnull, os.O_WRONLY)
