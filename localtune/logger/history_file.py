"""HistoryFile: a file that holds the results of a trial, one after the other.

::

    start ---> brought to the record    append, append, ... ---> end: brought to the record,
               of the trial                                      if it is not what it should be

The record is in the experiment's database. Lines that are missing or damaged in the file are
written again from there. User code works in the same directory, so the file and its size are
checked before each result. If another file is there, it is set aside, and the history goes on in a
new file. If user code replaces the file a second time, its file stays until the trial ends. Then
the history replaces it.
"""

from __future__ import annotations

import itertools
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

from localtune.logger.append_file import AppendFile, OpenFiles
from localtune.trial.own_files import set_foreign_aside
from localtune.utils.files import write_file

# Called for the results on record, oldest first, each with its config.
History: TypeAlias = "Callable[[], Iterable[dict[str, Any]]]"

# (device, inode, size) of a file: they tell it from others, and whether bytes were added.
_Look: TypeAlias = "tuple[int, int, int]"


class HistoryFile:
    """The file of one trial. Subclasses say what is in it.

    Args:
        path: The file.
        trial_id: Id of the trial.
        history: The results on record.
        open_files: Keeps descriptors, of not too many files at once.

    Attributes:
        path: The file.
    """

    def __init__(
        self, path: str, trial_id: str, history: History, open_files: OpenFiles[AppendFile]
    ) -> None:
        self.path = path
        self._trial_id = trial_id
        self._history = history
        self._open = open_files
        self._look: _Look | None = None  # as it was written last; None if that is not known
        self._count = 0  # of the results in it
        self._number = 0  # of the latest result, whether it is in there or not
        self._was_lost = False
        self._is_given_up = False

    #: Whether there is an empty file before there is a result.
    exists_from_start = False

    # -- what is in it ----------------------------------------------------------------------------

    def _is_own(self) -> bool:
        """Whether all that the file holds can be of the trial."""
        raise NotImplementedError

    def _whole(self, results: Callable[[], Iterator[dict[str, Any]]]) -> Iterator[str]:
        """The pieces of a file that holds these results."""
        raise NotImplementedError

    def _addition(self, result: dict[str, Any]) -> str | None:
        """Returns the text that a result adds to the file, None if it needs a new file first."""
        raise NotImplementedError

    def _forget(self) -> None:
        """Forgets the results that were added so far."""

    def _is_complete(self) -> bool:
        """Whether the file holds all of the results that were added to it."""
        return True

    # -- its life ---------------------------------------------------------------------------------

    def start(self, count: int) -> None:
        """Brings the file to the first results on record.

        Args:
            count: How many.

        Raises:
            OSError: if a file cannot be written.
        """
        self._was_lost = False
        self._number = count
        if self.exists_from_start and self._is_created(count):
            return
        found = self._found()
        is_right = self._look is not None and self._look == found and self._count == count
        is_wanted = count > 0 or found is not None or self.exists_from_start
        if is_wanted and (not is_right or self._is_given_up):
            self._forget()
            self._write(count)
        self._is_given_up = False

    def append(self, result: dict[str, Any], number: int) -> None:
        """Adds a result.

        Args:
            result: The result, with its config.
            number: Its number in the history, from 1.

        Raises:
            OSError: if a file cannot be written.
        """
        self._number = number
        if self._is_given_up:
            return
        if self._look is None or self._look != self._found():
            if self._was_lost:
                # User code replaces the file again and again: no further try.
                self._is_given_up = True
                self.close()
                return
            self._was_lost = self._look is not None
            self._write(number - 1)
        text = self._addition(result)
        if text is None:
            self._write(number - 1)
            text = self._addition(result)
            assert text is not None
        assert self._look is not None
        device, inode, size = self._look
        # If the file cannot be written, how much of the text it holds is not known.
        self._look = None
        size += self._open.get(self.path).append(text)
        self._look = (device, inode, size)
        self._count += 1

    def finish(self) -> None:
        """Brings the file to the record if it is not what it should be, and closes it.

        Raises:
            OSError: if a file cannot be written.
        """
        if self._look is not None:
            is_right = self._look == self._found()
            if not is_right or self._is_given_up or not self._is_complete():
                self._write(self._number)
        self.close()

    def close(self) -> None:
        """Gives the descriptor back."""
        self._open.close(self.path)

    def _write(self, count: int) -> None:
        """Writes the file anew; what is there and not localtune's is set aside."""
        if self._is_created(count):
            return
        found = self._found()
        is_known = self._look is not None and found == self._look
        if not is_known and not (self._look is None and self._can_be_own()):
            set_foreign_aside(self.path)
        self.close()
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        pieces = self._whole(lambda: itertools.islice(iter(self._history()), count))
        write_file(self.path, (_encoded(piece) for piece in pieces), sync=False)
        self._look = self._found()
        self._count = count

    def _is_created(self, count: int) -> bool:
        """Creates the file of a trial without results on record, in the usual case: a new trial.

        Returns:
            Whether it did. If not, what is at the path must be judged first.
        """
        if count or self._look is not None:
            return False
        self.close()
        try:
            file = self._open.open(self.path, _new_file)
        except (FileExistsError, FileNotFoundError):  # Perhaps there is no directory any more.
            return False
        for piece in self._whole(lambda: iter(())):
            file.append(piece)
        found = os.fstat(file.fileno())
        self._look = found.st_dev, found.st_ino, found.st_size
        self._count = 0
        return True

    def _can_be_own(self) -> bool:
        try:
            return stat.S_ISREG(os.lstat(self.path).st_mode) and self._is_own()
        except FileNotFoundError:
            return True

    def _found(self) -> _Look | None:
        try:
            found = os.lstat(self.path)
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_size


def _new_file(path: str) -> AppendFile:
    return AppendFile(path, is_new=True)


def _encoded(text: str) -> bytes:
    # A file may hold text that UTF-8 cannot, half a surrogate pair for instance.
    return text.encode("utf-8", "backslashreplace")
