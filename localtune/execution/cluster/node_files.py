"""NodeFiles: what an agent does about the files of trials. With shared storage, nothing.

::

      parent           Agent                     NodeFiles               ProcessExecutor
        |  command       |  taken(command)           |                         |
        |--------------->|-------------------------->|                         |
        |                |  ready_commands()         |                         |
        |                |<--------------------------|  perhaps later          |
        |                |------------------------------------ command ------->|
        |                |                           |        events           |
        |                |<-----------------------------------------------------|
        |                |  passed(events)           |                         |
        |  events        |-------------------------->|                         |
        |<---------------|  perhaps later            |                         |

The commands of a worker keep their order, and so do its events.
"""

from __future__ import annotations

from collections.abc import Sequence

from localtune.execution.executor import WorkerEvent
from localtune.worker import messages


class NodeFiles:
    """For nodes that see the files of the parent under the same paths."""

    def started(self, worker_id: int, command: messages.Construct) -> messages.Construct:
        """Prepares the files for a new worker.

        Args:
            worker_id: The worker.
            command: Its first command.

        Returns:
            The command as the worker gets it.

        Raises:
            StorageError: if the files cannot be prepared.
        """
        return command

    def taken(self, worker_id: int, command: messages.Command) -> messages.Command | None:
        """Takes in a command for a worker.

        Args:
            worker_id: The worker.
            command: The command.

        Returns:
            The command as the worker gets it now; None if it comes later, or not at all.
        """
        return command

    def stopped(self, worker_id: int) -> None:
        """Takes in that a worker is told to end."""

    def passed(self, events: Sequence[WorkerEvent]) -> Sequence[WorkerEvent]:
        """Takes in events; returns those that go on to the parent now, perhaps older ones."""
        return events

    def ready_commands(self) -> Sequence[tuple[int, messages.Command]]:
        """Returns the commands of workers, by their ids, that were taken in and may go on now."""
        return ()

    def close(self) -> None:
        """Ends what goes on in other threads, and does not wait for it."""
