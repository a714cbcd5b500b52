"""The Python stack that a worker leaves when native code crashes."""

from __future__ import annotations

import contextlib
import os

_MAX_BYTES = 64 * 1024
_CRASHED_THREAD = "Current thread "
_PACKAGE_DIR = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# These packages call user code. Others hold code that trials run, for example the examples.
_CALLERS = tuple(
    f'  File "{os.path.join(_PACKAGE_DIR, name)}{os.sep}'
    for name in ("worker", "trainable", "execution")
)
_OWN_FRAMES = (*_CALLERS, '  File "<string>"')


def write_crashes_to(private_dir: str, worker_id: int) -> str:
    """Has Python write its stack to a file when a fatal signal ends this process.

    Args:
        private_dir: Directory of the file.
        worker_id: The worker that this process is.

    Returns:
        Path of the file; "" if it cannot be made. Then the stack goes to the standard error.
    """
    import faulthandler

    path = _crash_path(private_dir, worker_id)
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError:
        faulthandler.enable()
        return ""
    faulthandler.enable(fd)
    return path


def take_crash(private_dir: str, worker_id: int, exit_code: int | None) -> str:
    """Returns the stack that a worker has written when it crashed, and removes the file.

    Args:
        private_dir: Directory of the file.
        worker_id: A worker that has ended.
        exit_code: Its exit code; None is not known.

    Returns:
        The stack; "" if the worker ended well or wrote none.
    """
    path = _crash_path(private_dir, worker_id)
    text = ""
    with contextlib.suppress(OSError):
        if exit_code:
            with open(path, encoding="utf-8", errors="replace") as file:
                text = file.read(_MAX_BYTES)
        os.unlink(path)
    return _crashed_first(text)


def _crash_path(private_dir: str, worker_id: int) -> str:
    return os.path.join(private_dir, f"crash-{worker_id}")


def _crashed_first(text: str) -> str:
    """Puts the stack of the crashed thread first, and removes localtune's own frames from it."""
    head, *stacks = text.split("\n\n")
    for index, stack in enumerate(stacks):
        if stack.startswith(_CRASHED_THREAD):
            lines = stack.rstrip().splitlines()
            while lines[-1].startswith(_OWN_FRAMES):
                lines.pop()
            return "\n\n".join([head, "\n".join(lines), *stacks[:index], *stacks[index + 1 :]])
    return text
