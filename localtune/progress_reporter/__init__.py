"""Progress reporters: the output of a run for its user."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localtune._lazy import lazy_names

if TYPE_CHECKING:
    from localtune.progress_reporter.cli_reporter import CLIReporter as CLIReporter
    from localtune.progress_reporter.console import ConsoleOutput as ConsoleOutput
    from localtune.progress_reporter.factory import create_output as create_output
    from localtune.progress_reporter.notebook_reporter import (
        JupyterNotebookReporter as JupyterNotebookReporter,
    )
    from localtune.progress_reporter.output import Output as Output
    from localtune.progress_reporter.reporter import ProgressReporter as ProgressReporter
    from localtune.progress_reporter.reporter import RemoteReporterMixin as RemoteReporterMixin
    from localtune.progress_reporter.table_reporter import TuneReporterBase as TuneReporterBase
    from localtune.progress_reporter.trial_progress import (
        TrialProgressCallback as TrialProgressCallback,
    )

__all__ = [
    "CLIReporter",
    "ConsoleOutput",
    "JupyterNotebookReporter",
    "Output",
    "ProgressReporter",
    "RemoteReporterMixin",
    "TrialProgressCallback",
    "TuneReporterBase",
    "create_output",
]

_MODULES = {
    "CLIReporter": "progress_reporter.cli_reporter",
    "ConsoleOutput": "progress_reporter.console",
    "JupyterNotebookReporter": "progress_reporter.notebook_reporter",
    "Output": "progress_reporter.output",
    "ProgressReporter": "progress_reporter.reporter",
    "RemoteReporterMixin": "progress_reporter.reporter",
    "TrialProgressCallback": "progress_reporter.trial_progress",
    "TuneReporterBase": "progress_reporter.table_reporter",
    "create_output": "progress_reporter.factory",
}


__getattr__ = lazy_names(__name__, _MODULES)
