"""FileUploads: brings the files of trials on a node to the store, except for their checkpoints.

::

      started(trial)  -->  watched: uploaded every period
      ended(trial)    -->  uploaded once more; the worker's end is told after that

The parent writes histories, and uploads them itself.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from localtune.trial.uploaded_files import uploaded_files
from localtune.utils.remote_fetch import with_retries
from localtune.utils.remote_store import RemoteStore
from localtune.utils.remote_upload import Fingerprint, upload_changed
from localtune.utils.text import text_of

_SHORTEST_PERIOD_S = 0.5
# Files may vanish between listing and upload.
_LISTINGS = 3


class FileUploads:
    """Uploads files in a thread of its own, one trial after the other.

    Args:
        store: The experiment's place in the store.
        copy: The working copy.
        period_s: Seconds between two uploads while a trial runs.
        artifacts: Whether all files are uploaded.
        warn: Called with a message for the user, in the thread.
    """

    def __init__(
        self,
        store: RemoteStore,
        copy: str,
        period_s: float,
        *,
        artifacts: bool,
        warn: Callable[[str], None],
    ) -> None:
        self._store = store
        self._copy = copy
        self._period_s = max(period_s, _SHORTEST_PERIOD_S)
        self._artifacts = artifacts
        self._warn = warn
        self._known: dict[str, Fingerprint] = {}
        self._watched: set[str] = set()
        self._pending: dict[str, Future[None]] = {}  # the latest upload of each watched trial
        self._told: set[str] = set()  # trials whose files could not be uploaded the last time
        self._closing = threading.Event()
        self._thread = ThreadPoolExecutor(1, "localtune-node-files")
        self._clock = threading.Thread(
            target=self._tick, daemon=True, name="localtune-node-files-clock"
        )
        self._clock.start()

    def watch(self, trial_dir: str) -> None:
        """Begins to upload the files of a trial now and then."""
        self._watched.add(trial_dir)

    def forget(self, trial_dir: str) -> None:
        """Ends that."""
        self._watched.discard(trial_dir)
        self._pending.pop(trial_dir, None)

    def upload(self, trial_dir: str, exported: Iterable[str] = ()) -> Future[None]:
        """Uploads the files of a trial soon.

        Args:
            trial_dir: Its directory on the node.
            exported: Paths of files and directories that are uploaded in any case. Those outside
                of the trial's directory are left out.

        Returns:
            Is done when the files are in the store. Has an error only for those of ``exported``.
        """
        return self._thread.submit(self._upload, trial_dir, list(exported))

    def close(self) -> None:
        """Ends the thread after the upload in progress, and does not wait for it."""
        self._closing.set()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _tick(self) -> None:
        while not self._closing.wait(self._period_s):
            for trial_dir in list(self._watched):
                before = self._pending.get(trial_dir)
                if before is None or before.done():
                    self._pending[trial_dir] = self.upload(trial_dir)

    def _upload(self, trial_dir: str, exported: list[str]) -> None:
        if exported:
            self._put(lambda: _exported_files(trial_dir, exported), trial_dir)
        try:
            self._put(
                lambda: uploaded_files(trial_dir, histories=False, artifacts=self._artifacts),
                trial_dir,
            )
        # The errors of the stores' libraries have no common class.
        except Exception as error:
            if trial_dir not in self._told:
                self._told.add(trial_dir)
                self._warn(
                    f"files of {os.path.basename(trial_dir)} are not in {self._store.uri} "
                    f"({text_of(error)}). The next upload tries again; what is missing when the "
                    "trial ends is lost."
                )
        else:
            self._told.discard(trial_dir)

    def _put(self, listed: Callable[[], Iterable[str]], trial_dir: str) -> None:
        dirname = os.path.basename(trial_dir)
        for left in reversed(range(_LISTINGS)):
            try:
                with_retries(
                    lambda: upload_changed(
                        self._store,
                        self._copy,
                        (f"{dirname}/{name}" for name in listed()),
                        self._known,
                    ),
                    self._store,
                )
                return
            except FileNotFoundError:
                if not left:
                    raise


def _exported_files(trial_dir: str, paths: Iterable[str]) -> Iterator[str]:
    """Yields the names of exported files in a trial's directory."""
    for path in paths:
        path = os.path.abspath(os.path.join(trial_dir, path))
        if path == trial_dir:
            yield from uploaded_files(trial_dir, histories=False, artifacts=True)
        elif path.startswith(trial_dir + os.sep):
            for file in _files_at(path):
                yield os.path.relpath(file, trial_dir).replace(os.sep, "/")


def _files_at(path: str) -> Iterator[str]:
    if os.path.isfile(path):
        yield path
    for directory, _, names in os.walk(path):
        for name in names:
            yield os.path.join(directory, name)
