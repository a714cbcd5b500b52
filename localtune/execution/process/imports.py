"""Imports modules in a process that trials are forked from.

::

    import_ahead([("sklearn", ("svm",)), ("pandas", ())], limit_s=120, begin=tell)
      |  tell("sklearn")      an import that ends the process is known by its name
      |  import
      |  is the process as it was before, and may it still be forked?
      v
    "" or the reason why another process must take over, without this import

An import that does not end within the limit ends the process by SIGALRM: it may hang in native
code, where no exception reaches it.
"""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Callable, Iterable, Iterator

from localtune.execution.process.fork_safety import (
    ProcessState,
    why_forks_fail,
    why_unsafe_to_fork,
)
from localtune.utils.text import text_of


def import_ahead(
    imports: Iterable[tuple[str, tuple[str, ...]]], limit_s: float, begin: Callable[[str], None]
) -> str:
    """Imports what trials will import, which must not notice that.

    Args:
        imports: Modules, each with the names that are imported from it.
        limit_s: Most seconds for each.
        begin: Called with the name of a module before it is imported; "" stands for all of them.

    Returns:
        Why trials must not be forked from this process any more; "" if they may be.
    """
    is_new = False
    for name, members in imports:
        if _is_loaded(name, members):
            continue
        is_new = True
        begin(name)
        before = ProcessState.now()
        problem = import_one(name, limit_s, members) or why_unsafe_to_fork()
        problem = problem or ProcessState.now().why_other_than(before)
        if problem:
            return problem
    if not is_new:
        return ""
    begin("")
    with _limited(limit_s):
        return why_forks_fail()


def import_one(name: str, limit_s: float, members: tuple[str, ...] = ()) -> str:
    """Imports a module.

    Args:
        name: Its name.
        limit_s: Most seconds that this may take; then this process ends.
        members: Names to import from it, as ``from ... import`` does.

    Returns:
        What it raised; "" if it was imported.
    """
    try:
        with _limited(limit_s):
            __import__(name, {}, {}, members)
    except BaseException as error:
        text = text_of(error)
        return f"importing it raised {type(error).__name__}{': ' if text else ''}{text}"
    return ""


def _is_loaded(name: str, members: tuple[str, ...]) -> bool:
    module = sys.modules.get(name)
    return module is not None and all(each in vars(module) for each in members)


@contextlib.contextmanager
def _limited(limit_s: float) -> Iterator[None]:
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
