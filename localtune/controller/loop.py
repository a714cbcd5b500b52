"""ExperimentLoop: the turns of a run, from its first decision to its end.

::

      wait for events --> handle each, carry out --> advance, carry out --> write --> tell
             ^                                                                         |
             +-------------------------------------------------------------------------+

One turn is one transaction: what an event ends, and what may start now, is on record together.
"""

from __future__ import annotations

from collections.abc import Sequence

from localtune.controller import instructions
from localtune.controller.controller import Controller
from localtune.controller.dispatcher import Dispatcher
from localtune.controller.ports import Ports

# The longest time between two ticks of the output while nothing happens.
HEARTBEAT_S = 0.25

# How long running trials have to write a checkpoint when the run is told to end: less than the
# ten seconds after which container runtimes kill.
END_GRACE_S = 7.0


class ExperimentLoop:
    """Runs an experiment to its end: a real one, one in this process, or a simulated one.

    Args:
        controller: Decides.
        ports: Through which its instructions are carried out; the executor must be open.

    Attributes:
        was_interrupted: Whether the run was asked to end early.
    """

    def __init__(self, controller: Controller, ports: Ports) -> None:
        self._controller = controller
        self._trials = controller.trials  # Grows while the run goes on.
        self._records = ports.records
        self._notices = ports.notices
        self._executor = ports.executor
        self._dispatcher = Dispatcher(controller, ports)
        self._hears_begin = ports.notices.wants("on_step_begin")
        self._hears_end = ports.notices.wants("on_step_end")
        self._time_passes = ports.executor.abilities.real_time
        self._interrupt_asked = False
        self._end_asked = False
        self.was_interrupted = False

    def run(self, first: Sequence[instructions.Instruction]) -> None:
        """Runs until all is done, interrupted, or failed.

        Args:
            first: The instructions of the controller's first :meth:`advance`.

        Raises:
            KeyboardInterrupt: if interrupted for the second time; workers are killed.
        """
        try:
            self._dispatcher.carry_out(first)
            self._dispatcher.write()
            while True:
                if self._hears_begin:
                    self._dispatcher.tell_turn("on_step_begin")
                if self._interrupt_asked or self._end_asked:
                    self._serve_signals()
                if self._controller.is_done:
                    break
                self._turn()
            self._dispatcher.write_all()
            self._controller.close()
        except BaseException:
            self._records.rescue_results()
            raise

    def _turn(self) -> None:
        controller, dispatcher = self._controller, self._dispatcher
        for event in self._executor.wait(self._timeout_s()):
            dispatcher.carry_out(controller.handle(event))
        if wanted := controller.advance():
            dispatcher.carry_out(wanted)
        dispatcher.write()
        dispatcher.iteration += 1
        if self._hears_end:
            dispatcher.tell_turn("on_step_end")
        self._notices.tick(self._trials)

    def _timeout_s(self) -> float | None:
        if self._controller.has_work:
            return 0.0
        seconds_left = self._controller.seconds_left()
        if not self._time_passes:
            return seconds_left  # virtual time jumps: no person watches it pass
        limits = [HEARTBEAT_S, seconds_left, self._records.seconds_left()]
        return min([limit for limit in limits if limit is not None])

    # -- asked from outside -----------------------------------------------------------------------

    def interrupt(self) -> None:
        """Asks the loop to end in good order. For other threads and signal handlers."""
        self._interrupt_asked = True
        self._executor.wake()

    def end(self) -> None:
        """Asks the loop to checkpoint what runs and to end. For signal handlers."""
        self._end_asked = True
        self._executor.wake()

    def _serve_signals(self) -> None:
        """Ends the run as it was asked to: at once, or after checkpoints were written."""
        is_interrupted, self._interrupt_asked = self._interrupt_asked, False
        if not is_interrupted:
            self._end_asked = False
        if self._controller.is_ending:
            return
        self.was_interrupted = True
        if is_interrupted:
            self._notices.warn(
                "Interrupted: the workers are stopped; results of the steps in progress are not "
                "kept. Press Ctrl-C again to end now."
            )
            wanted = self._controller.interrupt()
        else:
            self._notices.warn(
                "Told to end: running trials are checkpointed first, for "
                f"{END_GRACE_S:g} s at most."
            )
            wanted = self._controller.wind_down(END_GRACE_S)
        self._dispatcher.carry_out([*wanted, *self._controller.advance()])
        self._dispatcher.write()
