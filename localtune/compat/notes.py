"""Notes on old names: one for each name, in all processes of a run together."""

from __future__ import annotations

import atexit
import os

from localtune.old_names.table import OLD_NAMES
from localtune.utils.messages import say
from localtune.utils.private_dir import PrivateDir


class Notes:
    """Shows what to write instead of old names.

    The process that creates the file of a note shows it; a file holds no text.

    Args:
        directory: Directory for the files; if it is gone, no note is shown. None: this process
            shares its notes with no other.

    Attributes:
        directory: The argument; it can be changed.
    """

    def __init__(self, directory: str | None = None) -> None:
        self.directory = directory
        self._seen: set[str] = set()

    def show(self, name: str) -> None:
        """Shows the note on an old name, unless a process has shown it.

        Args:
            name: Name in the table of old names.
        """
        if name in self._seen:
            return
        self._seen.add(name)
        if self.directory is not None and not _is_first(self.directory, name):
            return
        say(f"localtune.compat: {OLD_NAMES[name].advice()}")


def new_directory() -> str:
    """Returns a directory for notes, which is removed when this process has ended in any way."""
    directory = PrivateDir()
    atexit.register(_remove, directory, os.getpid())
    return directory.path


def _is_first(directory: str, name: str) -> bool:
    index = list(OLD_NAMES).index(name)
    try:
        os.close(os.open(os.path.join(directory, str(index)), os.O_CREAT | os.O_EXCL))
    except OSError:
        return False
    return True


def _remove(directory: PrivateDir, pid: int) -> None:
    if os.getpid() == pid:
        directory.remove()
