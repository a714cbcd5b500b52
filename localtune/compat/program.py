"""Runs a script or a module as ``__main__``, with the shim installed.

A script sees what ``python SCRIPT`` shows it: its file and folder, its arguments, and tracebacks
that begin with its own lines.
"""

from __future__ import annotations

import importlib.machinery
import io
import os
import pkgutil
import runpy
import sys
from collections.abc import Callable
from types import CodeType
from typing import Any, NoReturn

import localtune
from localtune.compat.install import install
from localtune.compat.main_module import make_main, run_as_main, run_visibly
from localtune.utils.messages import say, show_lines

_USAGE = "usage: python -m localtune.compat [SCRIPT | -m MODULE | -c CODE | -] [ARGS...]"
_HELP = f"""{_USAGE}

Runs a script of Ray Tune unchanged. ray, ray.tune, ray.train and ray.air are localtune in this
process, in its workers, and in processes that it starts with multiprocessing.
Options of Python stand before -m: python -X dev -m localtune.compat SCRIPT."""


def main() -> None:
    """Runs what the command line names; the command's own arguments are removed from it."""
    kind, *rest = sys.argv[1:] or [""]
    if kind in ("-h", "--help"):
        show_lines(_HELP)
    elif not kind:
        _refuse("no script is named.")
    elif kind in ("-m", "-c"):
        if not rest:
            _refuse(f"{kind} needs {'the name of a module' if kind == '-m' else 'code'}.")
        sys.argv[:] = [kind, *rest[1:]]
        (_run_module if kind == "-m" else _run_text)(rest[0])
    elif kind.startswith("-") and kind != "-":
        _refuse(f"there is no option {kind}. Options of Python stand before -m localtune.compat.")
    else:
        sys.argv[:] = [kind, *rest]
        (_run_input if kind == "-" else _run_file)(kind)


def _run_module(name: str) -> None:
    _start(lambda: _run_by_name(name, alter_argv=True))


def _run_text(source: str) -> None:
    _set_first_path("")
    _start_code(lambda: compile(source, "<string>", "exec", dont_inherit=True))


def _run_input(_name: str) -> None:
    _set_first_path("")
    source = sys.stdin.buffer.read()
    _start_code(
        lambda: compile(source, "<stdin>", "exec", dont_inherit=True),
        __file__="<stdin>",
        __cached__=None,
    )


def _run_file(name: str) -> None:
    path = os.path.join(os.getcwd(), name)
    if pkgutil.get_importer(path) is not None:  # A folder or an archive, with a __main__.py.
        _set_first_path(path)
        _start(lambda: _run_by_name("__main__", alter_argv=False))
        return
    source = _read(name, path)
    _set_first_path(os.path.dirname(os.path.realpath(path)))
    if path.endswith(".pyc"):
        bare = importlib.machinery.SourcelessFileLoader("__main__", path)
        get_code: Callable[[], Any] = lambda: bare.get_code("__main__")  # noqa: E731
        loader: Any = bare
    else:
        loader = importlib.machinery.SourceFileLoader("__main__", path)
        get_code = lambda: _compiled(source, path)  # noqa: E731
    _start_code(get_code, __file__=path, __cached__=None, __loader__=loader)


def _read(name: str, path: str) -> bytes:
    try:
        with io.open_code(path) as file:
            return file.read()
    except OSError as error:
        _refuse(f"cannot read the script {name!r}: {error.strerror}.")


def _compiled(source: bytes, path: str) -> CodeType:
    end = source.find(b"\0")
    if end >= 0:  # Each version of Python says something else, and not which file it is.
        line = source.count(b"\n", 0, end) + 1
        raise SyntaxError("source code cannot contain null bytes", (path, line, None, None))
    return compile(source, path, "exec", dont_inherit=True)


def _run_by_name(name: str, alter_argv: bool) -> None:
    # Python itself calls this for -m, folders and archives.
    runpy._run_module_as_main(name, alter_argv)  # type: ignore[attr-defined]


def _start_code(get_code: Callable[[], CodeType], **attributes: Any) -> None:
    _start(lambda: run_as_main(get_code(), **attributes))


def _start(run: Callable[[], None]) -> None:
    install()
    make_main()
    run_visibly(run)


def _set_first_path(path: str) -> None:
    # `python -m` has put the current folder there, unless it was told not to.
    if sys.flags.isolated or getattr(sys.flags, "safe_path", False):
        return
    sys.path[0] = path
    folder = os.path.dirname(os.path.dirname(localtune.__file__))
    if folder == os.getcwd() and folder not in sys.path:
        sys.path.append(folder)  # Workers find localtune where this process has found it.


def _refuse(text: str) -> NoReturn:
    say(f"python -m localtune.compat: {text}\n{_USAGE}")
    sys.exit(2)
