"""Translates remedies of the Python API into options of the command line."""

from __future__ import annotations

import re

# {pattern in an error of the package: its text on the command line}
_OPTIONS = {
    r"""TuneConfig\(metric=['"]([^'"]*)['"], mode=['"]([^'"]*)['"]\)""": r"--metric \1 --mode \2",
    r", or to \w+ itself": "",
    r"\(tune\.with_resources\)": "(--resources)",
    r"pass trust=True": "give --trust",
    r"resume the run with resume_errored=True; max_failed_trials=-1 [^.]*": "run 'localtune retry'",
    r"max_failed_trials=(-?\d+) is set": r"\1 may fail",
    r"Tuner\.restore\((['\"])(.*?)\1[^)]*\)(\.fit\(\))?": r"localtune resume \2",
    r'if_exists="(add|resume)"': r"--\1",
    r"name another metric in TuneConfig": "name another one with --metric",
    r"another storage_path in RunConfig": "another --storage",
    r"Choose a storage_path": "Choose a --storage",
    r"Put the path into storage_path": "Put the path into --storage",
    r"given twice: to TuneConfig \(": "given twice: as options (",
    r"params_by='(\w+)'( or )'(\w+)'": r"--params-by \1\2\3",
    r"\bshell=True": "--shell",
    r"\Acwd must": "--cwd must",
    r"results='(\w+)'": r"--results \1",
    r"\Apattern (must|finds)": r"--pattern \1",
    r"\Aname must": "--name must",
    r"\Aseed must": "--seed must",
    r"\Averbose must": "--verbose must",
    r"\Anum_samples must": "--samples must",
    r"\Astorage_path must": "--storage must",
    r"\Amax_concurrent_trials must": "--max-concurrent must",
    r"\Amax_failures must": "--max-failures must",
}


def in_options(message: str) -> str:
    """Translates an error message for users of the command line.

    Args:
        message: Of an exception of the package, written for callers of its functions.

    Example:
        >>> in_options("If you know where they come from, pass trust=True.")
        'If you know where they come from, give --trust.'
    """
    for python, option in _OPTIONS.items():
        message = re.sub(python, option, message)
    return message
