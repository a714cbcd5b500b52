"""Starts fresh interpreters that import the package from the parent's path."""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # A template loads this module, and starts an interpreter only if it is not warm.
    import subprocess

# A namespace of its own keeps the __main__ of the new process free for names of the user. Modules
# come from the parent's path, and never from the directory that `-c` puts first. Imports make
# objects that stay, in which the collector would look for garbage again and again.
_BOOTSTRAP = """
import sys
sys.path[:] = [entry for entry in sys.path if entry]
import gc
import pickle
gc.disable()
with open({path!r}, "rb") as file:
    settings = pickle.load(file)
sys.path[:] = [*settings["sys_path"], {home!r}]
from {module} import {function}
gc.enable()
{function}({number}, settings)
"""


def bootstrap(entry: str, number: int, settings: dict[str, Any]) -> str:
    """Returns code that calls a function with a descriptor and settings.

    Args:
        entry: The function, as "module:function".
        number: Descriptor (handle on Windows), its first argument.
        settings: Its second argument; must hold ``private_dir`` and ``sys_path``.
    """
    import tempfile

    # They may be larger than a command line or a packet: sys.argv can name thousands of files.
    fd, path = tempfile.mkstemp(prefix="settings-", dir=settings["private_dir"])
    with open(fd, "wb") as file:
        pickle.dump(settings, file)
    # The package may be importable only through the parent's original sys.path.
    home = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    module, function = entry.split(":")
    code = _BOOTSTRAP.format(path=path, home=home, module=module, function=function, number=number)
    return f"exec({code!r}, {{}})"


def command_line(code: str) -> list[str]:
    """Returns the command line of a fresh interpreter like this one that runs ``code``."""
    import subprocess

    flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    return [sys.executable, *flags, "-c", code]


def popen(
    code: str,
    environment: Mapping[str, str],
    outputs: tuple[int, int] | None = None,
    **options: Any,
) -> subprocess.Popen[bytes]:
    """Starts an interpreter that runs ``code``, in a session of its own unless told otherwise.

    Args:
        code: The code that :func:`bootstrap` returned.
        environment: Variables on top of this process's.
        outputs: Descriptors for its output and its errors; None is this process's own.
        **options: For ``subprocess.Popen``.

    Raises:
        OSError: if the operating system refuses.
    """
    import subprocess

    if sys.platform != "win32":
        options.setdefault("start_new_session", True)
    # Workers do not read from the keyboard, and the parent's input may be its script.
    options.setdefault("stdin", subprocess.DEVNULL)
    if outputs is not None:
        options["stdout"], options["stderr"] = outputs
    return subprocess.Popen(command_line(code), env={**os.environ, **environment}, **options)


def popen_with_pipe(
    code: str,
    environment: Mapping[str, str],
    number: int,
    outputs: tuple[int, int] | None = None,
    *,
    own_group: bool = True,
    kept_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Starts an interpreter that inherits a descriptor.

    Args:
        code: See :func:`popen`.
        environment: See :func:`popen`.
        number: The descriptor; a handle on Windows.
        outputs: See :func:`popen`.
        own_group: Whether it leads a process group; without effect on Windows.
        kept_fds: Descriptors that it inherits, too, and keeps open; not on Windows.

    Raises:
        OSError: if the operating system refuses.
    """
    if sys.platform == "win32":
        import subprocess

        os.set_handle_inheritable(number, True)
        startup = subprocess.STARTUPINFO(lpAttributeList={"handle_list": [number]})
        return popen(code, environment, startupinfo=startup)
    fds = (number, *kept_fds)
    return popen(code, environment, outputs, pass_fds=fds, start_new_session=own_group)
