"""What a trial trains: classes, functions, and what they may call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from localtune.trainable.function_trainable import FunctionTrainable as FunctionTrainable
    from localtune.trainable.session import TuneContext as TuneContext
    from localtune.trainable.session import get_checkpoint as get_checkpoint
    from localtune.trainable.session import get_context as get_context
    from localtune.trainable.session import report as report
    from localtune.trainable.trainable import Trainable as Trainable
    from localtune.trainable.util import with_parameters as with_parameters
    from localtune.trainable.util import with_resources as with_resources
    from localtune.trainable.util import wrap_function as wrap_function

_MODULES = {
    "FunctionTrainable": "localtune.trainable.function_trainable",
    "Trainable": "localtune.trainable.trainable",
    "TuneContext": "localtune.trainable.session",
    "get_checkpoint": "localtune.trainable.session",
    "get_context": "localtune.trainable.session",
    "report": "localtune.trainable.session",
    "with_parameters": "localtune.trainable.util",
    "with_resources": "localtune.trainable.util",
    "wrap_function": "localtune.trainable.util",
}

__all__ = sorted(_MODULES)


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        from importlib import import_module

        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
