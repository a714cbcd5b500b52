"""Who writes where a terminal may be: text of others must not steer it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.layers import package_modules

# {module: what of it may write, and why}. All else says what it has to say by
# localtune.utils.messages.
ALLOWED = {
    "localtune.utils.messages": {
        "sys.stdout.write",
        "sys.stderr.write",
        "warnings.warn",
        "logging.getLogger",
    },
    # A text of its own, for whoever forks in a trial.
    "localtune.worker.main": {"sys.stderr.write"},
    # The level of another library's logger.
    "localtune.search.ax.ax_search": {"logging.getLogger"},
    # A filter for the log of Dask's workers.
    "localtune.execution.cluster.dask.guest": {"logging.getLogger"},
    # Trials that print, to see where that goes.
    "localtune.testing.executor_contract": {"print"},
}
_CALLS = frozenset(
    {
        "print",
        "warnings.warn",
        "logging.getLogger",
        "logging.warning",
        "logging.error",
        "sys.stdout.write",
        "sys.stderr.write",
        "sys.__stdout__.write",
        "sys.__stderr__.write",
        "traceback.print_exc",
        "traceback.print_exception",
        "traceback.print_tb",
        "traceback.print_stack",
    }
)


def test_what_is_written_goes_through_the_module_that_makes_it_printable() -> None:
    found = {
        name: {call for call in _calls(path) if call in _CALLS}
        for name, path in package_modules().items()
        if not name.startswith("localtune.examples")
    }
    assert {name: calls for name, calls in found.items() if calls} == ALLOWED


def _calls(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)
