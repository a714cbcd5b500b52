"""Runs a script or a module as ``__main__``, with the shim installed."""

from __future__ import annotations

import io
import os
import runpy
import sys
from typing import Any, NoReturn

from localtune.compat.install import install
from localtune.utils.messages import say

_USAGE = "usage: python -m localtune.compat [-m MODULE | SCRIPT] [ARGS...]"


def main() -> None:
    """Runs what the command line names; the command's own arguments are removed from it."""
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help"):
        (say if not arguments else print)(f"{_USAGE}\n\nRuns a script of Ray Tune unchanged.")
        sys.exit(2 if not arguments else 0)
    if arguments[0] == "-m":
        if len(arguments) < 2:
            _refuse(f"-m needs the name of a module.\n{_USAGE}")
        sys.argv[:] = arguments[1:]
        install()
        runpy._run_module_as_main(arguments[1])  # type: ignore[attr-defined]
        return
    sys.argv[:] = arguments
    code = _compiled(arguments[0])
    sys.path[0] = os.path.dirname(os.path.abspath(arguments[0]))
    install()
    run_as_main(code, arguments[0])


def run_as_main(code: Any, path: str) -> None:
    """Executes code in the module ``__main__``, as ``python PATH`` does.

    Args:
        code: Compiled code of the script.
        path: File of the script.
    """
    namespace = sys.modules["__main__"].__dict__
    kept = {"__builtins__": namespace["__builtins__"]}
    namespace.clear()
    namespace.update(
        kept,
        __name__="__main__",
        __file__=path,
        __doc__=None,
        __package__=None,
        __spec__=None,
        __loader__=None,
        __cached__=None,
    )
    exec(code, namespace)


def _compiled(path: str) -> Any:
    try:
        with io.open_code(os.path.abspath(path)) as file:
            source = file.read()
    except OSError as error:
        _refuse(f"cannot read the script {path!r}: {error.strerror}.")
    return compile(source, path, "exec")


def _refuse(text: str) -> NoReturn:
    say(f"python -m localtune.compat: {text}")
    sys.exit(2)
