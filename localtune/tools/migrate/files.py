"""Finds the scripts that a command line names, reads them, and writes them back."""

from __future__ import annotations

import codecs
import io
import os
import stat
import sys
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from localtune.error import UsageError
from localtune.utils.files import write_file

STDIN = "-"
_SUFFIXES = (".py", ".ipynb")
# What a script that has to change contains.
_WORDS = (b"ray", b"localtune")
# A directory with this file is a virtual environment.
_OF_ENVIRONMENT = "pyvenv.cfg"
_SKIPPED = {"__pycache__", "node_modules", "site-packages"}


class UnreadableError(UsageError):
    """Reports a file that is no script that can be read."""


@dataclass(frozen=True)
class ScriptFile:
    """A file, as it was read.

    Attributes:
        path: Path of the file, or ``-``.
        text: Its text, with the newlines that it has.
        encoding: Its encoding.
        mode: Its permissions.
    """

    path: str
    text: str
    encoding: str
    mode: int

    @property
    def is_notebook(self) -> bool:
        """Whether it is a notebook."""
        return self.path.endswith(".ipynb")


def find(paths: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """Yields the scripts that some paths name, and whether each was named itself.

    Args:
        paths: Files, directories, or ``-``. In a directory, only files that mention Ray or
            localtune are found; not those in hidden directories and in virtual environments.

    Raises:
        UsageError: for a path that does not exist, or that is no script.
    """
    for path in paths:
        if path == STDIN:
            yield path, True
        elif os.path.isdir(path):
            yield from ((each, False) for each in _below(path))
        elif not os.path.exists(path):
            raise UsageError(f"there is no file {path!r}.")
        elif not path.endswith(_SUFFIXES) and not _is_python(path):
            raise UsageError(f"{path!r} is neither a script (.py) nor a notebook (.ipynb).")
        else:
            yield path, True


def _below(directory: str) -> Iterator[str]:
    for parent, directories, files in os.walk(directory):
        directories[:] = sorted(
            each
            for each in directories
            if not each.startswith(".")
            and each not in _SKIPPED
            and not os.path.exists(os.path.join(parent, each, _OF_ENVIRONMENT))
        )
        for each in sorted(files):
            path = os.path.join(parent, each)
            if each.endswith(_SUFFIXES) and os.path.isfile(path) and _mentions_ray(path):
                yield path


def _mentions_ray(path: str) -> bool:
    with open(path, "rb") as file:
        content = file.read()
    return any(each in content for each in _WORDS)


def _is_python(path: str) -> bool:
    """Whether a file without a suffix begins as a script for Python does."""
    if not os.path.isfile(path):
        return False
    with open(path, "rb") as file:
        first = file.readline(200)
    return first.startswith(b"#!") and b"python" in first


def read(path: str) -> ScriptFile:
    """Reads a script.

    Args:
        path: Path of the file; ``-`` is the standard input.

    Raises:
        UnreadableError: for a file that is no text in the encoding that it declares.
        OSError: for a file that cannot be read.
    """
    if path == STDIN:
        content, mode = sys.stdin.buffer.read(), 0o666
    else:
        with open(path, "rb") as file:
            content, mode = file.read(), stat.S_IMODE(os.fstat(file.fileno()).st_mode)
    if b"\0" in content:
        raise UnreadableError(f"{path!r} is no script: it has null characters.")
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        if path.endswith(".ipynb"):
            encoding = "utf-8-sig" if content.startswith(codecs.BOM_UTF8) else "utf-8"
        return ScriptFile(path, content.decode(encoding), encoding, mode)
    except (SyntaxError, LookupError, UnicodeDecodeError) as error:
        raise UnreadableError(
            f"{path!r} is no text in the encoding that it declares ({error}). A script that "
            "declares none in its first two lines must be in UTF-8."
        ) from error


def check_writable(file: ScriptFile) -> None:
    """Checks that a file can be replaced.

    Args:
        file: The file.

    Raises:
        UsageError: for the standard input, and for a file that is not writable.
    """
    if file.path == STDIN:
        raise UsageError("--write needs a file: the standard input cannot be changed.")
    target = os.path.realpath(file.path)
    # A superuser may write everything, so the permissions are asked, too.
    is_writable = file.mode & 0o222 and os.access(target, os.W_OK)
    if not is_writable or not os.access(os.path.dirname(target), os.W_OK):
        raise UsageError(f"{file.path!r} is not writable. No file has been changed.")


def write(file: ScriptFile, text: str) -> None:
    """Replaces a file; a link stays, and its target changes.

    Args:
        file: The file, as it was read.
        text: The new text.
    """
    write_file(os.path.realpath(file.path), text.encode(file.encoding), mode=file.mode)
