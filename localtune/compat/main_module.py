"""The module ``__main__`` of a script that another program runs."""

from __future__ import annotations

import builtins
import importlib.machinery
import os
import sys
from collections.abc import Callable
from types import CodeType, ModuleType, TracebackType
from typing import Any

_OWN_FOLDER = os.path.dirname(__file__)


def make_main() -> None:
    """Gives this process a new, empty module ``__main__``.

    The one before stays as it is: its code still runs, and it may be that of a profiler.
    """
    main = ModuleType("__main__")
    main.__loader__ = importlib.machinery.BuiltinImporter
    vars(main)["__builtins__"] = builtins
    if sys.version_info < (3, 14):
        vars(main)["__annotations__"] = {}
    _kept.append(sys.modules["__main__"])
    sys.modules["__main__"] = main


_kept: list[ModuleType] = []


def run_as_main(code: CodeType, **attributes: Any) -> None:
    """Executes code in the module ``__main__``.

    Args:
        code: Compiled code of the script.
        **attributes: Attributes of the module that differ from those of ``python -c``.
    """
    namespace = vars(sys.modules["__main__"])
    namespace.update(attributes)
    exec(code, namespace)


def run_visibly(run: Callable[[], None]) -> None:
    """Calls a function whose errors are shown without the calls that led to the user's code.

    Args:
        run: Runs the user's code.
    """
    try:
        run()
    except SystemExit:
        raise
    except BaseException as error:
        _hide_own_calls(error, _without_own_calls(error.__traceback__))
        raise


def _without_own_calls(traceback: TracebackType | None) -> TracebackType | None:
    while traceback and os.path.dirname(traceback.tb_frame.f_code.co_filename) == _OWN_FOLDER:
        traceback = traceback.tb_next
    return traceback


def _hide_own_calls(error: BaseException, visible: TracebackType | None) -> None:
    """Makes Python show ``visible`` as the traceback of an error that ends the process.

    Python itself shows it, so that the exit status is right, also that of an interrupt.
    """
    hook = sys.excepthook

    def show(kind: type[BaseException], value: BaseException, traceback: Any) -> None:
        sys.excepthook = hook
        if value is error:
            traceback = sys.last_traceback = value.with_traceback(visible).__traceback__
        hook(kind, value, traceback)

    sys.excepthook = show
