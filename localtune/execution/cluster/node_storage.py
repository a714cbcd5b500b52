"""NodeStorage: the files of trials on a node that shares none with the parent.

::

      parent's working copy              node's working copy                     store
      START, Reset  ------------------->  the trial's directory is made
      Restore(path) ------------------->  missing? [pool] fetch  <--------------  checkpoint
                                          then the worker gets the command
      Saved(path)   <-------------------  held until [pool] has uploaded  ----->  files, marker
                                          later events of the worker wait behind
      Exited        <-------------------  held until [thread] has uploaded ---->  other files

Paths below the parent's working copy are those of the node in commands, and the other way round in
replies. Of each trial, the node keeps the latest checkpoint, and those that a worker has started
from. All are in the store, and fetched again when they are needed.
"""

from __future__ import annotations

import os
import pickle
import queue
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from localtune.error import StorageError
from localtune.execution.cluster.node_files import NodeFiles
from localtune.execution.cluster.node_uploads import FileUploads
from localtune.execution.cluster.replies import RawReply
from localtune.execution.cluster.storage_check import StoreFacts
from localtune.execution.executor import Exited, WorkerEvent
from localtune.trial.checkpoint_dirs import (
    is_checkpoint_name,
    note_recorded,
    remove_checkpoint,
    unrecorded_checkpoints,
)
from localtune.utils.files import STAGING_PREFIX, remove_tree
from localtune.utils.remote_fetch import (
    fetch_missing,
    store_of,
    with_retries,
    write_store_record,
)
from localtune.utils.remote_store import RemoteStore
from localtune.utils.remote_upload import upload_checkpoint
from localtune.utils.text import text_of
from localtune.worker import messages
from localtune.worker.host import failure_reply

# So many checkpoints are on their way at once. Most file systems bring the files of each in
# parallel.
_TRANSFERS = 4
# How often the upload of a checkpoint is tried, in about 8 s, before its trial fails.
_TRIES = 6
# Directory of the working copy.
_COPIES = "experiments"


@dataclass(slots=True, eq=False)
class _Tenant:
    """A worker.

    Attributes:
        worker_id: Its id.
        trial_dir: Directory of its trial on the node.
        start: Path of the checkpoint that it has started from; "" without one.
        is_asked: Whether its next reply may name files.
        is_stopping: Whether it gets no further command.
        waits: Whether an upload must end before its events go on.
        held: The events that wait for that.
    """

    worker_id: int
    trial_dir: str
    start: str = ""
    is_asked: bool = False
    is_stopping: bool = False
    waits: bool = False
    held: deque[WorkerEvent] = field(default_factory=deque)


class NodeStorage(NodeFiles):
    """Keeps a working copy for one agent.

    Args:
        facts: What the parent has told.
        directory: A directory of this agent alone; the working copy is made in it.
        wake: Called when :meth:`passed` or :meth:`ready_commands` have something new; any thread.
        warn: Called with a message for the user; any thread.

    Raises:
        OSError: if the working copy cannot be made.
    """

    def __init__(
        self,
        facts: StoreFacts,
        directory: str,
        wake: Callable[[], None],
        warn: Callable[[str], None],
    ) -> None:
        self._facts = facts
        self._wake = wake
        name = os.path.basename(facts.directory)
        self._copy = os.path.join(directory, _COPIES, name)
        os.makedirs(self._copy, 0o700)
        # Workers read it, too.
        write_store_record(self._copy, facts.record)
        store = store_of(self._copy)
        assert store is not None
        self._store = store
        self._tenants: dict[int, _Tenant] = {}
        self._whole: set[str] = set()  # paths of checkpoints here that the store has, too
        self._ready: list[tuple[int, messages.Command]] = []
        self._out: list[WorkerEvent] = []
        self._done: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._pool = ThreadPoolExecutor(_TRANSFERS, "localtune-node-transfer")
        self._uploads = FileUploads(
            self._store, self._copy, facts.period_s, artifacts=facts.artifacts, warn=warn
        )

    def close(self) -> None:
        self._uploads.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    # -- commands ---------------------------------------------------------------------------------

    def started(self, worker_id: int, command: messages.Construct) -> messages.Construct:
        command.assignment = self._assigned(command.assignment)
        trial_dir = command.assignment.storage.trial_dir
        try:
            self._prepare(trial_dir)
        except OSError as error:
            raise self._explained(error, "A trial's directory cannot be made") from error
        self._tenants[worker_id] = _Tenant(worker_id, trial_dir)
        return command

    def taken(self, worker_id: int, command: messages.Command) -> messages.Command | None:
        tenant = self._tenants.get(worker_id)
        if tenant is None:
            return command
        if isinstance(command, messages.Restore):
            return self._restored(tenant, command)
        if isinstance(command, messages.Reset):
            return self._reset(tenant, command)
        tenant.is_asked = isinstance(command, (messages.Save, messages.Export))
        return command

    def stopped(self, worker_id: int) -> None:
        tenant = self._tenants.get(worker_id)
        if tenant is not None:
            tenant.is_stopping = True

    def ready_commands(self) -> Sequence[tuple[int, messages.Command]]:
        ready, self._ready = self._ready, []
        return ready

    def _restored(self, tenant: _Tenant, command: messages.Restore) -> messages.Restore | None:
        path = command.path = self._to_node(command.path)
        tenant.start = path
        if path in self._whole or not self._is_own_checkpoint(path):
            return command

        def fetched(error: Exception | None) -> None:
            if error is None:
                self._whole.add(path)
                self._drop_old(os.path.dirname(path))
            if tenant.is_stopping or tenant.worker_id not in self._tenants:
                return
            if error is None:
                self._ready.append((tenant.worker_id, command))
            else:
                error = self._explained(error, "A checkpoint cannot be fetched")
                self._fail(tenant, "Restore", error)

        self._begin(lambda: fetch_missing(path), fetched)
        return None

    def _reset(self, tenant: _Tenant, command: messages.Reset) -> messages.Reset | None:
        command.assignment = self._assigned(command.assignment)
        self._uploads.forget(tenant.trial_dir)
        self._uploads.upload(tenant.trial_dir)
        tenant.trial_dir = command.assignment.storage.trial_dir
        tenant.start = ""
        try:
            self._prepare(tenant.trial_dir)
        except OSError as error:
            failure = self._explained(error, "A trial's directory cannot be made")
            self._fail(tenant, "Reset", failure)
            return None
        return command

    def _prepare(self, trial_dir: str) -> None:
        """Makes the directory of a trial, without what an earlier worker has left there."""
        os.makedirs(trial_dir, exist_ok=True)
        for name in unrecorded_checkpoints(trial_dir):
            remove_checkpoint(os.path.join(trial_dir, name))
        self._uploads.watch(trial_dir)

    # -- events -----------------------------------------------------------------------------------

    def passed(self, events: Sequence[WorkerEvent]) -> Sequence[WorkerEvent]:
        for event in events:
            self._take(event)
        while not self._done.empty():
            self._done.get()()
        out, self._out = self._out, []
        return out

    def _take(self, event: WorkerEvent) -> None:
        tenant = self._tenants.get(event.worker_id)
        if tenant is None:
            self._out.append(event)
        elif tenant.waits:
            tenant.held.append(event)
        elif isinstance(event, Exited):
            self._end(tenant, event)
        elif isinstance(event, RawReply) and tenant.is_asked:
            tenant.is_asked = False
            self._take_files(tenant, event)
        else:
            self._out.append(event)

    def _take_files(self, tenant: _Tenant, event: RawReply) -> None:
        """Takes in a reply that may name files."""
        reply = messages.read_reply(event.data)
        if isinstance(reply, messages.Saved) and reply.path is not None:
            path, reply.path = reply.path, self._to_parent(reply.path)
            event = RawReply(tenant.worker_id, messages.encode_reply(reply))
            if path not in self._whole and self._is_own_checkpoint(path):
                self._upload(tenant, path, event)
                return
        elif isinstance(reply, messages.Exported):
            paths = list(reply.paths.values())
            reply.paths = {name: self._to_parent(path) for name, path in reply.paths.items()}
            event = RawReply(tenant.worker_id, messages.encode_reply(reply))
            self._wait_for(
                tenant, self._uploads.upload(tenant.trial_dir, paths), "Export", "A model", event
            )
            return
        self._out.append(event)

    def _upload(self, tenant: _Tenant, path: str, event: RawReply) -> None:
        """Uploads a checkpoint, and lets the worker's events wait for that."""
        name = os.path.relpath(path, self._copy).replace(os.sep, "/")

        def upload() -> None:
            store = self._store
            with_retries(lambda: upload_checkpoint(store, name, path), store, tries=_TRIES)
            note_recorded(path)

        def uploaded(error: Exception | None) -> None:
            if error is None:
                self._whole.add(path)
                tenant.start = path
                self._drop_old(os.path.dirname(path))
            self._go_on(tenant, error, "Save", "A checkpoint", event)

        tenant.waits = True
        self._begin(upload, uploaded)

    def _wait_for(
        self, tenant: _Tenant, upload: Future[None], command: str, what: str, event: WorkerEvent
    ) -> None:
        """Lets the events of a worker wait for an upload that has begun."""
        tenant.waits = True
        self._call_after(upload, lambda error: self._go_on(tenant, error, command, what, event))

    def _go_on(
        self, tenant: _Tenant, error: Exception | None, command: str, what: str, event: WorkerEvent
    ) -> None:
        """Passes on the events that waited for an upload.

        Args:
            tenant: The worker.
            error: Why the upload has failed; None if it has not.
            command: Name of the command that it belongs to.
            what: What was uploaded, for the user.
            event: The worker's reply to the command.
        """
        tenant.waits = False
        if error is None:
            self._out.append(event)
        else:
            self._fail(tenant, command, self._explained(error, f"{what} cannot be uploaded"))
        while tenant.held and not tenant.waits:
            self._take(tenant.held.popleft())

    def _end(self, tenant: _Tenant, event: Exited) -> None:
        """Uploads the other files of a worker that has ended, before the parent hears of that."""

        def uploaded(error: Exception | None) -> None:
            del self._tenants[tenant.worker_id]
            self._out.append(event)

        tenant.waits = True
        self._uploads.forget(tenant.trial_dir)
        self._call_after(self._uploads.upload(tenant.trial_dir), uploaded)

    def _fail(self, tenant: _Tenant, command: str, error: Exception) -> None:
        reply = failure_reply(command, error)
        self._out.append(RawReply(tenant.worker_id, messages.encode_reply(reply)))
        self._wake()

    # -- transfers --------------------------------------------------------------------------------

    def _begin(self, do: Callable[[], object], then: Callable[[Exception | None], None]) -> None:
        """Calls ``do()`` in the pool, then ``then(its error or None)`` in the agent's thread."""
        self._call_after(self._pool.submit(do), then)

    def _call_after(self, future: Future[Any], then: Callable[[Exception | None], None]) -> None:
        def done(future: Future[Any]) -> None:
            if not future.cancelled():
                error = future.exception()
                assert error is None or isinstance(error, Exception)
                self._done.put(lambda: then(error))
                self._wake()

        future.add_done_callback(done)

    def _drop_old(self, trial_dir: str) -> None:
        """Removes the checkpoints of a trial from this node that are in the store, but the latest.

        A checkpoint stays while a worker may read it.
        """
        here = [path for path in self._whole if os.path.dirname(path) == trial_dir]
        needed = {tenant.start for tenant in self._tenants.values()}
        for path in sorted(here, key=lambda each: (len(each), each))[:-1]:
            if path in needed:
                continue
            self._whole.discard(path)
            aside = os.path.join(trial_dir, f"{STAGING_PREFIX}dropped_{os.urandom(4).hex()}")
            try:
                os.rename(path, aside)
            except OSError:
                continue  # User code has removed it.
            self._pool.submit(remove_tree, aside)

    # -- paths ------------------------------------------------------------------------------------

    def _assigned(self, assignment: messages.Assignment) -> messages.Assignment:
        """Brings an assignment to this node."""
        for place in (assignment.trial, assignment.storage):
            place.trial_dir = self._to_node(place.trial_dir)
            place.experiment_dir = self._to_node(place.experiment_dir)
        return assignment

    def _to_node(self, path: str) -> str:
        return _moved(path, self._facts.directory, self._copy)

    def _to_parent(self, path: str) -> str:
        return _moved(path, self._copy, self._facts.directory)

    def _is_own_checkpoint(self, path: str) -> bool:
        trial_dir, name = os.path.split(path)
        return os.path.dirname(trial_dir) == self._copy and is_checkpoint_name(name)

    def _explained(self, error: Exception, what: str) -> StorageError:
        problem = StorageError(f"{what} on the node {self._facts.node}. {text_of(error)}")
        problem.__cause__ = error
        return problem


def check_store(facts: StoreFacts) -> None:
    """Checks that this node reaches the parent's store, and may write there.

    Args:
        facts: What the parent has told.

    Raises:
        StorageError: if not.
    """
    # No file is made, which an agent that is ended meanwhile would leave.
    root, filesystem = pickle.loads(facts.record)
    store = RemoteStore(filesystem, root)
    token = facts.token
    if with_retries(lambda: store.read(token), store) != facts.content:
        raise StorageError(f"{store.uri}/{token} has another content there, or is missing")
    answer = f"{token}_{os.urandom(4).hex()}"
    with_retries(lambda: store.write(answer, b""), store)
    store.remove(answer)


def _moved(path: str, source: str, target: str) -> str:
    """Returns a path below ``source`` as the one below ``target``; any other path as it is."""
    if path == source or path.startswith(source + os.sep):
        return target + path[len(source) :]
    return path
