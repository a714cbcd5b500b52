"""Stores for tests: a directory behind fsspec that can be made to fail."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

from fsspec.implementations.local import LocalFileSystem

from localtune.utils.remote_store import RemoteStore


class Faults:
    """The faults of a :class:`FaultyFileSystem`, and the calls that it has got.

    Attributes:
        refuse: Whether every request fails.
        break_at: Name of a file whose upload fails half-way, None for none.
        calls: Names of the files that were uploaded, in order.
        hold: Uploads wait for this to be set.
        hold_gets: Downloads do.
        waiting: Is set when an upload, or a download, waits.
        refused: Is set when a request has been refused.
        gets: How often files were asked for.
        failing_gets: How many more of that fail.
    """

    def __init__(self) -> None:
        self.refuse = False
        self.break_at: str | None = None
        self.calls: list[str] = []
        self.hold = threading.Event()
        self.hold.set()
        self.hold_gets = threading.Event()
        self.hold_gets.set()
        self.waiting = threading.Event()
        self.refused = threading.Event()
        self.gets = 0
        self.failing_gets = 0


_faults: dict[str, Faults] = {}


class FaultyFileSystem(LocalFileSystem):  # type: ignore[misc]
    """Absolute paths of this machine, reached by requests that fail as :class:`Faults` say.

    Args:
        name: Whose faults.
    """

    protocol = ("faulty",)
    cachable = False

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(**options)
        self.faults = _faults.setdefault(name, Faults())

    def _check(self) -> None:
        if self.faults.refuse:
            self.faults.refused.set()
            raise ConnectionRefusedError("nobody is there")

    def put(self, lpath: list[str], rpath: list[str], **options: Any) -> None:
        for source, target in zip(lpath, rpath, strict=True):
            if not self.faults.hold.is_set():
                self.faults.waiting.set()
                self.faults.hold.wait()
            self._check()
            if self.faults.break_at and target.endswith(self.faults.break_at):
                Path(target).write_bytes(Path(source).read_bytes()[:1])
                raise TimeoutError("the line broke")
            self.faults.calls.append(target)
            super().put_file(source, target)

    def get(self, rpath: list[str], lpath: list[str], **options: Any) -> None:
        self._check()
        if not self.faults.hold_gets.is_set():
            self.faults.waiting.set()
            self.faults.hold_gets.wait()
        self.faults.gets += 1
        if self.faults.failing_gets:
            self.faults.failing_gets -= 1
            Path(lpath[0]).write_bytes(b"")
            raise TimeoutError("the line broke")
        super().get(rpath, lpath, **options)

    def pipe_file(self, path: str, value: bytes, **options: Any) -> None:
        self._check()
        self.faults.calls.append(path)
        super().pipe_file(path, value, **options)

    def cat_file(self, path: str, **options: Any) -> Any:
        self._check()
        return super().cat_file(path, **options)

    def find(self, path: str, **options: Any) -> Any:
        self._check()
        return super().find(path, **options)


class LoggingFileSystem(FaultyFileSystem):
    """Writes into a file which process has asked for which file, from all processes.

    Args:
        name: Whose faults; the log is ``<name>.log``.
    """

    def get(self, rpath: list[str], lpath: list[str], **options: Any) -> None:
        with open(f"{self.storage_args[0]}.log", "a", encoding="utf-8") as log:
            log.writelines(f"{os.getpid()} {path}\n" for path in rpath)
        super().get(rpath, lpath, **options)


def logging_store(directory: Path) -> tuple[RemoteStore, Path]:
    """A store in a local directory, and a file with a line for each download from it."""
    directory.mkdir(exist_ok=True)
    filesystem = LoggingFileSystem(os.fspath(directory))
    return RemoteStore(filesystem, os.fspath(directory / "sweeps")), Path(f"{directory}.log")


def faulty_store(directory: Path) -> tuple[RemoteStore, Faults]:
    """A store in a local directory, and what goes wrong with it."""
    directory.mkdir(exist_ok=True)
    filesystem = FaultyFileSystem(os.fspath(directory))
    return RemoteStore(filesystem, os.fspath(directory / "sweeps")), filesystem.faults
