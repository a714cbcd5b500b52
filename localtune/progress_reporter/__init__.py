"""What a person sees while a run goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from localtune.progress_reporter.cli_reporter import CLIReporter as CLIReporter
    from localtune.progress_reporter.console import ConsoleOutput as ConsoleOutput
    from localtune.progress_reporter.factory import create_output as create_output
    from localtune.progress_reporter.notebook_reporter import (
        JupyterNotebookReporter as JupyterNotebookReporter,
    )
    from localtune.progress_reporter.output import Output as Output
    from localtune.progress_reporter.reporter import ProgressReporter as ProgressReporter

__all__ = [
    "CLIReporter",
    "ConsoleOutput",
    "JupyterNotebookReporter",
    "Output",
    "ProgressReporter",
    "create_output",
]

_MODULES = {
    "CLIReporter": "localtune.progress_reporter.cli_reporter",
    "ConsoleOutput": "localtune.progress_reporter.console",
    "JupyterNotebookReporter": "localtune.progress_reporter.notebook_reporter",
    "Output": "localtune.progress_reporter.output",
    "ProgressReporter": "localtune.progress_reporter.reporter",
    "create_output": "localtune.progress_reporter.factory",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        from importlib import import_module

        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
