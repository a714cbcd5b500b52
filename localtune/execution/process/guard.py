"""The guard: the ancestor of all processes of a run, which ends orphans. Linux.

::

      parent                  guard                    template                 worker
        |  "start 1" + socket   |                          |                       |
        |---------------------->|  fork ------------------>|  fork --------------->|
        |                       |<--------- dies ----------|                       |
        |                       |  kills and reaps what the template has left
        |<----------------------|  "ended 1 <status>"
        |                       |
       dies - - - - - - - - - ->|  kills and reaps all, exits

The nearest ancestor that adopts orphans becomes the parent of an orphan: its worker, else its
template, else the guard. So no process escapes, in any session, as long as one of them lives:

- The template is killed: the guard ends its descendants.
- The guard is killed: each template ends its descendants, and then itself.
- The parent is killed: guard and templates end their descendants, and then themselves.
- One of them is stopped (SIGSTOP): the kernel continues it when its parent dies.
"""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import select
import signal
import socket
from typing import Any, NoReturn

from localtune.execution.process import packets as pk
from localtune.worker.lifeline import adopt_orphans, end_children, signal_when_parent_dies
from localtune.worker.signals import be_deaf, reset_signals


def main(control_fd: int, settings: dict[str, Any]) -> NoReturn:
    """Entry of the guard process.

    Args:
        control_fd: Inherited end of the socket to the parent.
        settings: ``private_dir``, ``parent_pid``, and the settings of a template.
    """
    try:
        reset_signals()
        be_deaf()
        # Stays open to the end: by its closing the parent notices that this process has ended.
        control = socket.socket(fileno=control_fd)
        Guard(control, settings).run()
        end_children()
        # Modules for the end are imported late, to keep the guard small.
        from localtune.utils.private_tree import remove_private

        # A living parent does not need it any more.
        remove_private(settings["private_dir"])
    except BaseException:
        _tell_error()
    finally:
        end_children()
        os._exit(0)


class Guard:
    """Starts templates, and ends the processes that they leave.

    Args:
        control: Socket to the parent.
        settings: See :func:`main`.
    """

    def __init__(self, control: socket.socket, settings: dict[str, Any]) -> None:
        self._control = control
        self._settings = settings
        self._templates: dict[int, tuple[int, int]] = {}  # {pidfd: (pid, template id)}
        self._own_pidfd = os.pidfd_open(os.getpid())
        self._parent_pidfd = os.pidfd_open(settings["parent_pid"])
        # Templates share these objects; the collector must not touch them, which would copy them.
        gc.freeze()
        self._poll = select.poll()
        self._poll.register(control, select.POLLIN)
        self._poll.register(self._parent_pidfd, select.POLLIN)
        adopt_orphans()
        # A stopped guard must notice that the parent has died.
        signal_when_parent_dies(signal.SIGCONT)

    def run(self) -> None:
        """Serves the parent until it has gone."""
        if os.getppid() != self._settings["parent_pid"]:
            # The parent died before this process could watch it.
            return
        while self._serve_once():
            pass

    def _serve_once(self) -> bool:
        """Waits for an event and handles it; returns False when the parent has gone."""
        for fd, _ in self._poll.poll():
            if fd == self._parent_pidfd:
                return False
            if fd == self._control.fileno():
                packet = self._receive()
                if packet is None:
                    return False
                if packet.kind == pk.START_TEMPLATE:
                    self._start_template(packet)
                else:
                    self._kill_template(packet.id)
            else:
                self._on_template_exit(fd)
        return True

    def _receive(self) -> pk.Packet | None:
        with contextlib.suppress(OSError):
            return pk.receive(self._control)
        return None

    def _start_template(self, packet: pk.Packet) -> None:
        try:
            pid = os.fork()
            if pid == 0:
                self._become_template(packet)
        except OSError as error:
            self._report(packet.id, 1, str(error))
            return
        finally:
            os.close(packet.fds[0])
        pidfd = os.pidfd_open(pid)
        self._templates[pidfd] = (pid, packet.id)
        self._poll.register(pidfd, select.POLLIN)

    def _become_template(self, packet: pk.Packet) -> NoReturn:
        try:
            os.setsid()
            self._control.close()
            for pidfd in self._templates:
                os.close(pidfd)
            reset_signals()
            options = pickle.loads(packet.payload)
            os.environ.update(options["environment"])
            # A stopped template must notice that the guard has died.
            signal_when_parent_dies(signal.SIGCONT)
            from localtune.execution.process.template import main as template_main

            superiors = (self._own_pidfd, self._parent_pidfd)
            template_main(packet.fds[0], superiors, self._settings | options)
        except BaseException:
            _tell_error()
        finally:
            os._exit(1)

    def _kill_template(self, template_id: int) -> None:
        for pid, each in self._templates.values():
            if each == template_id:
                os.kill(pid, signal.SIGKILL)

    def _on_template_exit(self, pidfd: int) -> None:
        """Ends the processes that a template has left, then reports its end."""
        pid, template_id = self._templates.pop(pidfd)
        self._poll.unregister(pidfd)
        os.close(pidfd)
        _, status = os.waitpid(pid, 0)
        end_children(spare={pid for pid, _ in self._templates.values()})
        self._report(template_id, os.waitstatus_to_exitcode(status))

    def _report(self, template_id: int, exit_code: int, text: str = "") -> None:
        # The loop notices it if the parent has gone.
        with contextlib.suppress(OSError):
            packet = pk.Packet(pk.TEMPLATE_ENDED, template_id, exit_code, text.encode())
            pk.send(self._control, packet)


def _tell_error() -> None:
    import traceback

    from localtune.utils.messages import say

    say(traceback.format_exc())
