"""Which layer each file of the package belongs to, and what a layer may import.

    V values      T trainable     W worker        D decisions (search, schedulers, stoppers)
    S storage     O outputs       X execution     C controller
    R run         A analysis      K kit           I integration with other libraries
    M stand-in for Ray (hardly anything imports it; pickles that were made under it refer to it)
    F faces       modules of re-exports under the paths that users type
    P programs    each is a layer of its own: programs never import each other

Data flows one way through them; docs/architecture.md says why. The table counts all imports: those
that happen while a module is loaded, those in functions, and those for type checkers.
"""

from __future__ import annotations

from pathlib import Path

PACKAGE = "localtune"
ROOT = Path(__file__).parents[2]

# The longest name that fits a module decides.
LAYER_OF = {
    "localtune._lazy": "V",
    "localtune._version": "V",
    "localtune.checkpoint": "V",
    "localtune.clock": "V",
    "localtune.config": "V",
    "localtune.error": "V",
    "localtune.old_names": "V",
    "localtune.resources": "V",
    "localtune.result": "V",
    "localtune.trial": "V",
    "localtune.utils": "V",
    "localtune.trainable": "T",
    "localtune.worker": "W",
    "localtune.schedulers": "D",
    "localtune.search": "D",
    "localtune.stopper": "D",
    "localtune.storage": "S",
    "localtune.callback": "O",
    "localtune.logger": "O",
    "localtune.progress_reporter": "O",
    "localtune.execution": "X",
    "localtune.controller": "C",
    "localtune.registry": "R",
    "localtune.running": "R",
    "localtune.tune": "R",
    "localtune.tuner": "R",
    "localtune.analysis": "A",
    "localtune.examples": "K",
    "localtune.testing": "K",
    "localtune.integration": "I",
    "localtune.compat": "M",
    "localtune.context": "F",
    "localtune.execution.placement_groups": "F",
    "localtune.experiment": "F",
    "localtune.result_grid": "F",
    "localtune.syncer": "F",
    "localtune.tune_config": "F",
    "localtune.utils.util": "F",
    "localtune.utils.mock_trainable": "K",
    "localtune.tools": "P commands",
    "localtune.tools.check": "P check",
    "localtune.tools.cli": "P cli",
    "localtune.tools.commands": "P commands",
    "localtune.tools.migrate": "P migrate",
    "localtune.tools.report": "P report",
    # `python -m localtune` is the command line.
    "localtune.__main__": "P cli",
    # The fixture of pytest is the check, called by a test.
    "localtune.testing.pytest_plugin": "P check",
}
# Packages that are faces; the modules in them are not.
FACES = {PACKAGE, f"{PACKAGE}.utils"}

_BELOW_RUN = {"V", "T", "W", "D", "S", "O", "X", "C"}
# What every program may import: the rooms below it, the names that users import, and the parts
# that programs share. The functions of search spaces are the words of sweep files, and so are
# regular expressions. What a trial has run as a program stands in its directory.
_PROGRAM = {
    "V",
    "R",
    "A",
    "F",
    "P commands",
    "localtune.search.sample",
    "localtune.trainable.command.parse",
    "localtune.trainable.command.program_record",
}

# A layer, or one module where only that one is allowed.
MAY_IMPORT = {
    "V": {"V"},
    "T": {"V", "T"},
    "W": {"V", "T", "W"},
    # A searcher takes its state from an experiment whose directory the user gives.
    "D": {"V", "D", "localtune.storage.reading"},
    "S": {"V", "S"},
    "O": {"V", "O"},
    "X": {"V", "W", "X"},
    "C": {
        "V",
        "S",
        "C",
        # The base classes of what it drives, never an implementation.
        "localtune.callback",
        "localtune.execution.executor",
        "localtune.execution.slots",
        "localtune.schedulers.base",
        "localtune.search.search_algorithm",
        "localtune.search.suggestion",
        "localtune.stopper.base",
        "localtune.worker.assignment",
        "localtune.worker.messages",
    },
    "R": {*_BELOW_RUN, "R", "A"},
    "A": {"V", "S", "A"},
    "K": {*_BELOW_RUN, "R", "A", "I", "F", "K"},
    # The launcher of Hydra sets the options of the executor.
    "I": {"V", "T", "D", "O", "R", "A", "I", "localtune.execution.local_process"},
    "F": {*_BELOW_RUN, "R", "A", "F"},
    "M": {*_BELOW_RUN, "R", "A", "I", "F", "M"},
    "P commands": _PROGRAM,
    "P cli": {*_PROGRAM, "P cli", "I"},
    # The shim knows the old places of names, too.
    "P migrate": {
        *_PROGRAM,
        "P migrate",
        "localtune.compat.places",
        "localtune.compat.refusals",
    },
    "P report": {*_PROGRAM, "P report"},
    # The plugin for pytest has an option that installs the stand-in for Ray.
    "P check": {*_PROGRAM, "P check", "localtune.compat.install"},
}

# Packages that may be imported at the top of a module, and in which layers. All others are
# imported inside the function that needs them.
_USED_AT_TOP = {"X", "W", "S", "R", "A", "K"}
IMPORTED_AT_TOP = {
    "cloudpickle": _USED_AT_TOP,
    "filelock": _USED_AT_TOP,
    "psutil": _USED_AT_TOP,
    # Only pytest itself loads the modules that do it.
    "pytest": {"K", "P check"},
}


def layer_of(module: str) -> str | None:
    """Returns the layer of a module, or None if the table does not name it.

    Args:
        module: Dotted name.
    """
    if module in FACES:
        return "F"
    name = module
    while name:
        if name in LAYER_OF:
            return LAYER_OF[name]
        name = name.rpartition(".")[0]
    return None


def package_modules() -> dict[str, Path]:
    """Returns the dotted name and the file of each module of the package."""
    modules = {}
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return modules
