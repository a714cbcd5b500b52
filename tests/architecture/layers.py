"""Which layer each file of the package belongs to, and what a layer may import.

    V values      T trainable     W worker       D decisions (search, schedulers, stoppers)
    S storage     O outputs       X execution    C controller      U entry

Data flows one way through them; CONTRIBUTING.md says why.
"""

from __future__ import annotations

from pathlib import Path

PACKAGE = "localtune"
ROOT = Path(__file__).parents[2]

# The longest name that fits a module decides.
LAYER_OF = {
    "localtune.__main__": "U",
    "localtune._lazy": "V",
    "localtune._version": "V",
    "localtune.checkpoint": "V",
    "localtune.clock": "V",
    "localtune.config": "V",
    "localtune.error": "V",
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
    "localtune.analysis": "U",
    "localtune.examples": "U",
    "localtune.experiment": "U",
    "localtune.integration": "U",
    "localtune.registry": "U",
    "localtune.result_grid": "U",
    "localtune.running": "U",
    "localtune.testing": "U",
    "localtune.tools": "U",
    "localtune.tune": "U",
    "localtune.tuner": "U",
}

# A layer, or one module where only that one is allowed.
MAY_IMPORT = {
    "V": {"V"},
    "T": {"V", "T"},
    "W": {"V", "T", "W"},
    # A searcher takes its state out of an experiment whose directory the user gives.
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
        "localtune.schedulers.trial_scheduler",
        "localtune.search.search_algorithm",
        "localtune.search.suggestion",
        "localtune.stopper.stopper",
        "localtune.worker.messages",
    },
    "U": {"V", "T", "W", "D", "S", "O", "X", "C", "U"},
}

# Packages that may be imported at the top of a module, and in which layers. All others are
# imported inside the function that needs them.
IMPORTED_AT_TOP = {
    "cloudpickle": {"X", "W", "S", "U"},
    "filelock": {"X", "W", "S", "U"},
    "psutil": {"X", "W", "S", "U"},
    # Only pytest itself loads the module that does it.
    "pytest": {"U"},
    # Only those who use the library load the module that is named after it.
    "keras": {"U"},
    "lightgbm": {"U"},
    "lightning": {"U"},
    "pytorch_lightning": {"U"},
    "xgboost": {"U"},
}


def layer_of(module: str) -> str | None:
    """Layer of a module, or None if the table does not name it.

    Args:
        module: Dotted name.
    """
    # The package itself holds no code of a layer: its names are looked up when they are used.
    name = module
    while name:
        if name in LAYER_OF:
            return LAYER_OF[name]
        name = name.rpartition(".")[0]
    return "U" if module == PACKAGE else None


def package_modules() -> dict[str, Path]:
    """Dotted name and file of each module of the package."""
    modules = {}
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return modules
