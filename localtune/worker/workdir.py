"""The surroundings of a trial: working directory, output files, environment variables."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping

from localtune.utils.files import current_directory, no_link

CHDIR_VARIABLE = "RAY_CHDIR_TO_TRIAL_DIR"
ORIGINAL_DIR_VARIABLE = "TUNE_ORIG_WORKING_DIR"


def wants_trial_dir(environ: Mapping[str, str]) -> bool:
    """Returns whether workers change into the trial's directory.

    Raises:
        ValueError: if the variable that decides it is no whole number.
    """
    text = environ.get(CHDIR_VARIABLE, "1")
    try:
        return bool(int(text))
    except ValueError:
        raise ValueError(
            f"{CHDIR_VARIABLE} must be 1 (work in the trial's directory) or 0 (stay in the "
            f"original one), but is {text!r}."
        ) from None


class Surroundings:
    """Gives a process the surroundings of a trial, and takes them back.

    File descriptors are redirected, so that the output of C code and of subprocesses goes to the
    files, too.

    Args:
        trial_dir: Directory of the trial; must exist.
        output_files: (stdout file, stderr file), relative to ``trial_dir``; None leaves one alone.
        environment: Variables to set; None unsets one.
    """

    def __init__(
        self,
        trial_dir: str,
        output_files: tuple[str | None, str | None] = (None, None),
        environment: Mapping[str, str | None] | None = None,
    ) -> None:
        self._trial_dir = trial_dir
        self._output_files = output_files
        self._environment = dict(environment or {})
        self._saved_dir: str | int | None = None
        self._saved_fds: list[tuple[int, int]] = []
        self._saved_environ: dict[str, str | None] = {}

    def enter(self) -> None:
        """Changes directory, output and environment; all of them or, if it fails, nothing.

        Raises:
            OSError: if the directory or an output file cannot be opened.
            ValueError: if the variable that decides about the directory is no whole number.
        """
        try:
            self._enter()
        except BaseException:
            self.leave()
            raise

    def _enter(self) -> None:
        environment = dict(self._environment)
        here = current_directory()
        if ORIGINAL_DIR_VARIABLE not in os.environ and here is not None:
            environment[ORIGINAL_DIR_VARIABLE] = here
        self._saved_environ = _set_variables(environment)
        if wants_trial_dir(os.environ):
            # A removed directory has no path, but its descriptor leads back to it.
            before = here if here is not None else os.open(".", os.O_RDONLY)
            try:
                os.chdir(self._trial_dir)
            except BaseException:
                _close(before)
                raise
            self._saved_dir = before
        self._redirect()

    def leave(self) -> None:
        """Undoes :meth:`enter`."""
        flush_output()
        for fd, saved in self._saved_fds:
            os.dup2(saved, fd)
            os.close(saved)
        self._saved_fds = []
        _set_variables(self._saved_environ)
        self._saved_environ = {}
        if self._saved_dir is not None:
            saved_dir, self._saved_dir = self._saved_dir, None
            try:
                os.chdir(saved_dir)
            finally:
                _close(saved_dir)

    def _redirect(self) -> None:
        if not any(self._output_files):
            return
        flush_output()
        for fd, name in zip((1, 2), self._output_files, strict=True):
            if not name:
                continue
            path = os.path.join(self._trial_dir, os.path.expanduser(name))
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            # The user may name a link elsewhere, such as /dev/stderr.
            is_own = os.path.dirname(path) == self._trial_dir
            target = no_link(path, flags) if is_own else os.open(path, flags | _CLOEXEC, 0o666)
            try:
                self._saved_fds.append((fd, os.dup(fd)))
                os.dup2(target, fd)
            finally:
                os.close(target)


_CLOEXEC = getattr(os, "O_CLOEXEC", 0)


def _close(directory: str | int) -> None:
    if isinstance(directory, int):
        os.close(directory)


def _set_variables(variables: Mapping[str, str | None]) -> dict[str, str | None]:
    """Sets environment variables, or unsets them with None; returns their earlier values."""
    before: dict[str, str | None] = {}
    for name, value in variables.items():
        before[name] = os.environ.get(name)
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    return before


def flush_output() -> None:
    """Flushes Python's buffers of stdout and stderr."""
    for stream in (sys.stdout, sys.stderr):
        # User code may have closed or replaced a stream.
        with contextlib.suppress(AttributeError, ValueError, OSError):
            stream.flush()


def explain_missing_file(error: BaseException) -> str:
    """Returns advice on a relative path that exists in the original working directory only.

    Args:
        error: An exception of user code; its causes are examined, too.

    Returns:
        The advice, or "" if this is another problem.
    """
    original_dir = os.environ.get(ORIGINAL_DIR_VARIABLE)
    if not original_dir:
        return ""
    for each in _chain(error):
        if not isinstance(each, FileNotFoundError):
            continue
        name = each.filename
        if isinstance(name, bytes):
            name = os.fsdecode(name)
        if not isinstance(name, str) or os.path.isabs(name):
            continue
        original = os.path.join(original_dir, name)
        if os.path.exists(original):
            return (
                f"The relative path {name!r} exists in the directory that the run was started "
                f"from ({original_dir}), but each trial works in a directory of its own "
                f"({os.getcwd()}). Three remedies: use the absolute path {original!r}; build it "
                f'from os.environ["{ORIGINAL_DIR_VARIABLE}"]; or set the environment variable '
                f"{CHDIR_VARIABLE}=0 to keep all trials in the original directory."
            )
    return ""


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
