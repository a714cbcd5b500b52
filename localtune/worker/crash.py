"""The Python stack that a worker leaves when native code crashes."""

from __future__ import annotations

import contextlib
import os

_MAX_BYTES = 64 * 1024
_CRASHED_THREAD = "Current thread "
_PACKAGE_DIR = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# What calls user code; elsewhere in the package there is code that trials run, such as examples.
_CALLERS = tuple(
    f'  File "{os.path.join(_PACKAGE_DIR, name)}{os.sep}'
    for name in ("worker", "trainable", "execution")
)
_OWN_FRAMES = (*_CALLERS, '  File "<string>"')


def write_crashes_to(private_dir: str, worker_id: int) -> str:
    """Lets a fatal signal leave the Python stack in a file.

    Returns:
        Its path; "" where it cannot be made, and the stack goes to the standard error.
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
    """What a worker has left in its file, which is removed; "" if it ended well."""
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
    """The stack of the thread that crashed before those of others, without localtune's own part."""
    head, *stacks = text.split("\n\n")
    for index, stack in enumerate(stacks):
        if stack.startswith(_CRASHED_THREAD):
            lines = stack.rstrip().splitlines()
            while lines[-1].startswith(_OWN_FRAMES):
                lines.pop()
            return "\n\n".join([head, "\n".join(lines), *stacks[:index], *stacks[index + 1 :]])
    return text
