"""Defines trainables: classes, functions, and the functions that they may call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localtune._lazy import lazy_names

if TYPE_CHECKING:
    from localtune.trainable.function_trainable import FunctionTrainable as FunctionTrainable
    from localtune.trainable.function_trainable import wrap_function as wrap_function
    from localtune.trainable.session import TuneContext as TuneContext
    from localtune.trainable.session import get_checkpoint as get_checkpoint
    from localtune.trainable.session import get_context as get_context
    from localtune.trainable.session import report as report
    from localtune.trainable.trainable import Trainable as Trainable
    from localtune.trainable.util import with_parameters as with_parameters
    from localtune.trainable.util import with_resources as with_resources

_MODULES = {
    "FunctionTrainable": "trainable.function_trainable",
    "Trainable": "trainable.trainable",
    "TuneContext": "trainable.session",
    "get_checkpoint": "trainable.session",
    "get_context": "trainable.session",
    "report": "trainable.session",
    "with_parameters": "trainable.util",
    "with_resources": "trainable.util",
    "wrap_function": "trainable.function_trainable",
}

__all__ = sorted(_MODULES)


__getattr__ = lazy_names(__name__, _MODULES)
